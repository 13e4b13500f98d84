"""Surprise of a toy model whose energies are known, calibrated to the false alarms that were asked for."""

import pytest
import torch
from torch import Tensor, nn

from jepakit.evaluation.energies import changed, foreseen, measured, persisted, pixels_changed
from jepakit.evaluation.surprise import Calibration, calibrate, clip_of, cut, surprise, windows
from jepakit.jepa import Objective
from jepakit.methods.world import questions_of
from jepakit.objectives import mse
from jepakit.random import Stream
from jepakit.types import ClipBatch, Prediction, UserError


class Walker(nn.Module):
    """Foresees numbers that grow by their actions: a frame's brightest pixel is where it stands; nothing is learnt."""

    def __init__(self, num_horizons: int = 2, num_tokens: int = 1, draws_present: bool = False):
        super().__init__()
        self.still = nn.Parameter(torch.zeros(1))
        self.objective = Objective(mse)
        self.num_horizons, self.num_tokens, self.draws_present = num_horizons, num_tokens, draws_present
        self.seen = 0

    def embed(self, frames: Tensor, proprio: Tensor | None = None) -> Tensor:
        assert not self.training
        assert not torch.is_grad_enabled()
        return frames[:, :, 0, 0, :1].float()

    def predict(self, batch: ClipBatch, step: int) -> Prediction:
        self.seen = max(self.seen, len(batch))
        z = self.embed(batch.frames)
        until = batch.action.cumsum(dim=1)
        until = torch.cat((torch.zeros_like(until[:, :1]), until), dim=1)
        asked, tokens = [], torch.arange(self.num_tokens).float()[:, None]  # token n misses by n more
        for k in range(0 if self.draws_present else 1, min(self.num_horizons, z.shape[1] - 1) + 1):
            told = z[:, : z.shape[1] - k] + until[:, k:] - until[:, : z.shape[1] - k]
            many = (told[:, :, None] + tokens, z[:, k:, None].expand(-1, -1, self.num_tokens, -1))
            asked.append(many if self.num_tokens > 1 else (told, z[:, k:]))
        return questions_of(asked, first=0 if self.draws_present else 1)


def walk(places: list[list[int]], action: list[list[float]]) -> ClipBatch:
    frames = torch.tensor(places, dtype=torch.uint8)[:, :, None, None, None].expand(-1, -1, 1, 2, 2).contiguous()
    return ClipBatch(frames, torch.tensor(action)[..., None], torch.arange(len(places)))


def wandering(num: int, first: int = 0, num_frames: int = 6) -> ClipBatch:
    """Return walks whose steps are told but for noise."""
    ids = torch.arange(first, first + num)
    steps = Stream(0, "test/steps").integers(0, ids, num_frames - 1, 4)
    noise = Stream(0, "test/noise").normal(0, ids, num_frames - 1)
    places = torch.cat((torch.zeros(num, 1, dtype=torch.long), steps.cumsum(1)), dim=1)
    frames = places.to(torch.uint8)[:, :, None, None, None].expand(-1, -1, 1, 2, 2).contiguous()
    return ClipBatch(frames, (steps + 0.3 * noise)[..., None], ids)


def test_energies_stand_at_the_horizon_and_the_frame_that_was_predicted() -> None:
    clip = walk([[1, 2, 7, 8], [5, 5, 5, 5]], [[1.0, 1.0, 1.0], [0.0, 2.0, 0.0]])
    energy = measured(foreseen(Walker(num_horizons=3)), clip)
    nan = torch.nan
    expected = [
        [[nan, 0.0, 16.0, 0.0], [nan, nan, 16.0, 16.0], [nan, nan, nan, 16.0]],
        [[nan, 0.0, 4.0, 0.0], [nan, nan, 4.0, 4.0], [nan, nan, nan, 4.0]],
    ]
    torch.testing.assert_close(energy, torch.tensor(expected), equal_nan=True)


def test_tokens_are_averaged_and_drawing_the_present_is_not_asked() -> None:
    clip = walk([[1, 2, 7, 8]], [[1.0, 1.0, 1.0]])
    plain = measured(foreseen(Walker(num_tokens=2)), clip)
    expected = torch.tensor([[0.5, (16 + 16) / 2 + 0.5 - 4, 0.5], [torch.nan, 16 / 2 + 9 / 2, 16 / 2 + 9 / 2]])
    torch.testing.assert_close(plain[0, :, 1:], expected, equal_nan=True)
    with_present = measured(foreseen(Walker(num_tokens=2, draws_present=True)), clip)
    assert torch.equal(plain.nan_to_num(-1.0), with_present.nan_to_num(-1.0))


def test_measuring_leaves_the_model_as_it_was_and_takes_few_clips_at_a_time() -> None:
    model, clip = Walker().train(), wandering(10)
    whole = measured(foreseen(model), clip)
    assert model.training
    assert model.seen == 10
    few = Walker().eval()
    assert torch.equal(measured(foreseen(few), clip, at_once=3).nan_to_num(), whole.nan_to_num())
    assert few.seen <= 3
    assert not few.training


