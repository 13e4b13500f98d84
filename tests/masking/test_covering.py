"""Questions that cover a grid ask about every patch once and never show what they ask about."""

import pytest
import torch

from jepakit.masking.covering import KINDS, covering
from jepakit.types import UserError


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("grid", [(7, 16), (2, 3), (3, 2)])
def test_every_patch_is_asked_about_once_and_not_shown_then(kind: str, grid: tuple[int, int]) -> None:
    num = grid[0] * grid[1]
    times = torch.zeros(num, dtype=torch.long)
    for hidden in covering(kind, grid):  # type: ignore[arg-type]
        asked, seen = hidden.target_idx.flatten(), hidden.context_idx.flatten()
        assert torch.cat((asked, seen)).sort().values.tolist() == list(range(num))
        times[asked] += 1
    assert times.tolist() == [1] * num


def test_what_is_hidden_together() -> None:
    rows, moments, cells = (covering(kind, (3, 8)) for kind in ("row", "moment", "cell"))  # type: ignore[arg-type]
    assert [hidden.target_idx.flatten().tolist() for hidden in rows] == [
        list(range(8 * i, 8 * i + 8)) for i in range(3)
    ]
    assert moments[1].target_idx.flatten().tolist() == [1, 5, 9, 13, 17, 21]
    for hidden in cells:  # each column hides one patch, and a row's hidden patches are no neighbours
        column = hidden.target_idx.flatten() % 8
        assert column.sort().values.tolist() == list(range(8))


@pytest.mark.parametrize(("kind", "grid"), [("row", (1, 8)), ("moment", (4, 1))])
def test_a_grid_of_which_nothing_would_be_seen_is_refused(kind: str, grid: tuple[int, int]) -> None:
    with pytest.raises(UserError, match=f"nothing is left to see where a {kind} is hidden"):
        covering(kind, grid)  # type: ignore[arg-type]
