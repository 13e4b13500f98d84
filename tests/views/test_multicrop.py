import pytest
import torch

from jepakit.types import UserError
from jepakit.views import Augment, MultiCrop

GLOBAL = Augment(image_size=16, crop_scale=(0.3, 1.0), flip_prob=0.5)
LOCAL = Augment(image_size=8, crop_scale=(0.05, 0.3), flip_prob=0.5)


def test_global_views_come_first_and_all_differ():
    image = torch.randint(0, 256, (3, 3, 20, 20), dtype=torch.uint8)
    views = MultiCrop(global_=GLOBAL, local=LOCAL, num_global=2, num_local=3)(image, torch.arange(3), 0)
    assert [v.image.shape[-1] for v in views] == [16, 16, 8, 8, 8]
    params = torch.stack([v.params for v in views])
    assert len({tuple(row.tolist()) for row in params.flatten(0, 1)}) == 15
    area = torch.exp(params[..., 2] + params[..., 3])
    assert area[:2].min() >= 0.3 - 1e-5
    assert area[2:].max() <= 0.3 + 1e-5


def test_a_view_is_the_augmentation_of_its_number():
    image = torch.randint(0, 256, (3, 3, 20, 20), dtype=torch.uint8)
    views = MultiCrop(global_=GLOBAL, local=LOCAL, num_global=2, num_local=1)(image, torch.arange(3), 4)
    assert torch.equal(views[1].image, GLOBAL(image, torch.arange(3), 4, 1).image)
    assert torch.equal(views[2].image, LOCAL(image, torch.arange(3), 4, 2).image)


@pytest.mark.parametrize("settings", [{"num_global": 0}, {"num_local": -1}, {"num_local": 2}])
def test_impossible_counts_are_refused(settings):
    with pytest.raises(UserError, match="MultiCrop"):
        MultiCrop(global_=GLOBAL, **settings)