def test_floors_predict_that_nothing_moves() -> None:
    clip = walk([[1, 2, 7, 8]], [[1.0, 1.0, 1.0]])
    expected = torch.tensor([[[1.0, 25.0, 1.0], [torch.nan, 36.0, 36.0]]])
    torch.testing.assert_close(measured(persisted(Walker(), 2), clip)[:, :, 1:], expected, equal_nan=True)
    pixels = measured(pixels_changed(2), clip)[:, :, 1:]
    torch.testing.assert_close(pixels, expected / 255**2, equal_nan=True)
    assert changed(torch.zeros(2, 3, 4), 9).shape == (2, 2, 3), "no horizon is longer than a clip"


def test_pixels_that_lie_elsewhere_change_a_picture_exactly_as_much() -> None:
    frames = torch.randint(0, 256, (8, 2, 3, 33, 33), dtype=torch.uint8)
    ids, nothing = torch.arange(8), torch.zeros(8, 1, 2)
    energies = [measured(pixels_changed(1), ClipBatch(seen, nothing, ids)) for seen in (frames, frames.flip(-1))]
    assert torch.equal(*(energy[:, :, 1] for energy in energies))


def test_a_calibration_standardises_by_horizon_and_place() -> None:
    measure, clip = foreseen(Walker()), wandering(200)
    energy, found = measured(measure, clip), calibrate(foreseen(Walker()), clip)
    asked = ~energy[0].isnan()
    torch.testing.assert_close(found.mean[asked], energy.mean(dim=0)[asked])
    torch.testing.assert_close(found.std[asked], energy.std(dim=0)[asked], rtol=1e-4, atol=1e-4)
    standard = found.standardised(energy)[:, asked]
    torch.testing.assert_close(standard.mean(dim=0), torch.zeros(int(asked.sum())), atol=1e-4, rtol=0.0)
    torch.testing.assert_close(standard.std(dim=0), torch.ones(int(asked.sum())), atol=1e-3, rtol=0.0)
    torch.testing.assert_close(found.scores(energy)[:, 1], found.standardised(energy)[:, 0, 1])
    torch.testing.assert_close(found.scores(energy)[:, 4], found.standardised(energy)[:, :, 4].mean(dim=1))
    torch.testing.assert_close(found.quantile[2][asked], energy.median(dim=0).values[asked], atol=0.05, rtol=0.0)
    assert found.num_frames == 6


def test_tails_count_the_ordinary_clips_that_scored_as_much() -> None:
    one = torch.ones(1, 2)
    found = Calibration(one, one, one[None], torch.tensor([[0.0], [1.0], [1.0], [3.0]]))
    scores = torch.tensor([[torch.nan, -1.0], [torch.nan, 1.0], [torch.nan, 2.0], [torch.nan, 9.0]])
    tails = found.tails(scores)
    torch.testing.assert_close(tails[:, 1], torch.tensor([5, 4, 2, 1]) / 5)
    assert bool((tails[:, 0] == 1.0).all())


@pytest.mark.parametrize("rate", [0.01, 0.1])
def test_held_out_ordinary_clips_raise_as_many_false_alarms_as_asked(rate: float) -> None:
    measure = foreseen(Walker())
    found = calibrate(measure, wandering(2000))
    marked = surprise(measure, found, wandering(4000, first=10_000), rate).marked
    by_place = marked.float().mean(dim=0)
    assert float(by_place[0]) == 0.0
    deviation = 3.0 * (rate * (1 - rate) * (1 / 2000 + 1 / 4000)) ** 0.5
    torch.testing.assert_close(by_place[1:], torch.full((5,), rate), atol=deviation, rtol=0.0)


@pytest.mark.parametrize("rate", [0.005, 0.01, 0.105, 0.5, 0.999])
def test_what_is_marked_is_what_exceeds_the_limit(rate: float) -> None:
    measure = foreseen(Walker())
    found = calibrate(measure, wandering(200))
    said = surprise(measure, found, wandering(300, first=1000, num_frames=11), rate)
    assert torch.equal(said.marked[:, 1:], (said.score > said.limit)[:, 1:])
    assert said.limit.shape == (11,)
    assert not bool(said.limit[0].isfinite())


def test_a_jump_is_marked_where_it_happens() -> None:
    measure = foreseen(Walker(num_horizons=1))
    found = calibrate(measure, wandering(200))
    clip = walk([[0, 1, 2, 9, 10, 11], [0, 1, 2, 3, 4, 5]], [[1.0] * 5, [1.0] * 5])
    said = surprise(measure, found, clip, rate=0.01)
    assert said.moments(0) == [3]
    assert said.moments(1) == []
    assert float(said.tail[0, 3]) == pytest.approx(1 / 201)
    assert float(said.of_clip[0]) > float(said.of_clip[1])


