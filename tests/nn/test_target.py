import copy
import io
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from jepakit.nn.projector import Projector
from jepakit.nn.schedules import Constant, Linear
from jepakit.nn.target import EMATarget, FrozenTarget, SharedTarget, Target, TokenMap, normalise_tokens
from jepakit.nn.vit import ViT
from jepakit.nn.whiten import Whitening
from jepakit.types import UserError


def small_vit() -> ViT:
    return ViT(image_size=8, patch_size=4, dim=8, depth=1, num_heads=2)


class NormedEncoder(nn.Module):
    """An encoder with buffers: one linear map and a BatchNorm."""

    embedding_dim = 3

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 3)
        self.norm = nn.BatchNorm1d(3)

    def forward(self, x: Tensor, context_idx: Tensor | None = None) -> Tensor:
        return self.norm(self.linear(x.mean(dim=(2, 3))))[:, None]


class Owner(nn.Module):
    """What a method does: register the encoder and a target over it."""

    def __init__(self, encoder: nn.Module, target: Target):
        super().__init__()
        self.encoder = encoder
        self.target = target


def test_the_average_follows_its_closed_form() -> None:
    encoder = small_vit()
    schedule = Linear(start=0.9, end=1.0, num_steps=4)
    target = EMATarget(encoder, schedule)
    expected = [p.detach().double().clone() for p in encoder.parameters()]
    generator = torch.Generator().manual_seed(0)
    for step in range(5):
        with torch.no_grad():
            for p in encoder.parameters():
                p.add_(torch.randn(p.shape, generator=generator))
        target.after_step(step)
        m = min(1.0, 0.9 + step * 0.1 / 4)
        expected = [m * e + (1 - m) * p.detach().double() for e, p in zip(expected, encoder.parameters(), strict=True)]
    for e, p in zip(expected, target.parameters(), strict=True):
        torch.testing.assert_close(p.double(), e, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("kind", [lambda vit, head: EMATarget(vit, Constant(value=0.9), head), FrozenTarget])
def test_a_head_with_weights_would_let_gradient_reach_the_target(kind: Callable[..., Target]) -> None:
    with pytest.raises(UserError, match="cannot have a head with weights, such as this Projector"):
        kind(small_vit(), Projector(8, (8,), 8))
    assert not kind(small_vit(), Whitening(4, 8))(torch.randn(40, 3, 8, 8)).requires_grad


def test_momentum_one_keeps_and_momentum_zero_copies_bit_for_bit() -> None:
    encoder = small_vit()
    kept, copied = EMATarget(encoder, Constant(value=1.0)), EMATarget(encoder, Constant(value=0.0))
    before = [p.clone() for p in encoder.parameters()]
    with torch.no_grad():
        for p in encoder.parameters():
            p.add_(torch.randn_like(p))
    kept.after_step(0)
    copied.after_step(0)
    assert all(torch.equal(a, b) for a, b in zip(kept.parameters(), before, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(copied.parameters(), encoder.parameters(), strict=True))


def test_the_average_keeps_buffers_of_its_own() -> None:
    encoder = NormedEncoder()
    target = EMATarget(encoder, Constant(value=0.5))
    encoder(torch.randn(16, 3, 2, 2))
    target.after_step(0)
    assert int(encoder.norm.num_batches_tracked) == 1
    assert int(target.encoder.norm.num_batches_tracked) == 0
    target(torch.randn(16, 3, 2, 2))
    assert int(target.encoder.norm.num_batches_tracked) == 1


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_the_average_refuses_weights_it_could_not_move(dtype: torch.dtype) -> None:
    with pytest.raises(UserError, match="float32"):
        EMATarget(small_vit().to(dtype), Constant(value=0.999))


def test_a_small_step_of_the_average_is_not_lost() -> None:
    encoder = small_vit()
    target = EMATarget(encoder, Constant(value=0.9999))
    with torch.no_grad():
        for p in encoder.parameters():
            p.add_(1.0)
    before = [p.clone() for p in target.parameters()]
    target.after_step(0)
    assert all(bool((p > b).all()) for p, b in zip(target.parameters(), before, strict=True))


@pytest.mark.parametrize("kind", ["ema", "frozen"])
def test_no_gradient_reaches_a_target_that_is_not_shared(kind: str) -> None:
    encoder = small_vit()
    target = EMATarget(encoder, Constant(value=0.5)) if kind == "ema" else FrozenTarget(encoder)
    x = torch.randn(2, 3, 8, 8, requires_grad=True)
    s_y = target(x)
    assert not target.shared
    assert not s_y.requires_grad
    assert not any(p.requires_grad for p in target.parameters())
    (encoder(x) - s_y).square().mean().backward()
    assert all(p.grad is None for p in target.parameters())
    assert all(p.grad is not None for p in encoder.parameters())  # the live encoder stays trainable


def test_gradient_flows_through_a_shared_target() -> None:
    encoder = small_vit()
    target = SharedTarget(encoder, head=normalise_tokens)
    target(torch.randn(2, 3, 8, 8)).square().mul(torch.randn(2, 4, 8)).sum().backward()
    assert target.shared
    assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in encoder.parameters())


@pytest.mark.parametrize("head", [None, normalise_tokens])
def test_targets_are_the_encoders_tokens(head: TokenMap | None) -> None:
    encoder = small_vit()
    nn.init.normal_(encoder.norm.weight)  # fresh, the final LayerNorm would leave nothing to normalise
    x = torch.randn(2, 3, 8, 8)
    expected = F.layer_norm(encoder(x), (8,)) if head else encoder(x)
    for target in (
        SharedTarget(encoder, head),
        EMATarget(encoder, Constant(value=1.0), head),
        FrozenTarget(encoder, head),
    ):
        torch.testing.assert_close(target(x), expected)
        torch.testing.assert_close(target.tokens(x), encoder(x))


def test_each_weight_is_registered_once() -> None:
    encoder = small_vit()
    keys = {f"encoder.{key}" for key in encoder.state_dict()}
    shared = Owner(encoder, SharedTarget(encoder))
    assert set(shared.state_dict()) == keys
    assert len(list(shared.parameters())) == len(list(encoder.parameters()))
    averaged = Owner(encoder, EMATarget(encoder, Constant(value=0.5)))
    assert set(averaged.state_dict()) == keys | {f"target.{key}" for key in keys}


def test_a_copied_owner_follows_its_own_encoder() -> None:
    encoder = small_vit()
    first = Owner(encoder, EMATarget(encoder, Constant(value=0.0)))
    second = copy.deepcopy(first)
    with torch.no_grad():
        for p in second.encoder.parameters():
            p.fill_(7.0)
    second.target.after_step(0)
    first.target.after_step(0)
    assert all(bool((p == 7.0).all()) for p in second.target.parameters())
    assert not any(bool((p == 7.0).all()) for p in first.target.parameters())


def test_a_target_survives_moving_and_saving() -> None:
    encoder = small_vit()
    owner = Owner(encoder, EMATarget(encoder, Constant(value=0.0))).to(torch.float64)
    owner.target.after_step(0)
    x = torch.randn(1, 3, 8, 8, dtype=torch.float64)
    torch.testing.assert_close(owner.target(x), normalise_tokens(encoder(x)))
    buffer = io.BytesIO()
    torch.save(owner.state_dict(), buffer)
    assert buffer.tell() > 0


def test_the_frozen_network_stays_in_eval_mode() -> None:
    encoder = NormedEncoder()
    target = FrozenTarget(encoder)
    owner = Owner(encoder, target).train()
    owner.target(torch.randn(16, 3, 2, 2))
    assert owner.training
    assert target.training
    assert not target.module.training
    assert not target.module.norm.training
    assert int(target.module.norm.num_batches_tracked) == 0
    assert encoder.training
    before = [p.clone() for p in target.parameters()]
    target.after_step(0)
    assert all(torch.equal(p, b) for p, b in zip(target.parameters(), before, strict=True))


def test_normalised_tokens_are_wide_and_standard() -> None:
    tokens = torch.randn(4, 5, 64, dtype=torch.bfloat16) * 3 + 1
    normed = normalise_tokens(tokens)
    assert normed.dtype == torch.float32
    torch.testing.assert_close(normed.mean(-1), torch.zeros(4, 5), atol=1e-5, rtol=0)
    torch.testing.assert_close(normed.var(-1, unbiased=False), torch.ones(4, 5), atol=1e-4, rtol=0)
    assert normalise_tokens(tokens.double()).dtype == torch.float64
