import pytest
import torch
from scipy import stats

from jepakit.evaluation.selection import ranks, spearman
from jepakit.random import Stream
from jepakit.types import UserError


def test_spearman_matches_scipy_with_ties():
    x = Stream(0, "test").integers(0, torch.arange(1), 40, 12)[0].double()
    y = x + Stream(1, "test").normal(0, torch.arange(1), 40)[0].double() * 4.0
    torch.testing.assert_close(ranks(x), torch.from_numpy(stats.rankdata(x.numpy())))
    assert spearman(x, y) == pytest.approx(stats.spearmanr(x.numpy(), y.numpy()).statistic)


def test_spearman_sees_order_alone():
    x = torch.tensor([1.0, 2.0, 3.0, 10.0])
    assert spearman(x, x.exp()) == pytest.approx(1.0)
    assert spearman(x, -x) == pytest.approx(-1.0)
    assert spearman(x, torch.ones(4)) == 0.0


def test_spearman_refuses_what_it_cannot_rank():
    with pytest.raises(UserError, match="equal length"):
        spearman(torch.ones(3), torch.ones(2))
    with pytest.raises(UserError, match="NaN"):
        spearman(torch.tensor([1.0, float("nan")]), torch.ones(2))
