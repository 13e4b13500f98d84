import torch
from losses_by_hand import BATCH, STEP, assert_trains_on, build, project, sigreg, spread


def test_loss_is_the_papers() -> None:
    method = build("lejepa", sigreg_weight=2.0)
    spread(method)
    z_1, z_2, z_local = (project(method, view.image) for view in method.make_views(BATCH.image, BATCH.id, STEP))
    centre = (z_1 + z_2) / 2
    prediction = sum((z - centre).square().mean() for z in (z_1, z_2, z_local)) / 3
    assert_trains_on(method, prediction + 2.0 * sum(sigreg(z, num_slices=16) for z in (z_1, z_2, z_local)) / 3)


def test_the_centre_is_that_of_the_global_views_and_follows_them() -> None:
    z = torch.tensor([1.0, 3.0, 8.0]).view(1, 3, 1).requires_grad_()
    z_hat, centre = build("lejepa").relate(z, [])
    assert centre.flatten().tolist() == [2, 2, 2]
    (gradient,) = torch.autograd.grad((z_hat - centre).square().sum(), z)
    assert gradient.flatten().tolist() == [-8, -4, 12]
