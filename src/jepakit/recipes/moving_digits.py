"""Study what encoders keep of a bouncing digit before a background: none, noise, or a texture that drifts.

Two frames are seen and the third is predicted: its embedding, or its pixels. Encoder and predictor are the same for all
arms; the one that predicts pixels has a decoder behind it. Clips for probes and scores show scanned digits and motions
that no training has seen.
"""

import time
from collections.abc import Mapping
from dataclasses import asdict
from functools import lru_cache, partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from jepakit.data import Motion, MovingDigits
from jepakit.evaluation import fit_ridge
from jepakit.evaluation.factor_probe import explained, fit_factors
from jepakit.nn.framedecoder import FrameDecoderConfig
from jepakit.nn.framenet import FrameNetConfig
from jepakit.nn.stacked import StackedMLP
from jepakit.random import Stream, seeded_init
from jepakit.recipes.predicting import ARMS, Learner, Lessons, Setting, learn

DIGIT_ARMS = ("ema", "sigreg", "vicreg", "next-input")
DIGIT_FLOORS = ("random-init", "raw")
EMBEDDING_DIM = 16

_CLIPS, _FRAMES, _SEEN, _BATCH, _HIDDEN_DIM = 2048, 6, 2, 64, 128
_READ = 1000
"""Held-out frames to which probes are fitted; as many others score them."""

_OF_TRAINING, _OF_TESTS = (0, 1200), (1200, 1797)
"""Scanned digits: the first come from other writers than the last."""


class Frames(nn.Module):
    """Encode frames as one network of a stack: (1, r, 1, h, w) to (1, r, d)."""

    def __init__(self, seed: int):
        super().__init__()
        config = FrameNetConfig(
            image_size=32, in_channels=1, patch_size=4, width=32, dim=EMBEDDING_DIM, normalise=False
        )
        with seeded_init(seed, "encoder"):
            self.net = config.build()

    def forward(self, frames: Float[Tensor, "1 r 1 h w"]) -> Float[Tensor, "1 r d"]:
        """Return the embedding of each frame."""
        z: Tensor = self.net(frames[0])
        return z[None, :, 0]


class Drawn(nn.Module):
    """Predict an embedding and draw it: (1, b, k) to the pixels of a frame (1, b, m)."""

    def __init__(self, predictor: nn.Module, seed: int):
        super().__init__()
        self.predictor = predictor
        with seeded_init(seed, "decoder"):
            self.decoder = FrameDecoderConfig(widths=(32, 32, 16)).build(EMBEDDING_DIM, 32, 1)

    def forward(self, z: Float[Tensor, "1 b k"]) -> Float[Tensor, "1 b m"]:
        """Return the pixels of the predicted frame, laid end to end."""
        drawn: Tensor = self.decoder(self.predictor(z)[0])
        return drawn.flatten(1)[None]


class Clips:
    """Hold the clips of one seed before a background: to learn from, to fit probes to, and to score.

    Frames are normalised by the mean and the deviation of those to learn from.

    Args:
        background: What is behind the digit.
        seed: Of clips, weights and batches.
    """

    def __init__(self, background: str, seed: int):
        self.seed = seed
        make = partial(MovingDigits, seed=seed, background=background)
        known, new = make(images=_OF_TRAINING), make(images=_OF_TESTS)
        self.learned = known.frames(torch.arange(_CLIPS), _FRAMES)
        level = self.learned.float() / 255.0
        self.mean, self.std = float(level.mean()), float(level.std())
        ids = _CLIPS + torch.arange(_READ)
        self.fitting = self._normalised(known.frames(ids, 1)[:, 0]), known.motion(ids, 1)
        self.scoring = self._normalised(new.frames(ids + _READ, 1)[:, 0]), new.motion(ids + _READ, 1)

    def lessons(self, num_steps: int) -> Lessons:
        """Return three frames in a row of clips drawn anew at every step."""
        ids = torch.arange(num_steps * _BATCH)
        last = _FRAMES - _SEEN
        clip, first = (
            Stream(self.seed, f"moving/{name}").integers(0, ids, 1, high).view(num_steps, _BATCH)
            for name, high in (("clip", _CLIPS), ("first", last))
        )

        def frames(step: int) -> Float[Tensor, "1 b t 1 h w"]:
            when = first[step][:, None] + torch.arange(_SEEN + 1)
            return self._normalised(self.learned[clip[step][:, None], when])[None]

        return Lessons(num_steps, frames)

    def _normalised(self, frames: Tensor) -> Tensor:
        return (frames.float() / 255.0 - self.mean) / self.std


@lru_cache(maxsize=1)  # the arms before a background follow each other
def clips(background: str, seed: int) -> Clips:
    """Return the clips of a seed."""
    return Clips(background, seed)


def digit_cell(background: str, arm: str, setting: Setting, seed: int, num_steps: int) -> dict[str, Any]:
    """Train an arm and return what its embeddings tell of where the digit is, which it is, and how the ground moves."""
    start, data, encoder = time.monotonic(), clips(background, seed), Frames(seed)
    predictor: nn.Module = StackedMLP([seed], "predictor", (_SEEN * EMBEDDING_DIM, _HIDDEN_DIM, EMBEDDING_DIM))
    predictor = predictor if ARMS[arm].is_jepa else Drawn(predictor, seed)
    learner = Learner(arm, setting.knob, encoder, predictor, (1, EMBEDDING_DIM))
    learn(learner, setting.learning_rate, data.lessons(num_steps))
    told = read(encoder, data)
    return _record(background, arm, seed, told, start) | {"setting": asdict(setting), "num_steps": num_steps}


def digit_floor_cell(background: str, floor: str, seed: int) -> dict[str, Any]:
    """Return what is told without learning: by the encoder as it was drawn, or by the pixels themselves."""
    start, data = time.monotonic(), clips(background, seed)
    return _record(background, floor, seed, read(Frames(seed) if floor == "random-init" else None, data), start)


@torch.no_grad()
def read(encoder: Frames | None, data: Clips) -> dict[str, float]:
    """Return R2 of a linear reading of position and drift, and the share of digits told right; of pixels where None."""
    (fitted, known), (scored, true) = data.fitting, data.scoring
    z, asked = (x.flatten(1) if encoder is None else encoder(x[None])[0] for x in (fitted, scored))
    probe = fit_factors(z[:, None], _factors(known))(asked[:, None])
    told = {name: explained(value, probe[name]) for name, value in _factors(true).items()}
    right = fit_ridge(z, known.label[:, 0], 10).predict(asked) == true.label[:, 0]
    return told | {"accuracy": float(right.double().mean())}


def _factors(motion: Motion) -> Mapping[str, Float[Tensor, "r _"]]:
    """Return what is read linearly of the first frame."""
    factors = {"position": motion.position[:, 0, 0]}
    return factors | ({"drift": motion.drift[:, 0]} if motion.drift.shape[-1] else {})


def _record(background: str, arm: str, seed: int, told: Mapping[str, float], start: float) -> dict[str, Any]:
    where = {"part": "moving-digits", "arm": arm, "background": background, "seed": seed}
    return where | dict(told) | {"seconds": time.monotonic() - start}
