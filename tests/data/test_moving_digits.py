"""Moving digits: a pure function of seed and id, true to what it says of position, velocity, class and drift."""

import pytest
import torch

from jepakit.data import Digits, MovingDigits
from jepakit.types import UserError

IDS = torch.arange(12)
ALL = [(number, ground) for number in (1, 2) for ground in ("none", "noise", "texture")]


@pytest.mark.parametrize(("number", "ground"), ALL)
def test_clips_are_functions_of_seed_and_id_alone(number: int, ground: str) -> None:
    digits = MovingDigits(num_digits=number, background=ground, seed=3)
    frames = digits.frames(IDS, 4)
    assert frames.shape == (12, 4, 1, 32, 32)
    assert torch.equal(frames[7:8, :2], digits.frames(IDS[7:8], 2))
    assert not torch.equal(frames, MovingDigits(num_digits=number, background=ground, seed=4).frames(IDS, 4))
    assert len({frame.numpy().tobytes() for frame in frames[:, 0]}) == 12


def test_a_digit_that_stands_on_whole_pixels_is_the_scanned_one() -> None:
    digits = MovingDigits(speed=(0.0, 0.0), scale=1, image_size=9)
    frames, motion = digits.frames(torch.arange(400), 1), digits.motion(torch.arange(400), 1)
    scanned = Digits()
    assert scanned.labels is not None
    which = digits._which(torch.arange(400))[:, 0]
    assert torch.equal(scanned.labels[which], motion.label[:, 0])
    near = (motion.position[:, 0, 0] < 0.02).all(dim=1).nonzero()[:, 0]
    assert len(near) == 0 or torch.allclose(
        frames[near, 0, 0, :8, :8].float(), scanned.images[which[near], 0].float(), atol=12
    )
    shares = frames[:, 0, 0].float().sum((1, 2)) / scanned.images[which, 0].float().sum((1, 2))
    torch.testing.assert_close(shares, torch.ones(400), atol=0.02, rtol=0)  # no light is lost between pixels


def test_a_digit_is_where_it_is_said_to_be() -> None:
    digits = MovingDigits()
    light = digits.frames(IDS, 6)[:, :, 0].double()
    place = torch.arange(32).double()
    centre = torch.stack(
        [(light.sum(axis) * place).sum(-1) / light.sum((-2, -1)) for axis in (-2, -1)], dim=-1
    )  # x from columns, y from rows
    offset = centre - digits.motion(IDS, 6).position[:, :, 0].double()
    assert float((offset - offset[:, :1]).abs().max()) < 0.05  # the same within a digit all along its way
    assert float(offset.min()) > 3.0
    assert float(offset.max()) < 12.0


def test_digits_go_straight_on_and_are_mirrored_at_the_edges() -> None:
    digits = MovingDigits(num_digits=2)
    motion = digits.motion(torch.arange(200), 30)
    assert float(motion.position.min()) >= 0.0
    assert float(motion.position.max()) <= 16.0
    assert bool(((motion.velocity.abs() >= 1.0) & (motion.velocity.abs() <= 3.0)).all())
    assert torch.allclose(motion.velocity.abs(), motion.velocity.abs()[:, :1])
    gone = motion.position.diff(dim=1)
    same = motion.velocity[:, 1:] == motion.velocity[:, :-1]
    torch.testing.assert_close(gone[same], motion.velocity[:, 1:][same], atol=1e-4, rtol=0)
    at_edge = torch.minimum(motion.position[:, :-1], 16.0 - motion.position[:, :-1])
    assert bool((at_edge[~same] <= motion.velocity[:, :-1].abs()[~same]).all())
    assert 0 < int((~same).sum()) < same.numel()


def test_clips_for_tests_show_other_scanned_digits() -> None:
    for images in ((0, 1200), (1200, 1797)):
        digits = MovingDigits(images=images)
        shown = digits._scanned[0]
        assert len(shown) == images[1] - images[0]
        assert set(digits.motion(torch.arange(500), 1).label.flatten().tolist()) == set(range(10))
        assert torch.equal(shown[:, ::2, ::2], Digits().images[slice(*images), 0])


def test_backgrounds_are_behind_the_digits() -> None:
    plain = MovingDigits().frames(IDS, 3).int()
    for ground in ("noise", "texture"):
        drawn = MovingDigits(background=ground).frames(IDS, 3).int()
        assert bool((drawn >= plain).all())
        assert torch.equal(drawn[plain == 255], plain[plain == 255])
        assert float(drawn[plain == 0].float().std()) > 20.0
        weak = MovingDigits(background=ground, strength=0.1).frames(IDS, 3).int()
        assert int(weak[plain == 0].max()) <= 26


def test_noise_is_new_in_every_frame_and_a_texture_drifts_by_a_pixel() -> None:
    noise = MovingDigits(background="noise")._behind(IDS, 5)
    change = (noise[:, 1:] - noise[:, :-1]).abs().mean((2, 3))
    assert float(change.min()) > 0.25  # a third in the mean for independent draws
    texture, motion = MovingDigits(background="texture"), MovingDigits(background="texture").motion(IDS, 5)
    behind = texture._behind(IDS, 5)
    shift = texture._shift(IDS, 5)
    ways = (shift.diff(dim=1) + 16) % 32 - 16
    assert int(ways.abs().max()) == 1
    assert bool((ways.abs().sum(-1) > 0).all())
    assert torch.equal(ways, ways[:, :1].expand_as(ways))
    for clip in range(len(IDS)):
        across, down = ways[clip, 0].tolist()
        assert torch.equal(behind[clip, 1], behind[clip, 0].roll((-down, -across), (0, 1)))
    turns = 2 * torch.pi * shift.float() / 32
    torch.testing.assert_close(motion.drift, torch.cat((turns.cos(), turns.sin()), dim=-1))
    assert MovingDigits().motion(IDS, 2).drift.shape == (12, 2, 0)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"num_digits": 3}, "1 or 2 moving digits, not 3"),
        ({"image_size": 16}, "Digits of 16 pixels do not move in frames of 16"),
        ({"speed": (3.0, 1.0)}, "Speeds go from slow to fast"),
        ({"background": "rain"}, "none, noise or texture, not 'rain'"),
        ({"strength": 0.0}, r"in \(0, 1\], got 0.0"),
        ({"images": (5, 5)}, "counted from 0 to 1797"),
        ({"images": (0, 1798)}, "counted from 0 to 1797"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(wrong: dict[str, object], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        MovingDigits(**wrong)  # type: ignore[arg-type]
