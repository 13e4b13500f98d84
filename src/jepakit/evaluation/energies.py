"""Measure how badly each frame of a clip was foreseen, from every number of steps before it; and two floors of that.

    energy[b, k - 1, t] = distance(z_hat_t told by frame t - k and before and the actions since, z_t)

in a tensor (b, horizons, t) that is NaN where a clip has no frame so long before. Anything of that form can be
calibrated (`evaluation.surprise`): a model, and the floors, which predict that nothing has changed since.
"""

from collections.abc import Callable, Sequence
from contextlib import contextmanager
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from jepakit.types import ClipBatch, Prediction, UserError

Measure = Callable[[ClipBatch], Float[Tensor, "b horizons t"]]
"""Return the energies of clips whose frames are all looked at."""


@runtime_checkable
class Foresees(Protocol):
    """What measuring needs of a world model: a torch module that asks about all steps ahead from all starts.

    The rows of its predictions stand sample by sample, the same for each; within one number of steps ahead (`group`)
    start by start, and within a start token by token.
    """

    objective: Any

    def predict(self, batch: ClipBatch, step: int) -> Prediction:
        """Predict what follows each frame."""
        ...

    def embed(self, frames: Tensor, proprio: Tensor | None = None) -> Tensor:
        """Return the embeddings of frames, (b, t, d) or (b, t, n, d)."""
        ...

    def eval(self) -> Any:
        """Set what tells training from use."""
        ...


@runtime_checkable
class Supposes(Foresees, Protocol):
    """What a world model with a latent can do besides."""

    def supposing(self, batch: ClipBatch, draw: int) -> Prediction:
        """Predict what follows each frame if chance does what this draw says."""
        ...


def foreseen(method: Foresees) -> Measure:
    """Return the measure of a world model: the energy of its own objective, as many steps ahead as it was trained for.

    A model that also draws the present frame (0 steps ahead) is asked about later ones alone.
    """
    return _measuring(method, lambda clip: [method.predict(clip, 0)])


def supposed(method: Supposes, num_futures: int) -> Measure:
    """Return the measure of a world model with a latent that asks about several futures, so that chance is foreseen.

    Of so many draws from the latent's prior each frame counts the one that foresees it best, the free energy at
    temperature zero of LeCun 2022 (A path towards autonomous machine intelligence, section 4.1), over draws instead of
    all values.
    """
    return _measuring(method, lambda clip: [method.supposing(clip, draw) for draw in range(num_futures)])


def _measuring(method: Foresees, ask: Callable[[ClipBatch], Sequence[Prediction]]) -> Measure:
    """Return the measure of which each frame counts the prediction that foresees it best."""

    def measure(clip: ClipBatch) -> Float[Tensor, "b horizons t"]:
        with _in_use(method):
            asked = ask(clip.to(_device(method)))
            energy = torch.stack([method.objective.energy(each) for each in asked]).amin(dim=0)
        return arranged(energy, asked[0], *clip.frames.shape[:2]).cpu()

    return measure


def arranged(
    energy: Float[Tensor, " r"], prediction: Prediction, num_clips: int, num_frames: int
) -> Float[Tensor, "b horizons t"]:
    """Return the energies of rows by clip, steps ahead and the frame that was predicted, tokens averaged.

    Raises:
        UserError: The rows are not those of all starts of every clip.
    """
    by_clip = energy.view(num_clips, -1)
    group = prediction.group.view(num_clips, -1)[0]
    found = energy.new_full((num_clips, int(group.max()), num_frames), torch.nan)
    for ahead in range(1, found.shape[1] + 1):
        rows = by_clip[:, group == ahead]
        if rows.shape[1] == 0 or rows.shape[1] % (num_frames - ahead):
            raise UserError(
                f"Surprise needs a prediction {ahead} steps ahead from every frame; of clips of {num_frames} frames "
                f"this model gave {rows.shape[1]} each."
            )
        found[:, ahead - 1, ahead:] = rows.unflatten(1, (num_frames - ahead, -1)).mean(dim=-1)
    return found


def persisted(method: Foresees, num_horizons: int) -> Measure:
    """Return a floor: the squared distance between an encoder's embeddings, as if nothing moved within a horizon."""

    def measure(clip: ClipBatch) -> Float[Tensor, "b horizons t"]:
        with _in_use(method):
            moved = clip.to(_device(method))
            z = method.embed(moved.frames, moved.proprio)
        return changed(z.float(), num_horizons).cpu()

    return measure


def pixels_changed(num_horizons: int) -> Measure:
    """Return a floor without any model: the squared difference between pictures, values in [0, 1].

    Sums are exact, so that what merely lies elsewhere in a picture changes it exactly as much.
    """

    def measure(clip: ClipBatch) -> Float[Tensor, "b horizons t"]:
        return (changed(clip.frames.double(), num_horizons) / 255.0**2).float()

    return measure


def changed(values: Float[Tensor, "b t ..."], num_horizons: int) -> Float[Tensor, "b horizons t"]:
    """Return the mean squared change of values over 1 ... num_horizons frames, at the later of the two."""
    num_clips, num_frames = values.shape[:2]
    flat = values.flatten(2)
    horizons = min(num_horizons, num_frames - 1)
    found = flat.new_full((num_clips, horizons, num_frames), torch.nan)
    for ahead in range(1, horizons + 1):
        found[:, ahead - 1, ahead:] = (flat[:, ahead:] - flat[:, :-ahead]).square().mean(dim=-1)
    return found


def measured(measure: Measure, clip: ClipBatch, at_once: int = 64) -> Float[Tensor, "b horizons t"]:
    """Return the energies of many clips, measured so many at a time.

    Raises:
        UserError: An energy that there should be is no finite number.
    """
    num = -(-len(clip) // at_once)
    energy = torch.cat([measure(part) for part in clip.parts(max(1, num))])
    is_asked = torch.ones(energy.shape[1:], dtype=torch.bool).triu(1)  # k steps ahead from frame k on
    if not bool(energy[:, is_asked].isfinite().all()):
        raise UserError("Some energies are no finite numbers; look for such actions in the data, or train anew.")
    return energy


def _device(method: Any) -> torch.device:
    return next(iter(method.parameters())).device


@contextmanager
def _in_use(method: Any) -> Any:
    """Use a model without gradient and in eval mode, and leave its mode as it was."""
    was_training = method.training
    method.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        method.train(was_training)
