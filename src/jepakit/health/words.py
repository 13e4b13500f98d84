"""Hold the sentences and the advice of each verdict."""

SENTENCES = {
    "healthy": "Healthy: the {space} tells samples apart along many directions, with no sign of collapse.",
    "watch": "No collapse, but the {space} is close to a {kind} one; look again soon.",
    "total": "Total collapse: the {space} gives nearly the same embedding whatever it sees.",
    "positional": "Positional collapse: the {space}'s tokens know where they are, but not what is there.",
    "per_sample_constant": "Per-sample-constant collapse: all tokens that the {space} gives of a sample are equal.",
    "dimensional": "Dimensional collapse: nearly all variance of the {space} lies along a few directions.",
}

ADVICE = {
    "total": (
        "Give the regularizer (SIGReg, or variance and covariance) more weight, or add one.",
        "If the targets come from the same weights without a regularizer, use a moving average of the encoder: "
        "momentum 0.99 or higher, no gradient into the target.",
        "Lower the learning rate or lengthen the warm-up; go back to the last healthy checkpoint.",
    ),
    "positional": (
        "Regularize tokens per position across samples, never pooled over positions.",
        "Give the regularizer more weight against the prediction loss.",
        "Check that the input reaches the tokens: normalisation, contrast, and the scale of position embeddings.",
    ),
    "per_sample_constant": (
        "Predict tokens at their positions rather than a pooled or mean token.",
        "Hide smaller and more scattered parts, so that a summary of the sample does not answer every question.",
        "Give the prediction less weight, or add a loss on tokens (pixels, or a regularizer of their differences).",
    ),
    "dimensional": (
        "Use a regularizer that sees correlations: covariance, or SIGReg along fresh random directions at every step.",
        "Raise the batch size or the number of slices; both should exceed the width of the regularized space.",
        "Lower the learning rate, or widen the projector.",
    ),
}
