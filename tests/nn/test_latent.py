"""The channel of a latent: its rate is the KL of Gaussians, and nothing passes it but what it draws."""

import torch
from torch.distributions import Normal, kl_divergence

from jepakit.nn.latent import Latent


def test_the_rate_is_the_kl_to_a_unit_gaussian() -> None:
    latent = Latent(4, 2, 3).double()
    with torch.no_grad():
        latent.out.weight.zero_()
        latent.out.bias.copy_(torch.tensor([0.5, -1.0, 2.0, 0.1, -0.7, 0.4]))
    mean, std = latent.out.bias[:3], latent.out.bias[3:].exp()
    noise = torch.randn(5, 6, 3, dtype=torch.float64)
    drawn, rate = latent(torch.randn(5, 7, 4, dtype=torch.float64), torch.randn(5, 6, 2, dtype=torch.float64), noise)
    torch.testing.assert_close(drawn, mean + std * noise)
    expected = kl_divergence(Normal(mean, std), Normal(torch.zeros(3).double(), torch.ones(3).double())).sum()
    torch.testing.assert_close(rate, expected.expand(5, 6))


def test_each_step_sees_the_frames_around_it_and_embeddings_get_no_gradient() -> None:
    latent = Latent(4, 2, 3)
    z, action, noise = torch.randn(1, 6, 5, 4, requires_grad=True), torch.randn(1, 5, 2), torch.randn(1, 5, 3)
    before = latent(z, action, noise)[0]
    changed = z.detach().clone()
    changed[:, 3] += 1.0
    is_same = (latent(changed, action, noise)[0] == before).all(-1)[0]
    assert is_same.tolist() == [True, True, False, False, True]
    before.sum().backward()
    assert z.grad is None and latent.hidden.weight.grad is not None
