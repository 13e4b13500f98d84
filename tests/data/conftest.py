"""Lay out folders of small image files, and find real data where a developer has it."""

import os
from pathlib import Path

import pytest
from image_files import BROKEN, smooth


@pytest.fixture
def mixed_folder(tmp_path: Path) -> Path:
    """Return a folder of 30 readable images in nested folders, among them every kind of broken file."""
    root = tmp_path / "mixed"
    for i in range(30):
        path = root / f"class-{i % 3}" / ("deep" if i % 2 else "") / f"{i:02d}.{('png', 'jpg')[i % 2]}"
        path.parent.mkdir(parents=True, exist_ok=True)
        smooth(20 + i, 44 - i, seed=i).save(path)
    for name, data in BROKEN.items():
        (root / "class-1" / name).write_bytes(data())
    return root


@pytest.fixture
def cifar_path() -> Path:
    """Return the path of CIFAR-10's test part, where a developer has it."""
    path = Path(os.environ.get("JEPAKIT_TEST_DATA", "")) / "cifar10-test.parquet"
    if not path.is_file():
        pytest.skip("test data absent")
    return path