def test_energies_that_are_always_the_same_are_no_reason_for_a_division_by_zero() -> None:
    exact = walk([[0, 1, 2, 3]] * 20, [[1.0] * 3] * 20)
    found = calibrate(foreseen(Walker()), exact)
    said = surprise(foreseen(Walker()), found, exact, rate=0.1)
    assert bool(said.score[:, 1:].isfinite().all())
    assert not bool(said.marked.any())
    jump = surprise(foreseen(Walker()), found, walk([[0, 1, 9, 10]], [[1.0] * 3]), rate=0.1)
    assert jump.moments() == [2, 3]


def test_windows_cover_each_frame_once_with_half_a_window_before_it() -> None:
    for num_frames in range(2, 40):
        for length in range(2, 12):
            taken = [
                frame
                for first, begin in windows(num_frames, length)
                for frame in range(first + begin, min(first + length, num_frames))
            ]
            assert taken == list(range(num_frames))
            assert all(begin >= max(1, length // 2) for _, begin in windows(num_frames, length)[1:])
            assert all(first + length <= num_frames for first, _ in windows(num_frames, length)[1:])


def test_long_sequences_are_judged_as_their_windows_are() -> None:
    measure = foreseen(Walker())
    found = calibrate(measure, wandering(200))
    long = wandering(3, first=500, num_frames=14)
    said = surprise(measure, found, long, rate=0.05)
    assert said.score.shape == (3, 14)
    for first, begin in windows(14, 6):
        part = surprise(measure, found, cut(long, first, first + 6), rate=0.05)
        torch.testing.assert_close(said.score[:, first + begin : first + 6], part.score[:, begin:], equal_nan=True)
    short = surprise(measure, found, cut(long, 0, 3), rate=0.05)
    torch.testing.assert_close(short.score, said.score[:, :3], equal_nan=True)


def test_cutting_keeps_all_actions_between_frames() -> None:
    frames = torch.zeros(1, 4, 1, 2, 2, dtype=torch.uint8)
    clip = ClipBatch(frames, torch.arange(6.0)[None, :, None], torch.arange(1), torch.zeros(1, 4, 3))
    part = cut(clip, 1, 3)
    assert part.action.flatten().tolist() == [2.0, 3.0]
    assert part.frames.shape[1] == 2
    assert part.proprio is not None
    assert part.proprio.shape == (1, 2, 3)
    assert cut(clip, 2, 9).action.flatten().tolist() == [4.0, 5.0]


def test_a_calibration_can_be_kept_and_taken_up_again() -> None:
    found = calibrate(foreseen(Walker()), wandering(20))
    again = Calibration.from_tensors(found.tensors())
    assert all(
        torch.equal(again.tensors()[name].nan_to_num(), part.nan_to_num()) for name, part in found.tensors().items()
    )
    with pytest.raises(UserError, match="std is missing"):
        Calibration.from_tensors({name: part for name, part in found.tensors().items() if name != "std"})


def test_arrays_are_taken_as_clips() -> None:
    clip = wandering(2)
    one = clip_of(clip.frames[0].numpy(), clip.action[0].numpy())
    assert torch.equal(one.frames, clip.frames[:1])
    assert torch.equal(one.action, clip.action[:1])
    both = clip_of(clip.frames, clip.action, torch.zeros(2, 6, 3))
    assert torch.equal(both.frames, clip.frames)
    assert both.proprio is not None


def test_what_cannot_be_judged_is_said_in_a_sentence() -> None:
    measure = foreseen(Walker())
    found = calibrate(measure, wandering(50))
    clip = wandering(2)
    with pytest.raises(UserError, match="at least 99"):
        surprise(measure, found, clip, rate=0.01)
    with pytest.raises(UserError, match="between 0 and 1"):
        surprise(measure, found, clip, rate=1.0)
    with pytest.raises(UserError, match="single frame"):
        surprise(measure, found, cut(clip, 0, 1), rate=0.1)
    with pytest.raises(UserError, match="at least 2 ordinary"):
        calibrate(measure, wandering(1))
    broken = ClipBatch(clip.frames, clip.action * torch.nan, clip.id)
    with pytest.raises(UserError, match="no finite numbers"):
        calibrate(measure, broken)
    with pytest.raises(UserError, match="uint8"):
        clip_of(clip.frames.float(), clip.action)
    with pytest.raises(UserError, match="Between 6 frames"):
        clip_of(clip.frames, clip.action[:, :3])
    with pytest.raises(UserError, match="no finite number"):
        clip_of(clip.frames, broken.action)
    with pytest.raises(UserError, match="proprio"):
        clip_of(clip.frames, clip.action, torch.zeros(2, 5, 3))


def test_a_model_that_asks_from_some_starts_alone_is_refused() -> None:
    class Lazy(Walker):
        def predict(self, batch: ClipBatch, step: int) -> Prediction:
            z = self.embed(batch.frames)
            return questions_of([(z[:, 1:3], z[:, 1:3])])

    with pytest.raises(UserError, match="from every frame"):
        measured(foreseen(Lazy()), wandering(2))
