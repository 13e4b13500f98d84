"""Sum cos(k s x) and sin(k s x) over samples for equally spaced k, without a tensor of samples by slices by knots.

What is unusual: a knot is written k = P p + q with |q| small, so that exp(i k θ) = exp(i P p θ) exp(i q θ). Seventeen
knots then need two short tables (3 and 2 complex powers) instead of 16 sines and 16 cosines, and the sum over samples
of all their products is one small matrix product per slice, the *gram*. The backward pass makes the tables again. Work
goes block by block, so nothing larger than a block is ever stored beside the input and its gradient. Under
`torch.compile` the same products are written out plainly, and the compiler keeps all of them in registers.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import pad

_BLOCK_SAMPLES = 256  # float32 sums over more samples in one piece would cost more accuracy than all else here
_BLOCK_ELEMENTS = 2**17  # projections in a block on a CPU: small enough for its cache, large enough to hide the calls
_BLOCK_ELEMENTS_DEVICE = 2**18  # elsewhere each call costs a launch; a large problem there gets 64 blocks

_Block = tuple[slice, slice, slice]  # of samples, groups and directions


def characteristic_sums(
    z: Float[Tensor, "b g d"], directions: Float[Tensor, "num_slices d"], spacing: float, num_knots: int
) -> tuple[Float[Tensor, "g num_slices num_knots"], Float[Tensor, "g num_slices num_knots"]]:
    """Return the sums over samples of cos(k * spacing * x) and sin(k * spacing * x) for k = 0 ... num_knots - 1.

    `x` are the projections of `z` on `directions`. Gradient flows to `z` alone, once (no second derivative).

    Args:
        z: Embeddings in float32 or float64; call with autocast disabled.
        directions: One projection in each row, not necessarily of unit length.
        spacing: Distance between two knots.
        num_knots: How many knots, the one at zero included (its cosine sum is the number of samples).
    """
    powers = _Powers.for_knots(num_knots)
    scaled = directions * spacing
    gram: Tensor = _plain_gram(z, scaled, powers) if torch.compiler.is_compiling() else _Gram.apply(z, scaled, powers)
    return _sums_from_gram(gram, powers, num_knots)


@dataclass(frozen=True)
class _Powers:
    """Say which powers of exp(i θ) the tables hold: 1 ... `inner`, and the multiples 1 ... `outer` of 2 inner + 1."""

    inner: int
    outer: int

    @classmethod
    def for_knots(cls, num_knots: int) -> "_Powers":
        """Return the smallest pair of tables that reaches knot `num_knots - 1`."""
        last = num_knots - 1
        best = cls(inner=max(last, 1), outer=0)
        for inner in range(1, last):
            pair = cls(inner=inner, outer=max(0, -(-(last - inner) // (2 * inner + 1))))
            best = pair if pair.inner + pair.outer < best.inner + best.outer else best
        return best

    @property
    def stride(self) -> int:
        """Return the power between two neighbours of the outer table."""
        return 2 * self.inner + 1


def _plain_gram(
    z: Float[Tensor, "b g d"], directions: Float[Tensor, "s d"], powers: _Powers
) -> Float[Tensor, "g s p q"]:
    """Return the sums over samples of each outer row times each inner row, for a compiler to fuse and differentiate."""
    x = _project(z, directions)
    outer, inner = _table(x * powers.stride, powers.outer), _table(x, powers.inner)
    return torch.stack([torch.stack([(u * v).sum(dim=-1) for v in inner], dim=-1) for u in outer], dim=-2)


def _table(angle: Float[Tensor, "g s b"], num_powers: int) -> list[Tensor]:
    """Return 1, cos(k angle) and sin(k angle) for k = 1 ... num_powers, by doubling and adding angles."""
    cos, sin = [angle.cos()], [angle.sin()]
    for power in range(2, num_powers + 1):
        half = power // 2 - 1
        if power % 2 == 0:
            cos.append(1 - 2 * sin[half] * sin[half])
            sin.append(2 * sin[half] * cos[half])
        else:
            cos.append(cos[-1] * cos[0] - sin[-1] * sin[0])
            sin.append(sin[-1] * cos[0] + cos[-2] * sin[0])
    return [torch.ones_like(angle), *cos[:num_powers], *sin[:num_powers]]


class _Gram(torch.autograd.Function):
    """Compute `_plain_gram` block by block, forwards and backwards, in two buffers that every block reuses."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, directions: Tensor, powers: _Powers) -> Tensor:
        ctx.save_for_backward(z, directions)
        ctx.powers = powers
        gram = z.new_zeros(z.shape[1], directions.shape[0], 1 + 2 * powers.outer, 1 + 2 * powers.inner)
        for (_, groups, slices), outer, inner in _table_blocks(z, directions, powers):
            gram[groups, slices] += outer @ inner.mT
        return gram

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        z, directions = ctx.saved_tensors
        with torch.autocast(z.device.type, enabled=False):
            turned = _turn(grads[0], 1) + _turn(grads[0].mT, ctx.powers.stride).mT
            grad_z = torch.zeros_like(z)
            for (samples, groups, slices), outer, inner in _table_blocks(z, directions, ctx.powers):
                grad_x = (turned[groups, slices].mT @ outer).mul_(inner).sum(dim=-2)
                grad_z[samples, groups] += rearrange(grad_x.mT @ directions[slices], "g b d -> b g d")
        return grad_z, None, None


