"""Check shape annotations while tests run, keep every test to one thread, and share one tiny trained run."""

import os
import sys
from pathlib import Path

import pytest
import torch
from jaxtyping import install_import_hook

sys.path.insert(0, str(Path(__file__).parent))
if os.environ.get("JEPAKIT_TEST_SHAPES") != "0":  # as in tools/breaks.py
    install_import_hook("jepakit", "typechecking.check")
torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _same_random_numbers_each_time() -> None:
    """A test that draws from torch's global generator draws the same numbers in every run and in every order."""
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train and score a tiny transformation JEPA on the digits; whoever changes its files works on a copy."""
    from tiny_runs import quick_rule, quick_scoring, tiny

    from jepakit.commands import train

    folder = tmp_path_factory.mktemp("runs") / "tiny"
    with quick_scoring(quick_rule):
        train(tiny(), folder)
    return folder


@pytest.fixture(scope="session")
def tiny_vit_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train a tiny I-JEPA on the digits, without scores."""
    from tiny_runs import tiny

    from jepakit.recipes import train

    folder = tmp_path_factory.mktemp("runs") / "tiny-vit"
    train(tiny("digits-ijepa"), folder)
    return folder
