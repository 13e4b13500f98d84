import numpy as np
import torch
from scipy.fft import dct
from torch import nn

from jepakit.nn import ViT
from jepakit.nn.stem import CosineStem, FeatureStem, cosine_filters


def test_the_filters_are_an_orthonormal_basis_of_patches_smoothest_first() -> None:
    filters = cosine_filters(3, 4, 4)
    flat = filters.flatten(1)
    torch.testing.assert_close(flat @ flat.T, torch.eye(48), atol=1e-5, rtol=0.0)
    torch.testing.assert_close(filters[0], torch.full((3, 4, 4), 48**-0.5))  # brightness
    scipy_rows = torch.from_numpy(dct(np.eye(4), norm="ortho", axis=0)).float()
    torch.testing.assert_close(filters[1].sum(0), torch.outer(torch.full((4,), 0.5), scipy_rows[1]) * 3**0.5)


def test_it_computes_what_its_layers_say() -> None:
    stem = CosineStem((4, 4), 3, dim=10)
    stem.reset_parameters()
    patches = torch.randn(6, 5, 48)
    both = patches.flatten(0, 1) @ cosine_filters(3, 4, 4).flatten(1).T
    rows = torch.cat((both, -both), dim=1)
    rows = (rows - rows.mean(dim=0)) / (rows.var(dim=0, correction=0) + 1e-5).sqrt()
    expected = nn.functional.linear(nn.functional.gelu(rows), stem.proj.weight, stem.proj.bias)
    torch.testing.assert_close(stem(patches), expected.view(6, 5, 10), rtol=1e-4, atol=1e-5)


def test_each_patch_is_described_alone() -> None:
    stem = CosineStem((2, 2), 1, dim=4).eval()
    stem.reset_parameters()
    patches = torch.randn(1, 3, 4)
    torch.testing.assert_close(stem(patches)[:, 1:2], stem(patches[:, 1:2]))


def test_patches_of_a_signal_are_described_by_cosines_of_time() -> None:
    filters = cosine_filters(1, 1, 8)
    torch.testing.assert_close(filters[:, 0, 0], torch.from_numpy(dct(np.eye(8), norm="ortho", axis=0)).float())
    stem = CosineStem((1, 8), 1, dim=4)
    stem.reset_parameters()
    assert stem(torch.randn(2, 3, 8)).shape == (2, 3, 4)


def test_each_feature_has_a_weight_a_bias_and_a_table_of_its_own() -> None:
    stem = FeatureStem(3, 4, dim=5)
    stem.reset_parameters()
    weight = stem.weight.detach()
    patches = torch.tensor([[[2.0, 1, 0, 0], [0.0, 1, 0, 1], [0.0, 0, 0, 0]]])  # a number, a category, a missing value
    expected = torch.stack((2 * weight[0, 0] + weight[0, 1], weight[1, 1] + weight[1, 3], torch.zeros(5)))
    torch.testing.assert_close(stem(patches)[0], expected)
    some = torch.tensor([[2, 0]])
    torch.testing.assert_close(stem(patches[:, [2, 0]], some)[0], expected[[2, 0]])


def test_a_transformer_gives_visible_features_the_weights_of_their_places() -> None:
    vit = ViT(image_size=(4, 1), patch_size=1, dim=8, depth=0, num_heads=2, in_channels=2, stem="feature")
    x, some = torch.randn(2, 2, 4, 1), torch.tensor([[3, 1], [0, 2]])
    torch.testing.assert_close(vit(x, some), vit(x).gather(1, some[..., None].expand(-1, -1, 8)))
