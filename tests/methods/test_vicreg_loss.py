import torch
from losses_by_hand import BATCH, STEP, assert_trains_on, build, project, spread
from torch import Tensor


def hinge(z: Tensor) -> Tensor:
    return torch.relu(1 - torch.sqrt(z.var(dim=0) + 1e-4)).mean()


def squared_covariances(z: Tensor) -> Tensor:
    matrix = torch.cov(z.T)
    return (matrix.square().sum() - matrix.diagonal().square().sum()) / len(matrix)


def test_loss_is_the_papers_with_variance_and_covariance_averaged_over_the_views() -> None:
    method = build("vicreg", invariance_weight=3.0, variance_weight=5.0, covariance_weight=7.0)
    spread(method)
    z_1, z_2 = (project(method, view.image) for view in method.make_views(BATCH.image, BATCH.id, STEP))
    invariance = (z_1 - z_2).square().mean()
    variance = (hinge(z_1) + hinge(z_2)) / 2
    covariance = (squared_covariances(z_1) + squared_covariances(z_2)) / 2
    assert_trains_on(method, 3.0 * invariance + 5.0 * variance + 7.0 * covariance)


def test_a_view_is_compared_with_the_other_one() -> None:
    z_hat, z = build("vicreg").relate(torch.tensor([1.0, 4.0]).view(1, 2, 1), [])
    assert sorted((z_hat.item(), z.item())) == [1, 4]
