"""Draw random numbers as pure functions of (seed, stream, step, sample id): the project's only source of randomness.

Every draw is one call of Philox 4x32-10, a counter-based generator: the key is made of the run's seed and the name of a
stream, the counter of the step, the sample's id and the draw's index. So there is no generator state to save, and a
draw does not depend on rank, worker, batch size or on what was drawn before.

Source: Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3" (SC11); checked against the published
known-answer vectors. Deviations: none.
"""

import hashlib
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

_WORD = 0xFFFFFFFF
_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_WEYL = (0x9E3779B9, 0xBB67AE85)


def philox(counter: Int[Tensor, "4 ..."], key: tuple[int, int]) -> Int[Tensor, "4 ..."]:
    """Return the four 32-bit words that Philox 4x32-10 makes of each counter, held in int64.

    Args:
        counter: Four words in [0, 2**32), stacked first.
        key: Two words in [0, 2**32).
    """
    c0, c1, c2, c3 = counter.unbind(0)
    c0, c2 = c0.clone(), c2.clone()  # the rounds work in place, which halves their time
    k0, k1 = key
    for _ in range(10):
        product0, product1 = (
            c0.mul_(_MULTIPLIERS[0]),
            c2.mul_(_MULTIPLIERS[1]),
        )  # int64 wraps, its bits are the product's
        high0, high1 = (product >> 32 for product in (product0, product1))
        c0 = high1.bitwise_and_(_WORD).bitwise_xor_(c1).bitwise_xor_(k0)
        c1 = product1.bitwise_and_(_WORD)
        c2 = high0.bitwise_and_(_WORD).bitwise_xor_(c3).bitwise_xor_(k1)
        c3 = product0.bitwise_and_(_WORD)
        k0, k1 = (k0 + _WEYL[0]) & _WORD, (k1 + _WEYL[1]) & _WORD
    return torch.stack((c0, c1, c2, c3))


@dataclass(frozen=True)
class Stream:
    """Name one independent stream of random numbers of a run.

    Args:
        seed: The run's seed, any Python integer.
        name: What is drawn, e.g. "mask": two streams of other names share nothing.

    Example:
        >>> mask = Stream(seed=0, name="mask")
        >>> ids = torch.tensor([7, 8])
        >>> bool((mask.uniform(3, ids, 5)[1:] == mask.uniform(3, ids[1:], 5)).all())
        True
    """

    seed: int
    name: str

    @property
    def key(self) -> tuple[int, int]:
        """Return the two key words of this stream."""
        digest = hashlib.blake2b(f"{self.seed}/{self.name}".encode(), digest_size=8).digest()
        return int.from_bytes(digest[:4], "little"), int.from_bytes(digest[4:], "little")

    def bits(self, step: int | Int[Tensor, " b"], ids: Int[Tensor, " b"], num: int) -> Int[Tensor, "b num"]:
        """Return `num` 32-bit words for each id at this step (or each at its own), as int64 in [0, 2**32)."""
        blocks = torch.arange((num + 3) // 4, device=ids.device)
        ids = ids.long()
        steps = (
            step.long()[:, None] if isinstance(step, Tensor) else torch.full((1, 1), step & _WORD, device=ids.device)
        )
        counter = torch.stack(
            torch.broadcast_tensors(
                blocks[None, :],
                steps & _WORD,
                (ids & _WORD)[:, None],
                ((ids >> 32) & _WORD)[:, None],
            )
        )
        words = philox(counter, self.key)
        return words.permute(1, 2, 0).reshape(ids.shape[0], -1)[:, :num]

    def uniform(self, step: int, ids: Int[Tensor, " b"], num: int) -> Float[Tensor, "b num"]:
        """Return `num` float32 draws in [0, 1) for each id, on the ids' device."""
        return (self.bits(step, ids, num) >> 8).float() * 2.0**-24

    def normal(self, step: int, ids: Int[Tensor, " b"], num: int) -> Float[Tensor, "b num"]:
        """Return `num` standard normal float32 draws for each id (Box and Muller's transform)."""
        half = (num + 1) // 2
        u = self.uniform(step, ids, 2 * half)
        radius = torch.sqrt(-2.0 * torch.log1p(-u[:, :half]))
        angle = 2.0 * math.pi * u[:, half:]
        return torch.cat((radius * torch.cos(angle), radius * torch.sin(angle)), dim=1)[:, :num]

    def integers(self, step: int, ids: Int[Tensor, " b"], num: int, high: Tensor | int) -> Int[Tensor, "b num"]:
        """Return `num` integers in [0, high) for each id; `high` (below 2**31) broadcasts against (b, num)."""
        return (self.bits(step, ids, num) * high) >> 32

    def permutation(self, step: int, num: int) -> Int[Tensor, " num"]:
        """Return a permutation of range(num) for this step, on the CPU: ties of the sort keys keep their order."""
        return torch.argsort(self.bits(step, torch.zeros(1, dtype=torch.long), num)[0], stable=True)


@contextmanager
def seeded_init(seed: int, name: str) -> Iterator[None]:
    """Seed torch's own CPU generator within a `with` block, for initial weights, and restore it after."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(Stream(seed, f"init/{name}").key[0])
        yield