def _project(z: Float[Tensor, "b g d"], directions: Float[Tensor, "s d"]) -> Float[Tensor, "g s b"]:
    """Return projections with samples last, the axis that is summed over."""
    return torch.matmul(directions, rearrange(z, "b g d -> g d b"))


def _table_blocks(z: Tensor, directions: Tensor, powers: _Powers) -> Iterator[tuple[_Block, Tensor, Tensor]]:
    """Yield (samples, groups, slices), their outer and inner table (g, s, rows, b); the next block overwrites both."""
    buffers: dict[tuple[int, ...], tuple[Tensor, Tensor]] = {}
    for samples, groups, slices in _blocks(z, directions.shape[0]):
        x = _project(z[samples, groups], directions[slices])
        if x.shape not in buffers:  # one shape, and smaller ones for what is left over
            buffers[x.shape] = _new_table(x, powers.outer), _new_table(x, powers.inner)
        outer, inner = buffers[x.shape]
        _fill_table(inner, x)
        _fill_table(outer, x.mul_(powers.stride))
        yield (samples, groups, slices), outer, inner


def _new_table(x: Float[Tensor, "g s b"], num_powers: int) -> Float[Tensor, "g s rows b"]:
    """Return a table whose first row is one and whose other rows are not yet written."""
    table = x.new_empty(x.shape[0], x.shape[1], 1 + 2 * num_powers, x.shape[2])
    table[..., 0, :] = 1
    return table


def _fill_table(table: Float[Tensor, "g s rows b"], angle: Float[Tensor, "g s b"]) -> None:
    """Write what `_table` returns into the rows of `table`."""
    num_powers = table.shape[-2] // 2
    rows = table.unbind(dim=-2)
    cos, sin = rows[1 : 1 + num_powers], rows[1 + num_powers :]
    for power in range(num_powers):
        if power == 0:
            torch.cos(angle, out=cos[0])
            torch.sin(angle, out=sin[0])
        elif power % 2 == 1:
            half = power // 2
            torch.addcmul(rows[0], sin[half], sin[half], value=-2, out=cos[power])  # 1 - 2 sin²
            torch.mul(sin[half], cos[half], out=sin[power]).mul_(2)
        else:
            torch.mul(cos[power - 1], cos[0], out=cos[power]).addcmul_(sin[power - 1], sin[0], value=-1)
            torch.mul(sin[power - 1], cos[0], out=sin[power]).addcmul_(cos[power - 1], sin[0])


def _blocks(z: Tensor, num_slices: int) -> Iterator[_Block]:
    """Yield (samples, groups, slices) that cover all projections in pieces."""
    num_samples, num_groups = z.shape[0], z.shape[1]
    budget = _BLOCK_ELEMENTS
    if z.device.type != "cpu":
        budget = max(_BLOCK_ELEMENTS_DEVICE, num_samples * num_groups * num_slices // 64)
    block_samples = max(1, min(num_samples, _BLOCK_SAMPLES))
    block_slices = max(1, min(num_slices, budget // block_samples))
    block_groups = max(1, budget // (block_samples * block_slices))
    for sample in range(0, num_samples, block_samples):
        for group in range(0, num_groups, block_groups):
            for first in range(0, num_slices, block_slices):
                yield (
                    slice(sample, sample + block_samples),
                    slice(group, group + block_groups),
                    slice(first, first + block_slices),
                )


def _turn(grad: Float[Tensor, "*rows q"], stride: int) -> Float[Tensor, "*rows q"]:
    """Carry a gradient of the last axis's table to its angle, in terms of the same table: cos' = -sin, sin' = cos."""
    num_powers = grad.shape[-1] // 2
    power = stride * torch.arange(1, num_powers + 1, device=grad.device, dtype=grad.dtype)
    one, cos, sin = grad.split((1, num_powers, num_powers), dim=-1)
    return torch.cat((torch.zeros_like(one), power * sin, -power * cos), dim=-1)


def _sums_from_gram(gram: Tensor, powers: _Powers, num_knots: int) -> tuple[Tensor, Tensor]:
    """Add and subtract the gram's entries to the sums of cos(k θ) and sin(k θ): the addition theorems."""
    p, q = powers.outer, powers.inner
    cos_rows, sin_rows = gram[..., : p + 1, :], pad(gram[..., p + 1 :, :], (0, 0, 1, 0))
    cos_cos, cos_sin = cos_rows[..., : q + 1], pad(cos_rows[..., q + 1 :], (1, 0))
    sin_cos, sin_sin = sin_rows[..., : q + 1], pad(sin_rows[..., q + 1 :], (1, 0))

    def spread(below: Tensor, above: Tensor) -> Tensor:
        """Order the knots P p - inner ... P p + inner of every p into one axis, and keep those asked for."""
        knots = torch.cat((below.flip(-1)[..., :-1], above), dim=-1)
        return rearrange(knots, "g s p q -> g s (p q)")[..., q : q + num_knots]

    return spread(cos_cos + sin_sin, cos_cos - sin_sin), spread(sin_cos - cos_sin, sin_cos + cos_sin)
