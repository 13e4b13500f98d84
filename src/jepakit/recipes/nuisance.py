"""Study what encoders keep of a predictable state beside channels that do not matter: x_t = [A s_t ; n_t].

The state s_t, four noisy oscillators, is 8 numbers; A spreads them over 32 channels without making any louder. Every
channel of the nuisance n_t is as loud as every direction of the state. Of the kind `iid` it is drawn anew at every
step and cannot be predicted; of the kind `slow` it is an AR(1) that can be, better than the state. An embedding has 8
numbers: all that it spends on the nuisance is lost for the state.

Source: our own, after the usual argument for predicting embeddings (LeCun 2022, "A path towards autonomous machine
intelligence", section 4).
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from jepakit.evaluation.factor_probe import explained, fit_factors
from jepakit.nn.stacked import StackedMLP
from jepakit.random import Stream
from jepakit.recipes.predicting import ARMS, Learner, Lessons, Setting, learn
from jepakit.types import require

STATE_DIM = 8
NUM_SEEN = 32
"""Channels over which the state is spread."""

LEVELS = (0, 8, 32, 128, 512)
"""Channels of nuisance."""

KEPT_OF = {"state": 0.95, "iid": 0.0, "slow": 0.99}
"""Correlation of each from one step to the next."""

HELD_OUT = 2**40
"""First id of the sequences that no training sees."""

FLOORS = ("random-init", "pca", "raw")

_SEQUENCES, _FRAMES, _BATCH, _HIDDEN_DIM, _MASKS = 512, 16, 128, 64, 1024
_READ = 2048
"""Held-out moments to which probes are fitted; as many others score them."""


@dataclass(frozen=True)
class Case:
    """Say what is beside the state.

    Args:
        kind: `iid` or `slow`.
        num_nuisance: Channels of it; with 0 the kind does not matter.

    Raises:
        UserError: There is no such kind.
    """

    kind: str
    num_nuisance: int

    def __post_init__(self) -> None:
        require(self.kind in ("iid", "slow"), f"Nuisance is iid or slow, not {self.kind!r}.")

    @property
    def num_channels(self) -> int:
        """Return the channels of an observation."""
        return NUM_SEEN + self.num_nuisance

    def sequences(self, seed: int, ids: Int[Tensor, " b"], num_frames: int) -> tuple[Tensor, Tensor]:
        """Return what is seen, (b, t, channels), and the states, (b, t, 8): each a function of (seed, id) alone."""
        one = torch.zeros(1, dtype=torch.long)
        state = self._states(seed, ids, num_frames)
        mixing = Stream(seed, "nuisance/mixing").normal(0, one, NUM_SEEN * STATE_DIM).view(NUM_SEEN, STATE_DIM)
        nuisance = torch.zeros(len(ids), num_frames, 0)
        if self.num_nuisance:
            drawn = Stream(seed, f"nuisance/{self.kind}").normal(0, ids, num_frames * self.num_nuisance)
            nuisance = autoregressive(drawn.view(len(ids), num_frames, -1), KEPT_OF[self.kind])
        return torch.cat((state @ torch.linalg.qr(mixing)[0].T, nuisance), dim=-1), state

    def _states(self, seed: int, ids: Int[Tensor, " b"], num_frames: int) -> Float[Tensor, "b t k"]:
        """Return oscillators that turn by an angle of their own at every step, pushed by noise."""
        one, kept = torch.zeros(1, dtype=torch.long), KEPT_OF["state"]
        angle = 0.2 + 0.8 * Stream(seed, "nuisance/angle").uniform(0, one, STATE_DIM // 2)
        turn = torch.polar(torch.full_like(angle, kept), angle)[0]
        drawn = Stream(seed, "nuisance/state").normal(0, ids, num_frames * STATE_DIM)
        pushes = torch.view_as_complex(drawn.view(len(ids), num_frames, STATE_DIM // 2, 2))
        states = [pushes[:, 0]]
        for t in range(1, num_frames):
            states.append(turn * states[-1] + (1 - kept**2) ** 0.5 * pushes[:, t])
        return torch.view_as_real(torch.stack(states, dim=1)).flatten(2)


def autoregressive(drawn: Float[Tensor, "b t k"], kept: float) -> Float[Tensor, "b t k"]:
    """Return an AR(1) of unit variance from independent draws; with `kept` 0 the draws themselves."""
    if kept == 0.0:
        return drawn
    values = [drawn[:, 0]]
    for t in range(1, drawn.shape[1]):
        values.append(kept * values[-1] + (1 - kept**2) ** 0.5 * drawn[:, t])
    return torch.stack(values, dim=1)


@dataclass(frozen=True)
class Material:
    """Hold the data of several seeds, stacked: sequences to learn from, held-out moments, and their states."""

    learned: Float[Tensor, "s q t k"]
    held_out: Float[Tensor, "s r k"]
    state: Float[Tensor, "s r f"]


@lru_cache(maxsize=1)  # the arms of a case follow each other
def material(case: Case, seeds: tuple[int, ...]) -> Material:
    """Return the data of these seeds."""
    learned = [case.sequences(seed, torch.arange(_SEQUENCES), _FRAMES)[0] for seed in seeds]
    moments = [case.sequences(seed, HELD_OUT + torch.arange(2 * _READ), 1) for seed in seeds]
    seen, state = (torch.stack(values)[:, :, 0] for values in zip(*moments, strict=True))
    return Material(torch.stack(learned), seen, state)


def arm_cell(case: Case, arm: str, setting: Setting, seeds: Sequence[int], num_steps: int) -> dict[str, Any]:
    """Train an arm with each seed and return what its embeddings tell, after each quarter of the steps too."""
    start, data = time.monotonic(), material(case, tuple(seeds))
    encoder = _encoder(case, seeds)
    out_dim = STATE_DIM if ARMS[arm].is_jepa else case.num_channels
    predictor = StackedMLP(seeds, "predictor", (STATE_DIM, _HIDDEN_DIM, out_dim))
    learner = Learner(arm, setting.knob, encoder, predictor, (len(seeds), STATE_DIM))
    path: list[dict[str, Any]] = []

    def look(done: int) -> None:
        if done % max(1, num_steps // 4) == 0:
            path.append({"step": done, "state": read(_embedded(encoder, data), data)["state"]})

    learn(learner, setting.learning_rate, _lessons(data, setting, seeds, num_steps), look)
    told = read(_embedded(encoder, data), data)
    return _record(case, arm, seeds, told, time.monotonic() - start) | {
        "setting": asdict(setting),
        "num_steps": num_steps,
        "path": path,
    }


def floor_cell(case: Case, floor: str, seeds: Sequence[int]) -> dict[str, Any]:
    """Return what is told without learning: by the encoder as it was drawn, by principal axes, by what is seen."""
    start, data = time.monotonic(), material(case, tuple(seeds))
    if floor == "random-init":
        z = _embedded(_encoder(case, seeds), data)
    elif floor == "pca":
        z = torch.stack([principal(*pair) for pair in zip(data.learned.flatten(1, 2), data.held_out, strict=True)])
    else:
        z = data.held_out
    return _record(case, floor, seeds, read(z, data), time.monotonic() - start)


def principal(learned: Float[Tensor, "q k"], held_out: Float[Tensor, "r k"]) -> Float[Tensor, "r d"]:
    """Return held-out rows along the loudest directions of those learned from, as many as an embedding has numbers."""
    mean = learned.mean(dim=0)
    _, axes = torch.linalg.eigh(torch.cov((learned - mean).T))
    return (held_out - mean) @ axes[:, -STATE_DIM:]


def read(z: Float[Tensor, "s r d"], data: Material) -> dict[str, list[float]]:
    """Return R2 of the state from embeddings, and how many numbers' worth of the nuisance they hold, for each seed."""
    nuisance = data.held_out[..., NUM_SEEN:]
    told: dict[str, list[float]] = {"state": [], "nuisance_held": []}
    for rows, state, other in zip(z, data.state, nuisance, strict=True):
        probe = fit_factors(rows[:_READ, None], {"state": state[:_READ]})
        told["state"].append(explained(state[_READ:], probe(rows[_READ:, None])["state"]))
        told["nuisance_held"].append(held(rows, other) if other.shape[-1] and rows.shape[-1] == STATE_DIM else 0.0)
    return told


