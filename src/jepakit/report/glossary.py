"""Explain the words of a page in one or two sentences each, for the reader who hovers over them."""

from typing import NamedTuple

from jepakit.report.wording import spaced


class Term(NamedTuple):
    """Hold what a quantity is called on the page and what it means."""

    label: str
    meaning: str


TERMS: dict[str, Term] = {
    "energy": Term(
        "energy",
        "How far the predicted embedding lies from the one that came true: low means the model expected what it saw. "
        "A low energy alone proves nothing, a constant encoder has none at all.",
    ),
    "loss": Term(
        "loss",
        "What training lowers: the mean energy plus weighted regularizers. It may rise while learning goes well.",
    ),
    "collapse": Term("collapse", "The embedding stops telling inputs apart, in all or most of its directions."),
    "context": Term("context", "The part of the image that the encoder is shown."),
    "target": Term("target", "The part of the image whose embedding has to be predicted."),
    "probe": Term(
        "probe", "A simple classifier trained on frozen features: it measures what they tell, it does not improve them."
    ),
    "floor": Term(
        "floor", "What one gets without learning, from raw pixels or an untrained encoder. Only what lies above counts."
    ),
    "interval": Term(
        "interval", "The range that holds the true value with the stated confidence, given the draws that were made."
    ),
    "gradient_norm": Term("gradient norm", "Length of the gradient before clipping. Bursts mean an unstable step."),
    "learning_rate": Term("learning rate", "The step size that the schedule gave."),
    "images_per_s": Term("images per second", "Throughput of training."),
    "feature_std": Term("feature std", "Mean standard deviation of a feature across samples: zero is total collapse."),
    "normalised_std": Term(
        "normalised std",
        "Standard deviation of unit-length embeddings times the root of their size: 1 if spread evenly, 0 if constant.",
    ),
    "rankme": Term(
        "RankMe",
        "Effective number of directions that the embedding uses, from 1 to its size. Near 1 is collapse.",
    ),
    "participation_ratio": Term(
        "participation ratio", "Another effective number of directions, ruled by the largest ones."
    ),
    "alpha_req": Term(
        "alpha-ReQ", "How steeply the eigenvalues fall. About 1 is healthy; several times more means few directions."
    ),
    "nesum": Term(
        "NESum", "Sum of the eigenvalues over the largest one: from 1 (one direction) to the embedding's size."
    ),
    "lidar": Term("LiDAR", "Effective rank of what tells images apart beyond what tells views of one image apart."),
    "alignment": Term(
        "alignment",
        "Squared distance between two views of one image on the unit sphere: 0 if they agree, 2 if unrelated.",
    ),
    "uniformity": Term("uniformity", "How evenly embeddings cover the sphere: 0 if all are equal, lower if spread."),
    "across_share": Term(
        "across-sample share",
        "Share of the variance at a position that lies across samples. Near 0 the encoder knows where, not what.",
    ),
    "within_share": Term(
        "within-sample share",
        "Share of the variance that lies within samples. 0 means that all tokens of an image are equal.",
    ),
    "off_diagonal_correlation": Term(
        "off-diagonal correlation", "Mean absolute correlation between two features: 1 if all tell the same."
    ),
    "variation": Term("variation", "Variance of all tokens over their mean square: 0 if everything is constant."),
    "position_share": Term("position share", "Share of the tokens' variance that position alone explains."),
    "sample_share": Term("sample share", "Share of the tokens' variance that the image alone explains."),
    "interaction_share": Term(
        "interaction share", "Share of the tokens' variance that takes both to explain: what is where."
    ),
    "across_share_min": Term("across-sample share, lowest", "The across-sample share of the worst position."),
    "prediction": Term("prediction", "Mean energy over all questions of the step."),
    "variance": Term("variance", "Penalty on features whose standard deviation is below its goal."),
    "covariance": Term("covariance", "Penalty on features that tell the same."),
    "sigreg": Term("SIGReg", "Distance of the embedding's random projections from a standard normal distribution."),
    "sigreg_location": Term(
        "SIGReg: location", "The part of the distance to a standard normal that a shifted mean explains."
    ),
    "sigreg_scale": Term(
        "SIGReg: scale", "The part of the distance to a standard normal that a wrong variance explains."
    ),
    "sigreg_shape": Term(
        "SIGReg: shape", "The part of the distance to a standard normal that neither mean nor variance explains."
    ),
    "drift": Term("drift", "1 minus the cosine between the embedding of the clean and of the corrupted image."),
    "separation": Term(
        "separation", "1 minus the cosine between images of different classes: drift only means something beside it."
    ),
    "clean": Term("clean", "Accuracy on the images as they are."),
    "strongest": Term("strongest", "Accuracy under the strongest severity."),
    "area": Term("mean along the curve", "Area under accuracy against severity, clean included, over its width."),
    "relative_robustness": Term(
        "relative robustness",
        "Accuracy above chance under corruption, over accuracy above chance on clean images. 100% loses nothing.",
    ),
}

