"""The plain form of V-JEPA's step, beside which ours is timed, computes the same loss and the same gradients."""

import torch
from scripts import script


def test_the_plain_step_is_the_same_function() -> None:
    video_step = script("benchmarks/video_step.py")
    video_step.SIDE, video_step.FRAMES = 64, 4  # smaller than what is timed
    ours, _, _ = video_step.prepared("plain", depth=1)
    plain, _, _ = video_step.prepared("plain", depth=1)
    batch = video_step.clips(2, 0)
    ours(batch, 0).loss.backward()

    class Still:
        def step(self) -> None:
            pass

        def zero_grad(self) -> None:
            pass

    useful = video_step.plain_step(plain, Still(), batch, 0)
    hides = plain.hides(batch.id, 0)
    assert useful == sum(hidden.context_idx.numel() + hidden.target_idx.numel() for hidden in hides)
    for (name, parameter), other in zip(ours.named_parameters(), plain.parameters(), strict=True):
        if parameter.requires_grad:
            torch.testing.assert_close(other.grad, parameter.grad, rtol=1e-3, atol=1e-5, msg=name)