def held(z: Float[Tensor, "r d"], n: Float[Tensor, "r k"]) -> float:
    """Return the sum, over channels that are independent and of unit variance, of R2 from an embedding: at most d.

    It is the product of the correlations in two halves of the rows, which is right in the mean; the square of one half
    would count chance, of which many channels have much. So it may fall below 0.
    """
    centred = z - z.mean(dim=0)
    values, axes = torch.linalg.eigh(centred.T.double() @ centred.double() / len(z))
    white = centred.double() @ (axes / values.clamp_min(1e-9 * float(values.max())).sqrt())
    half = len(z) // 2
    first, second = (white[part].T @ n[part].double() / half for part in (slice(0, half), slice(half, 2 * half)))
    return float((first * second).sum())


def chosen(trials: Mapping[Setting, Mapping[str, Any]]) -> Setting:
    """Return the setting whose state is read best, in the mean over seeds; the first of equals."""
    return max(trials, key=lambda setting: sum(trials[setting]["state"]) / len(trials[setting]["state"]))


def _encoder(case: Case, seeds: Sequence[int]) -> StackedMLP:
    """Return the networks that every arm begins with."""
    return StackedMLP(seeds, "encoder", (case.num_channels, _HIDDEN_DIM, _HIDDEN_DIM, STATE_DIM))


@torch.no_grad()
def _embedded(encoder: StackedMLP, data: Material) -> Float[Tensor, "s r d"]:
    """Return the embeddings of the held-out moments."""
    z: Tensor = encoder(data.held_out)
    return z


def _record(
    case: Case, arm: str, seeds: Sequence[int], told: Mapping[str, list[float]], seconds: float
) -> dict[str, Any]:
    return {"part": "nuisance", "arm": arm, **asdict(case), "seeds": list(seeds), **told, "seconds": seconds}


def _lessons(data: Material, setting: Setting, seeds: Sequence[int], num_steps: int) -> Lessons:
    """Return pairs of frames drawn anew at every step, and for each a mask of the drawn ones."""
    ids = torch.arange(num_steps * _BATCH)
    drawn = [
        [Stream(seed, f"nuisance/{name}").integers(0, ids, 1, high).view(num_steps, _BATCH) for seed in seeds]
        for name, high in (("sequence", _SEQUENCES), ("time", _FRAMES - 1), ("mask", _MASKS))
    ]
    sequence, moment, mask = (torch.stack(each, dim=1) for each in drawn)  # each (steps, s, b)
    which = torch.arange(len(seeds))[:, None]
    num_channels = data.learned.shape[-1]

    @lru_cache(maxsize=1)
    def masks() -> Bool[Tensor, "s m k"]:
        ids = torch.arange(_MASKS)
        every = [Stream(seed, "nuisance/hidden").uniform(0, ids, num_channels) for seed in seeds]
        return torch.stack(every) < setting.knob

    def frames(step: int) -> Float[Tensor, "s b t k"]:
        now = (which, sequence[step], moment[step])
        return torch.stack((data.learned[now], data.learned[(*now[:2], moment[step] + 1)]), dim=2)

    return Lessons(num_steps, frames, lambda step: masks()[which, mask[step]])
