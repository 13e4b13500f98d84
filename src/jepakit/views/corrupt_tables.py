"""Corrupt rows of a table, for measuring how an encoder trained on clean ones fares: five severities of two kinds.

As in `corrupt`, a function of (kind, severity, sample id, seed), and a higher severity uses the same draws: louder
noise, further features gone.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from jepakit.random import Stream
from jepakit.views.severity import level_of
from jepakit.views.table import TablePreprocess, with_missing, with_noise

TABLE_SEVERITIES: dict[str, tuple[float, float, float, float, float]] = {
    "noise": (0.1, 0.25, 0.5, 1.0, 2.0),  # standard deviation in units of each number's scale
    "missing": (0.1, 0.3, 0.5, 0.7, 0.9),  # share of the features, completely at random; one always stays
}
TABLE_CORRUPTIONS = tuple(TABLE_SEVERITIES)


@torch.no_grad()
def corrupt_table(
    preprocess: TablePreprocess,
    kind: str,
    signal: Float[Tensor, "b c 1"],
    severity: int,
    ids: Int[Tensor, " b"],
    seed: int = 0,
) -> Float[Tensor, "b c 1"]:
    """Return corrupted copies of rows, NaN where nothing is known any more.

    Args:
        preprocess: Says which features are numbers, and the scale of each.
        kind: One of `TABLE_CORRUPTIONS`.
        signal: Rows.
        severity: From 1 to 5, see `TABLE_SEVERITIES`.
        ids: The samples' ids, on which their draws depend.
        seed: Seed of the draws.

    Raises:
        UserError: The kind or the severity is unknown.
    """
    level = level_of("tables", TABLE_SEVERITIES, kind, severity)
    stream = Stream(seed, f"corrupt/table-{kind}")
    if kind == "noise":
        return with_noise(signal, preprocess, level, ids, 0, stream)
    share = torch.full((len(signal), 1), level, device=signal.device)
    return with_missing(signal, share, ids, 0, stream)
