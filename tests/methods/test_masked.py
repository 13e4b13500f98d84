"""What was not measured: views lose it before the encoder, targets keep it, and pooling leaves it out."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from einops import rearrange
from tiny_runs import tiny_series

from jepakit.jepa import gather_tokens
from jepakit.types import SignalBatch
from jepakit.views import SeriesPreprocess


def method_of(name: str, **views: float) -> Any:
    """Build a small method on windows of 3 channels and 24 moments, in patches of 4."""
    config: Any = tiny_series(Path("unread.csv"), name).method
    preprocess = SeriesPreprocess(signal_channels=3, length=24)
    encoder = replace(config.encoder, image_size=(3, 24))
    augment = replace(config.augment, **views)
    return replace(config, encoder=encoder, preprocess=preprocess, augment=augment).build(seed=0, num_steps=1).eval()


def test_a_window_is_pooled_without_patches_of_which_nothing_was_measured() -> None:
    method, signal = method_of("series-ijepa"), torch.randn(4, 3, 24)
    signal[1, :, 3:13] = torch.nan  # the second and the third patch as a whole, of the first and the fourth a part
    signal[2, 1] = torch.nan
    signal[3] = torch.nan
    x = method.preprocess(signal)
    z = method.encode(x)
    places = torch.arange(18).view(3, 6)
    kept = (places, places[:, [0, 3, 4, 5]], places[[0, 2]], places)
    for one, row, at in zip(z, x, kept, strict=True):
        alone = method.encoder(row[None], at.reshape(1, -1)).mean(dim=1)[0]
        torch.testing.assert_close(one, alone, atol=1e-5, rtol=1e-4)
    assert not torch.allclose(z[1], method.encoder(x[1:2]).mean(dim=1)[0], atol=1e-3)
    torch.testing.assert_close(method.encode(x, tokens=True), method.encoder(x))


def test_what_a_view_loses_is_lost_to_the_encoder_and_not_to_the_targets() -> None:
    method = method_of("series-values", gap=0.7, channel_drop=0.8)
    batch = SignalBatch(torch.randn(8, 3, 24), torch.arange(8))
    told, hidden = method.predict(batch, 3), method.hide(batch.id, 3)
    whole = method.target(method.preprocess(batch.content))
    asked = rearrange(hidden.target_idx, "b q m -> b (q m)")
    torch.testing.assert_close(told.z, rearrange(gather_tokens(whole, asked), "b m d -> (b m) d"))
    seen = method.augment(batch.content, batch.id, 3).image
    assert bool((seen[:, 1] == 0).any())
    torch.testing.assert_close(told.z_hat, method.answers(seen, hidden, whole).z_hat)
    assert not torch.allclose(told.z_hat, method.answers(method.preprocess(batch.content), hidden, whole).z_hat)
