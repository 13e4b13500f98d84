"""Every example in a docstring runs and prints what it says."""

import doctest
import importlib
import pkgutil

import pytest

import jepakit

NAMES = [module.name for module in pkgutil.walk_packages(jepakit.__path__, "jepakit.") if "__main__" not in module.name]


@pytest.mark.parametrize("name", NAMES)
def test_examples_in_docstrings(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0
