"""Pairs of digits: functions of seed and id, true to what is said of them, one in front, parts that are held out apart."""

import pytest
import torch

from jepakit.data import DigitClipDecoder, DigitClips, DigitPairs, Digits, Loader, Subset, VideoDecoder, read_all
from jepakit.data.clips import ClipForm
from jepakit.types import UserError

IDS = torch.arange(12)
MANY = torch.arange(3000)


def unordered(digits: torch.Tensor) -> set[tuple[int, ...]]:
    return {tuple(sorted(pair)) for pair in digits.tolist()}


def test_clips_are_functions_of_seed_and_id_alone() -> None:
    pairs = DigitPairs(seed=3)
    frames = pairs.frames(IDS, 4)
    assert frames.shape == (12, 4, 1, 32, 32)
    assert torch.equal(frames[7:8, :2], pairs.frames(IDS[7:8], 2))
    assert not torch.equal(frames, DigitPairs(seed=4).frames(IDS, 4))
    assert len({frame.numpy().tobytes() for frame in frames[:, 0]}) == 12


def test_held_out_pairs_are_never_shown_elsewhere_and_each_digit_is() -> None:
    shown = {part: unordered(DigitPairs(part=part).digits(MANY)) for part in ("seen", "unseen speed", "unseen pair")}
    assert shown["seen"] == shown["unseen speed"]
    assert not shown["seen"] & shown["unseen pair"]
    assert (len(shown["seen"]), len(shown["unseen pair"])) == (44, 11)
    for part in ("seen", "unseen pair"):
        share = torch.bincount(DigitPairs(part=part).digits(MANY)[:, 0], minlength=10) / len(MANY)
        assert float((share - 0.1).abs().max()) < 0.025
    assert {digit for pair in shown["unseen pair"] for digit in pair} == set(range(10))


def test_held_out_speeds_are_the_only_fast_ones() -> None:
    for part, slow, fast in (("seen", 0.8, 2.4), ("unseen pair", 0.8, 2.4), ("unseen speed", 2.4, 3.4)):
        velocity = DigitPairs(part=part).motion(MANY, 20).velocity
        speed = velocity.norm(dim=-1)
        assert bool(((speed >= slow - 1e-4) & (speed <= fast + 1e-4)).all())
        assert float(speed.max() - speed.min()) > 0.9 * (fast - slow)
        ways = torch.atan2(velocity[:, 0, :, 1], velocity[:, 0, :, 0])
        assert float(ways.cos().mean().abs()) < 0.05  # every direction alike


def test_digits_are_where_they_are_said_to_be_and_what_they_are_said_to_be() -> None:
    pairs, ids = DigitPairs(speed=(0.0, 0.0), image_size=48, images=(1200, 1797)), torch.arange(400)
    frames, motion = pairs.frames(ids, 1)[:, 0, 0], pairs.motion(ids, 1)
    place = motion.position[:, 0]
    apart = (place[:, 0] - place[:, 1]).abs().amax(dim=1) > 21  # neither touches the other's rim
    scans = Digits().images[:, 0].float()
    _, which = pairs._drawn(ids)
    assert int(which.min()) >= 1200
    labels = Digits().labels
    assert labels is not None
    assert torch.equal(labels[which], motion.label)
    for clip in apart.nonzero()[:10, 0].tolist():
        for m in (0, 1):
            x, y = place[clip, m].round().int().tolist()
            cut = torch.nn.functional.avg_pool2d(frames[clip, y : y + 16, x : x + 16].float()[None], 2)[0]
            scan = scans[which[clip, m]]
            alike = torch.corrcoef(torch.stack((cut.flatten(), scan.flatten())))[0, 1]
            assert float(alike) > 0.85
    assert int(apart.sum()) > 10


