import numpy as np
import torch
from scipy.fft import dct
from torch import nn

from jepakit.nn.stem import CosineStem, cosine_filters


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
