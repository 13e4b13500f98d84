"""Open tables, and learn from the rows of training alone how their columns become numbers."""

from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from jepakit.data import Table, TableSource, open_table
from jepakit.data.table import Coding, learn_coding
from jepakit.nn import ViTConfig
from jepakit.recipes.config import SignalRecipe
from jepakit.recipes.data import TableData
from jepakit.recipes.divided import divided_by_class

_DEVIATION = 1.349  # interquartile range of a normal distribution, in deviations


def open_rows(data: TableData) -> TableSource:
    """Open all rows of a table as the run codes them, none held out.

    Raises:
        UserError: The table cannot be read, or its columns are not those that training saw.
    """
    table = open_table(data.train, data.labels)
    return TableSource(table, _coding(table, data))


def _coding(table: Table, data: TableData) -> Coding:
    """Return how the run codes the columns; learned from its training rows where that is not written down yet."""
    if data.num_categories:
        return Coding(data.columns, data.num_categories, data.categories)
    return learn_coding(table, training_rows(table, data), data.columns)


def training_rows(table: Table, data: TableData) -> Tensor:
    """Return the rows that training sees."""
    return divided_by_class(_Rows(table), data).train.indices


class _Rows:
    """Show of a table what its division needs: classes, and nothing that must be coded first."""

    def __init__(self, table: Table) -> None:
        self.table, self.labels, self.class_names = table, table.labels, table.class_names

    def __len__(self) -> int:
        return len(self.table)

    def name(self, index: int) -> str:
        """Name a row by its number."""
        return f"row {index + 1}"


def fitted_table(recipe: SignalRecipe) -> SignalRecipe:
    """Return a recipe that knows its table: features and categories, the scale of each number, the encoder's size.

    Raises:
        UserError: The table cannot be read, or is too small to be divided.
    """
    data, method = recipe.data, recipe.method
    assert isinstance(data, TableData)
    table = open_table(data.train, data.labels)
    coding = _coding(table, data)
    whole = TableSource(table, coding)
    rows = divided_by_class(whole, data).train
    center, scale = center_and_scale(whole.signals[rows.indices, :, 0])
    data = replace(data, columns=coding.columns, num_categories=coding.num_categories, categories=coding.categories)
    given: Any = method
    preprocess = replace(given.preprocess, num_categories=coding.num_categories, center=center, scale=scale)
    encoder = given.encoder
    if isinstance(encoder, ViTConfig):
        encoder = replace(encoder, image_size=preprocess.shape, in_channels=preprocess.channels)
    return replace(recipe, data=data, method=replace(given, encoder=encoder, preprocess=preprocess))


def center_and_scale(rows: Float[Tensor, "b c"]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return median and scale of each feature over what was measured, neither of which a few wild values move.

    The scale is the interquartile range in deviations; where half the values are one, the deviation; where all are, 1.
    """
    center, scale = [], []
    for column in rows.double().unbind(dim=1):
        measured = column[column.isfinite()]
        low, middle, high = torch.quantile(measured, torch.tensor((0.25, 0.5, 0.75), dtype=torch.float64)).tolist()
        spread = (high - low) / _DEVIATION or float(measured.std(correction=0)) or 1.0
        center.append(middle)
        scale.append(spread)
    return tuple(center), tuple(scale)
