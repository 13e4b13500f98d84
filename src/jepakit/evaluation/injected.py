"""Put anomalies into clean stretches of a record, so that who looks for them can be scored.

    spike              one moment of a channel is `size` deviations off
    level shift        from some moment on a channel is `size` deviations off
    frozen             a channel keeps its value for as long as is judged
    lost correlation   from some moment on a channel goes on as it did at another time, joined without a jump

Each changes one channel, from a moment of the judged window on. What is drawn is a function of (seed, kind, id).
"""

from dataclasses import dataclass
from typing import Literal, get_args

import torch
from jaxtyping import Float, Int
from torch import Tensor

from jepakit.random import Stream
from jepakit.types import require

Anomaly = Literal["spike", "level shift", "frozen", "lost correlation"]
ANOMALIES: tuple[Anomaly, ...] = get_args(Anomaly)

SIZES: dict[str, float] = {"spike": 4.0, "level shift": 3.0}
"""In deviations of the channel over the whole stretch."""


@dataclass(frozen=True)
class Injected:
    """Hold stretches with an anomaly in each.

    Args:
        values: What is measured now.
        channel: Which channel was changed.
        begin: The first moment that was.
    """

    values: Float[Tensor, "b c t"]
    channel: Int[Tensor, " b"]
    begin: Int[Tensor, " b"]


def inject(
    kind: Anomaly,
    values: Float[Tensor, "b c t"],
    elsewhere: Float[Tensor, "b c t"],
    judged: Int[Tensor, "b 2"],
    ids: Int[Tensor, " b"],
    seed: int = 0,
) -> Injected:
    """Return stretches with an anomaly each; a channel that does not change at all cannot be shifted or frozen.

    Args:
        kind: Of anomaly.
        values: Clean stretches.
        elsewhere: As many stretches of other times, from which a channel without correlation is taken.
        judged: First moment, and the one after the last, of the window that is to be found.
        ids: On which the draws depend.
        seed: Of the draws.

    Raises:
        UserError: A judged window is empty or does not lie in its stretch.
    """
    b, num_channels, num_moments = values.shape
    first, last = judged.unbind(dim=1)
    require(
        bool(((first >= 0) & (first < last) & (last <= num_moments)).all()),
        f"A judged window has at least one of the {num_moments} moments of its stretch.",
    )
    u = Stream(seed, f"injected/{kind}").uniform(0, ids, 3)
    channel = (u[:, 0] * num_channels).long()
    begin = first if kind in ("frozen", "lost correlation") else first + (u[:, 1] * (last - first)).long()
    sign = torch.where(u[:, 2] < 0.5, -1.0, 1.0)
    row, other = (part[torch.arange(b), channel] for part in (values, elsewhere))
    time = torch.arange(num_moments)
    at_begin = row.gather(1, begin[:, None])
    size = SIZES.get(kind, 0.0) * sign[:, None] * row.std(dim=1, keepdim=True, correction=0)
    changed, is_changed = {
        "spike": (row + size, time == begin[:, None]),
        "level shift": (row + size, time >= begin[:, None]),
        "frozen": (at_begin.expand_as(row), (time >= begin[:, None]) & (time < last[:, None])),
        "lost correlation": (other + (at_begin - other.gather(1, begin[:, None])), time >= begin[:, None]),
    }[kind]
    result = values.clone()
    result[torch.arange(b), channel] = torch.where(is_changed, changed, row)
    return Injected(result, channel, begin)