def test_the_digit_in_front_hides_the_other_and_is_whole() -> None:
    pairs, ids = DigitPairs(), torch.arange(300)
    frames, motion = pairs.frames(ids, 1)[:, 0, 0].float() / 255, pairs.motion(ids, 1)
    ink, cover = pairs._sprites
    _, which = pairs._drawn(ids)
    from jepakit.data.moving_digits import weights

    x, y = (motion.position - 2).unbind(dim=-1)
    rows, columns = (weights(place, 32, 20)[:, 0] for place in (y, x))

    def drawn(sprite: torch.Tensor, m: int) -> torch.Tensor:
        return rows[:, m] @ sprite[which[:, m]] @ columns[:, m].transpose(1, 2)

    front, behind, hidden = drawn(ink, 0), drawn(ink, 1), drawn(cover, 0)
    assert bool((frames >= front - 0.003).all())
    torch.testing.assert_close(frames[hidden > 0.999], front[hidden > 0.999], atol=0.003, rtol=0)
    torch.testing.assert_close(frames[hidden < 1e-6], behind[hidden < 1e-6], atol=0.003, rtol=0)
    lost = (hidden > 0.999) & (front < 0.05) & (behind > 0.5)  # a rim without ink of its own
    assert int(lost.flatten(1).any(dim=1).sum()) > 100
    swapped = behind + (1 - drawn(cover, 1)) * front
    assert float((swapped - frames).abs().amax((1, 2)).median()) > 0.3  # order, not brightness, tells what is seen


def test_digits_go_straight_on_and_are_mirrored_at_the_edges() -> None:
    motion = DigitPairs().motion(torch.arange(200), 40)
    assert float(motion.position.min()) >= 0.0
    assert float(motion.position.max()) <= 16.0
    gone, velocity = motion.position.diff(dim=1), motion.velocity
    same = velocity[:, 1:] == velocity[:, :-1]
    torch.testing.assert_close(gone[same], velocity[:, 1:][same], atol=1e-4, rtol=0)
    assert 0 < int((~same).sum()) < same.numel()


def test_a_source_of_clips_is_drawn_as_it_is_asked_for() -> None:
    clips = DigitClips(DigitPairs(seed=1), num_frames=3, num=100, first=50)
    part = Subset(Subset(clips, range(10, 90)), [5, 7, 9])
    decoder = DigitClipDecoder(part)
    content, ids, skipped = read_all(decoder, 0)
    assert (ids.tolist(), skipped) == ([0, 1, 2], [])
    assert torch.equal(content, DigitPairs(seed=1).frames(torch.tensor([65, 67, 69]), 3))
    assert torch.equal(decoder.decode(1), part.read(1))
    assert part.name(1) == "pair of digits 67"
    assert torch.equal(clips.labels, DigitPairs(seed=1).digits(50 + torch.arange(100))[:, 0])
    form = ClipForm(num_frames=3, fps=1, image_size=32, channels=1)
    assert torch.equal(read_all(VideoDecoder(part, form), 0)[0], content)
    other = ClipForm(num_frames=3, fps=1, image_size=16, channels=1)
    with pytest.raises(UserError, match=r"uint8 of shape \(3, 1, 32, 32\), not uint8 \(3, 1, 16, 16\)"):
        read_all(VideoDecoder(part, other), 0)
    loader = Loader(DigitClipDecoder(clips, channels=3), 20, seed=0, num_workers=0)
    assert not loader.in_memory
    _, batch = next(iter(loader))
    assert torch.equal(batch.video[:, :, 2:], DigitPairs(seed=1).frames(50 + batch.id, 3))


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"part": "new"}, "are seen, unseen speed or unseen pair, not 'new'"),
        ({"image_size": 16}, "Digits of 16 pixels do not move in frames of 16"),
        ({"speed": (3.0, 1.0)}, "Speeds go from slow to fast"),
        ({"unseen_speed": (1.0, 2.0)}, r"\(1.0, 2.0\) are not unseen"),
        ({"images": (0, 1798)}, "counted from 0 to 1797"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(wrong: dict[str, object], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        DigitPairs(**wrong)  # type: ignore[arg-type]
