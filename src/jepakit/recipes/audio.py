"""Recipes for short sounds: a log-mel spectrogram is a picture of mels by frames, or the waveform one of a single row.

`--data.train` names the sounds. Whole views of the spectrogram go through a small convolutional network; hidden patches
through a small transformer, whose arms differ in what is to be predicted, or in what they are shown.
"""

from dataclasses import replace
from typing import Any

from jepakit.masking import BandMask, RandomMask
from jepakit.methods import IJEPAConfig, PixelsConfig, TransformJEPAConfig
from jepakit.nn import ConvNetConfig, ViTConfig
from jepakit.recipes.config import ImageMethodConfig, SignalRecipe
from jepakit.recipes.data import AudioData
from jepakit.recipes.pace import small_training
from jepakit.views import MelPreprocess, SoundViews, WavePreprocess

_RATE, _LENGTH = 8000, 6400
_MEL = MelPreprocess(rate=_RATE, length=_LENGTH, num_mels=32, hop_s=0.02)
_CONV = ConvNetConfig(stem_width=32, widths=(48, 96, 192), pools=(True, True, False), in_channels=1)
_VIT = ViTConfig(image_size=_MEL.shape, patch_size=(8, 4), dim=128, depth=2, num_heads=4, in_channels=1, stem="cosine")
_VIEWS = SoundViews(preprocess=_MEL, shift_fraction=0.1, speed=1.2, tilt_db=5.0, noise_prob=0.5)
_MASKED: dict[str, Any] = {
    "encoder": _VIT,
    "mask": RandomMask(grid=_VIT.grid, target_fraction=0.6),
    "augment": SoundViews(preprocess=_MEL, shift_fraction=0.1),
    "preprocess": _MEL,
    "predictor_dim": 64,
    "predictor_depth": 1,
    "predictor_heads": 4,
    "context_pass": "once",
}
"""What embeddings and values are predicted with alike: they differ in what is to be predicted alone."""


def _recipe(name: str, method: ImageMethodConfig, muon_ratio: float, num_steps: int = 300) -> SignalRecipe:
    return SignalRecipe(
        recipe=name,
        method=method,
        data=AudioData(train="sounds", rate=_RATE, length=_LENGTH),
        training=small_training(num_steps, 128, muon_ratio=muon_ratio),
    )


def audio_transform() -> SignalRecipe:
    """Learn sounds by predicting a spectrogram's embedding at another moment, speed, colour and noise."""
    method = TransformJEPAConfig(encoder=_CONV, augment=_VIEWS, preprocess=_MEL, projector_dims=(512, 64))
    return _recipe("audio-transform", method, muon_ratio=8.0)


def audio_ijepa() -> SignalRecipe:
    """Learn sounds by predicting whitened embeddings of hidden patches of a spectrogram (A-JEPA)."""
    method = IJEPAConfig(**_MASKED, distance="mse", momentum=0.99, target_norm="whiten")
    return _recipe("audio-ijepa", method, muon_ratio=4.0)


def audio_values() -> SignalRecipe:
    """Learn sounds by predicting the hidden patches of a spectrogram themselves: the arm without embeddings."""
    return _recipe("audio-values", PixelsConfig(**_MASKED, standardise=False), muon_ratio=4.0)


def audio_wave() -> SignalRecipe:
    """Learn sounds by predicting whitened embeddings of hidden stretches of the waveform itself."""
    wave = WavePreprocess(rate=_RATE, length=_LENGTH)
    encoder = replace(_VIT, image_size=wave.shape, patch_size=(1, 80))
    own: dict[str, Any] = {
        "encoder": encoder,
        "mask": BandMask(grid=encoder.grid, target_fraction=0.5, num_targets=2),  # neighbours tell a lone piece
        "augment": SoundViews(preprocess=wave),
        "preprocess": wave,
    }
    method = IJEPAConfig(**(_MASKED | own), distance="mse", momentum=0.99, target_norm="whiten")
    return _recipe("audio-wave", method, muon_ratio=4.0)
