"""Begin a run with what another one learned to perceive: its encoder, and nothing else."""

from pathlib import Path
from typing import Any

from jepakit.hub import load
from jepakit.storage import load_weights
from jepakit.types import UserError


def take_encoder(method: Any, source: Path | str) -> None:
    """Give a method the encoder of a run or of a saved model; predictor and everything else stay as they are.

    Args:
        method: A method whose encoder has the same form; with `freeze_encoder` it keeps what it is given.
        source: The run directory, or the folder of a saved model.

    Raises:
        UserError: Nothing that can be loaded lies there, or its encoder has another form or is shown other pictures.
    """
    other = load(source).method
    if other.preprocess != method.preprocess:
        raise UserError(
            f"The encoder of {source} is shown pictures prepared by {other.preprocess}, this one by "
            f"{method.preprocess}; give both the same method.preprocess."
        )
    load_weights(method.encoder, other.encoder.state_dict(), source)
