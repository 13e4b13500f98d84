import pytest
import torch

from jepakit.types import UserError
from jepakit.views import Augment, ClipPreprocess, ClipViews, Preprocess

PREPROCESS = ClipPreprocess(num_frames=3, frame=Preprocess(image_size=8, mean=(0.4,), std=(0.2,)))
VIEWS = ClipViews(frame=Augment(image_size=8, flip_prob=0.5, jitter_prob=0.5, mean=(0.4,), std=(0.2,)), seed=3)


def video(b: int = 4, t: int = 3) -> torch.Tensor:
    return torch.randint(0, 256, (b, t, 3, 10, 12), dtype=torch.uint8)


def test_each_frame_is_prepared_like_an_image() -> None:
    x = video()
    prepared = PREPROCESS(x)
    assert prepared.shape == (4, 3, 3, 8, 8)
    for frame in range(3):
        torch.testing.assert_close(prepared[:, frame], PREPROCESS.frame(x[:, frame]))
    assert PREPROCESS.channels == 3 and PREPROCESS.shape == (8, 8)


def test_pixels_come_back() -> None:
    x = torch.randint(0, 256, (2, 3, 3, 8, 8), dtype=torch.uint8)
    assert torch.equal(PREPROCESS.to_source(PREPROCESS(x)), x)


def test_all_frames_of_a_clip_are_changed_alike_and_clips_each_in_their_own_way() -> None:
    still = video(b=1, t=1).expand(6, 3, -1, -1, -1).contiguous()
    view = VIEWS(still, torch.arange(6), step=2)
    assert view.params.shape == (6, len(VIEWS.params))
    torch.testing.assert_close(view.image[:, 1], view.image[:, 0])
    assert (view.image[0] - view.image[1]).abs().max() > 0.1


def test_a_view_depends_on_id_step_and_seed_alone() -> None:
    x = video()
    whole = VIEWS(x, torch.arange(4), step=5).image
    torch.testing.assert_close(VIEWS(x[2:3], torch.tensor([2]), step=5).image[0], whole[2])
    other = ClipViews(frame=VIEWS.frame, seed=4)(x, torch.arange(4), step=5).image
    assert (other - whole).abs().max() > 0.1


def test_ways_between_views_are_those_of_images() -> None:
    params = VIEWS(video(), torch.arange(4), step=0).params
    assert torch.equal(VIEWS.relative(params, params), torch.zeros_like(params))


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(UserError, match="noise is not added to clips"):
        ClipViews(frame=Augment(image_size=8, noise_std=0.1))
    with pytest.raises(UserError, match="at least one frame"):
        ClipPreprocess(num_frames=0, frame=PREPROCESS.frame)
