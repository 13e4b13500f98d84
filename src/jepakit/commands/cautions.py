"""Say what one should know of a run before using it: that its last verdict was a collapse, or that it is unfinished."""

from jepakit.storage import Run


def collapse(run: Run, checkpoint: str = "last") -> str:
    """Return a sentence where the last checkpoint is used and its verdict was a collapse; else nothing.

    Args:
        run: The run; where nothing was saved there is nothing to say.
        checkpoint: Which one is used.
    """
    state, verdicts = run.checkpoint_state("last"), run.verdicts()
    if checkpoint != "last" or state is None or not verdicts or verdicts[-1].get("healthy") is not False:
        return ""
    kind = str(verdicts[-1].get("kind", "unnamed")).replace("_", "-")
    told = f"The last verdict on {run.path} was a collapse ({kind}, step {verdicts[-1]['step']})"
    healthy = run.checkpoint_state("healthy")
    if healthy is None:
        return f"{told}, and no earlier one was better: {run.file('report.html')} says what to try."
    return f"{told}: use --checkpoint healthy, which is that of step {healthy['step']}."


def unfinished(run: Run) -> str:
    """Return a sentence where a run has steps still to come; else nothing."""
    state = run.checkpoint_state("last")
    if state is None:
        return ""
    num_steps = run.config().get("training", {}).get("num_steps", 0)
    if state["step"] >= num_steps:
        return ""
    return (
        f"{run.path} is unfinished: {state['step']} of {num_steps} steps are trained, so its scores may still change."
    )
