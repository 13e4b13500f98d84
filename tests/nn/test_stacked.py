from itertools import pairwise

import pytest
import torch
from torch import Tensor

from jepakit.nn.stacked import StackedMLP, StackedWhitening
from jepakit.nn.whiten import Whitening
from jepakit.random import seeded_init
from jepakit.types import UserError

WIDTHS = (5, 7, 6, 3)


def alone(seed: int) -> torch.nn.Sequential:
    """Build the network of one seed from torch's own layers."""
    with seeded_init(seed, "net"):
        linears = [torch.nn.Linear(a, b) for a, b in pairwise(WIDTHS)]
    between = [layer for width in WIDTHS[1:-1] for layer in (torch.nn.LayerNorm(width), torch.nn.GELU())]
    return torch.nn.Sequential(linears[0], *between[:2], linears[1], *between[2:], linears[2])


def test_each_network_is_the_one_of_its_seed() -> None:
    x = torch.randn(3, 4, 5)
    seen = StackedMLP([4, 9, 0], "net", WIDTHS)(x)
    for i, seed in enumerate((4, 9, 0)):
        torch.testing.assert_close(seen[i], alone(seed)(x[i]))


def trained(net: StackedMLP, x: Tensor, y: Tensor) -> Tensor:
    """Return what a network tells after a few steps by Adam on the sum of the losses."""
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-2)
    for _ in range(5):
        optimizer.zero_grad()
        (len(x) * (net(x) - y).square().mean()).backward()
        optimizer.step()
    return net(x).detach()


def test_networks_learn_together_as_each_does_alone() -> None:
    x, y = torch.randn(2, 8, 5, dtype=torch.float64), torch.randn(2, 8, 3, dtype=torch.float64)
    together = trained(StackedMLP([1, 2], "net", WIDTHS).double(), x, y)
    for i, seed in enumerate((1, 2)):
        by_itself = trained(StackedMLP([seed], "net", WIDTHS).double(), x[i : i + 1], y[i : i + 1])
        torch.testing.assert_close(together[i : i + 1], by_itself, rtol=1e-6, atol=1e-7)


def test_a_stack_needs_a_seed_and_two_widths() -> None:
    for seeds, widths in (([], (3, 2)), ([1], (3,))):
        with pytest.raises(UserError, match="a seed and two widths"):
            StackedMLP(seeds, "net", widths)


def test_each_slice_is_whitened_by_its_own_statistics() -> None:
    rows = torch.randn(2, 64, 3) @ torch.randn(2, 3, 3) + torch.tensor([0.0, 5.0])[:, None, None]
    seen = StackedWhitening(2, 3)(rows)
    for i in range(2):
        torch.testing.assert_close(seen[i], Whitening(1, 3)(rows[i][:, None])[:, 0])
        torch.testing.assert_close(seen[i].mean(dim=0), torch.zeros(3), atol=1e-4, rtol=0)
        torch.testing.assert_close(torch.cov(seen[i].T), torch.eye(3), atol=0.05, rtol=0)
