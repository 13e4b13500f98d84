"""Map embeddings to the space that an objective works in: a multilayer perceptron with BatchNorm."""

from dataclasses import dataclass
from itertools import pairwise

from einops import pack, unpack
from jaxtyping import Float
from torch import Tensor, nn

from jepakit.nn.batchnorm import BatchNorm
from jepakit.types import UserError


@dataclass(frozen=True, kw_only=True)
class ProjectorConfig:
    """Describe a `Projector`.

    Args:
        in_dim: Size of the embeddings that come in.
        hidden_dims: Sizes of the hidden layers; none leaves one linear map.
        out_dim: Size of the space that goes out.
        has_batchnorm: Normalise each hidden layer over the batch before its ReLU.
    """

    in_dim: int
    hidden_dims: tuple[int, ...] = (2048, 2048)
    out_dim: int = 128
    has_batchnorm: bool = True

    def __post_init__(self) -> None:
        """Refuse sizes below one."""
        object.__setattr__(self, "hidden_dims", tuple(self.hidden_dims))  # a list, where it was read from JSON
        if min(self.in_dim, *self.hidden_dims, self.out_dim) < 1:
            raise UserError(
                f"A projector needs sizes of at least 1, got in_dim={self.in_dim}, hidden_dims={self.hidden_dims}, "
                f"out_dim={self.out_dim}; mend the one that is not."
            )

    def build(self) -> "Projector":
        """Make the projector, with torch's default initial weights."""
        return Projector(self.in_dim, self.hidden_dims, self.out_dim, self.has_batchnorm)


class Projector(nn.Module):
    """Apply (Linear, BatchNorm, ReLU) for each hidden size, then a Linear, to the last axis.

    BatchNorm's statistics are taken over all other axes and all processes; a Linear before it has no bias, which it
    would cancel. Initial weights are torch's defaults: build inside `jepakit.random.seeded_init`.
    """

    def __init__(
        self, in_dim: int, hidden_dims: tuple[int, ...] = (2048, 2048), out_dim: int = 128, has_batchnorm: bool = True
    ):
        super().__init__()
        self.config = ProjectorConfig(
            in_dim=in_dim, hidden_dims=hidden_dims, out_dim=out_dim, has_batchnorm=has_batchnorm
        )
        layers: list[nn.Module] = []
        for size, next_size in pairwise((in_dim, *hidden_dims)):
            layers.append(nn.Linear(size, next_size, bias=not has_batchnorm))
            if has_batchnorm:
                layers.append(BatchNorm(next_size))
            layers.append(nn.ReLU())
        layers.append(nn.Linear((in_dim, *hidden_dims)[-1], out_dim))
        self.layers = nn.Sequential(*layers)

    def forward(self, z: Float[Tensor, "*rows d"]) -> Float[Tensor, "*rows out"]:
        """Project the last axis; (b, d) and (b, g, d) are usual."""
        rows, shape = pack([z], "* d")
        projected: Tensor = self.layers(rows)
        return unpack(projected, shape, "* d")[0]
