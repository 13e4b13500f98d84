import math

import pytest
import torch

from jepakit.health.geometry import alignment, lidar, uniformity
from jepakit.random import Stream
from jepakit.types import UserError


def normal(seed: int, *shape: int) -> torch.Tensor:
    return Stream(seed, "test").normal(0, torch.arange(shape[0]), math.prod(shape[1:])).view(shape)


def test_alignment_of_equal_opposite_and_orthogonal_views():
    z = normal(0, 7, 1, 4)
    assert float(alignment(torch.cat((z, 3.0 * z), dim=1))) == pytest.approx(0.0, abs=1e-6)
    assert float(alignment(torch.cat((z, -z), dim=1))) == pytest.approx(4.0, abs=1e-6)
    assert float(alignment(torch.eye(3)[None].expand(5, 3, 3))) == pytest.approx(2.0)


def test_alignment_is_the_mean_over_all_pairs_of_views():
    views = normal(1, 6, 4, 5)
    unit = torch.nn.functional.normalize(views.double(), dim=-1)
    pairs = [(i, j) for i in range(4) for j in range(i)]
    slow = torch.stack([(unit[:, i] - unit[:, j]).square().sum(-1) for i, j in pairs]).mean()
    assert float(alignment(views)) == pytest.approx(float(slow))


def test_uniformity_closed_forms():
    assert float(uniformity(torch.ones(9, 3))) == pytest.approx(0.0, abs=1e-9)
    assert float(uniformity(torch.eye(6))) == pytest.approx(-4.0)  # all squared distances are 2
    two_points = torch.tensor([[1.0], [1.0], [-1.0], [-1.0]])  # 2 pairs at distance 0, 4 at squared distance 4
    assert float(uniformity(two_points)) == pytest.approx(math.log((2 + 4 * math.exp(-8.0)) / 6))


def test_lidar_counts_object_directions_that_survive_white_noise():
    signs = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    objects = torch.cat((signs, torch.zeros(4, 3)), dim=1)
    noise = torch.cat((torch.eye(5), -torch.eye(5)))  # equal variance in all directions, mean zero
    views = objects[:, None] + 0.3 * noise
    assert float(lidar(views)) == pytest.approx(2.0, abs=1e-6)


def test_lidar_discounts_directions_in_which_views_of_an_object_differ():
    objects = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    noise = torch.tensor([[0.1, 0.0], [-0.1, 0.0], [0.0, 10.0], [0.0, -10.0]])
    assert float(lidar(objects[:, None] + noise)) < 1.01


def test_lidar_matches_the_paper_formula_with_matrix_roots():
    views, delta = normal(2, 30, 5, 6) + 2.0 * normal(3, 30, 1, 6), 1e-4
    mean = views.double().mean(dim=1)
    between = torch.cov(mean.T)
    within = torch.stack([torch.cov(v.double().T) for v in views]).mean(dim=0) + delta * torch.eye(6).double()
    values = torch.linalg.eigvals(torch.linalg.solve(within, between)).real
    p = values / values.sum()
    assert float(lidar(views, delta)) == pytest.approx(float((-(p * p.log()).sum()).exp()), rel=1e-9)


def test_a_constant_has_lidar_zero():
    assert float(lidar(torch.ones(5, 3, 4))) == 0.0


@pytest.mark.parametrize("measure", [alignment, lidar])
def test_one_view_is_refused(measure):
    with pytest.raises(UserError, match="at least 2"):
        measure(torch.ones(5, 1, 4))


def test_one_sample_is_refused():
    with pytest.raises(UserError, match="at least 2"):
        uniformity(torch.ones(1, 4))
    with pytest.raises(UserError, match="at least 2"):
        lidar(torch.ones(1, 3, 4))
