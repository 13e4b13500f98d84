"""Break the code on purpose, one breakage at a time in a copy, and check that the test meant for it goes red.

tests/breaks.toml lists them: a file, a snippet that stands in it exactly once, what to put in its place, and the test
that must fail. A test that stays green proves nothing, and this command says so.
"""

import argparse
import os
import queue
import shutil
import subprocess
import sys
import tempfile
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_COPIED = ("src", "tests", "pyproject.toml", "README.md", "docs", "examples", "tools", "Makefile")


def main() -> int:
    """Apply every breakage and report those that no test noticed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="only these breakages")
    chosen = parser.parse_args().names
    breakages = tomllib.loads((ROOT / "tests/breaks.toml").read_text())["break"]
    breakages = [b for b in breakages if not chosen or b["name"] in chosen]
    num_workers = min(os.cpu_count() or 1, 4)
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(num_workers) as pool:
        copies: queue.SimpleQueue[Path] = queue.SimpleQueue()
        for number in range(num_workers):
            copies.put(copy_house(Path(folder) / str(number)))
        noticed = list(pool.map(lambda breakage: in_a_copy(breakage, copies), breakages))
    print(f"{sum(noticed)} of {len(breakages)} breakages are noticed")
    return 0 if all(noticed) else 1


def copy_house(copy: Path) -> Path:
    """Copy what the tests need into an empty folder."""
    for name in _COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        elif source.exists():
            shutil.copy(source, copy / name)
    return copy


def in_a_copy(breakage: dict[str, str], copies: "queue.SimpleQueue[Path]") -> bool:
    """Take a copy that nobody uses, try the breakage there, and give it back."""
    copy = copies.get()
    try:
        return is_noticed(breakage, copy)
    finally:
        copies.put(copy)


def is_noticed(breakage: dict[str, str], copy: Path) -> bool:
    """Apply one breakage to the copy, run its test, restore the file, and return whether the test failed."""
    path = copy / breakage["file"]
    original = path.read_text()
    if original.count(breakage["old"]) != 1:
        print(f"{breakage['name']}: its snippet stands {original.count(breakage['old'])} times in {breakage['file']}")
        return False
    path.write_text(original.replace(breakage["old"], breakage["new"]))
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *breakage["test"].split()]
    only_here = {"PYTHONPATH": str(copy / "src"), "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"}
    environment = os.environ | only_here
    done = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, check=False)
    path.write_text(original)
    noticed = done.returncode == 1  # 1: tests failed; anything else is no verdict
    print(f"{'red as it must be' if noticed else 'NOT NOTICED'}: {breakage['name']}", flush=True)
    if not noticed:
        print(done.stdout[-2000:], done.stderr[-1000:])
    return noticed


if __name__ == "__main__":
    sys.exit(main())