WORLD_TERMS: dict[str, Term] = {
    "clips_per_s": Term("clips per second", "Throughput of training, in clips of several frames."),
    "motion": Term(
        "motion", "SIGReg of what moves within clips: how far it is from holding half of an embedding's variance."
    ),
    "slowness": Term("slowness", "How far embeddings move from one frame to the next, squared."),
    "inverse": Term("inverse dynamics", "How badly two embeddings tell which actions lie between them."),
    "ends": Term(
        "success at the end",
        "Share of episodes that are at their goal at the last step. Passing through does not count.",
    ),
    "comes": Term(
        "success ever within",
        "Share of episodes that are at their goal at any step, even if they leave it again: always the kinder number.",
    ),
    "seconds_per_decision": Term(
        "seconds a decision", "Time of a search, shared by the episodes that are planned for at once."
    ),
    "seconds_per_episode": Term("seconds an episode", "Time of all decisions of an episode."),
    "uses_labels": Term(
        "told",
        "Pictures, as the model, or true states as well: an arm that knows these is no floor but a yardstick.",
    ),
    "latent_cost": Term(
        "cost", "What planning lowers: how far predicted embeddings lie from that of the goal. No label takes part."
    ),
    "imagined": Term("imagined", "What the model predicts for the actions that it chose, before any of them is done."),
    "elites": Term("elites", "The best candidates of one round of the search; the next round is drawn around them."),
    "swaps": Term(
        "swapping in the truth",
        "The simulator in place of the learned model, or the true distance in place of the latent one. Where success "
        "rises, the part that was replaced is what fails.",
    ),
    "rank": Term(
        "random plans that beat the true actions",
        "Share of random candidates that cost less than actions that are known to lead to the goal: 0 is best.",
    ),
    "spread": Term(
        "spread of the cost",
        "Standard deviation of the cost over random candidates, over its mean. Near 0 the search has nothing to go by.",
    ),
    "rollout_drift": Term(
        "rollout drift", "How far predicted embeddings lie from those that came true, step by step of a rollout."
    ),
    "drift_model": Term("model", "The drift of what the model predicts."),
    "drift_stay": Term("nothing predicted", "The drift of saying that all stays as it is."),
    "drift_chance": Term("chance", "The distance between embeddings that have nothing to do with each other."),
    "surprise": Term(
        "surprise",
        "Mean over horizons of the energy, standardised by that of ordinary clips asked as far ahead after as many "
        "frames. A moment is marked where so few ordinary clips score as much that false alarms keep to the rate.",
    ),
    "probe_r2": Term(
        "what embeddings tell",
        "R2 of a linear probe of true states on true embeddings (step 0) and predicted ones: 1 tells all, 0 nothing.",
    ),
}


def term(name: str) -> Term:
    """Return label and meaning of a quantity; an unknown one is named by its words and explains nothing.

    Example:
        >>> term("group_rankme").label, term("my_measure")
        ('RankMe per position', Term(label='my measure', meaning=''))
    """
    if name in TERMS or name in WORLD_TERMS:
        return TERMS.get(name) or WORLD_TERMS[name]
    of_all = TERMS.get(name.removeprefix("group_"))
    if of_all is None:
        return Term(spaced(name), "")
    return Term(f"{of_all.label} per position", f"{of_all.meaning} Measured at each position, then averaged.")
