"""Break the code on purpose, one breakage at a time in a copy, and check that the test meant for it goes red.

tests/breaks.toml lists them: a file, a snippet that stands in it exactly once, what to put in its place, and the test
that must fail. A test that stays green proves nothing, and this command says so.
"""

import argparse
import multiprocessing
import os
import queue
import shutil
import sys
import tempfile
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
os.environ |= {"PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
PROCESSES = multiprocessing.get_context("forkserver")  # each test run is a fork of a process that has torch already
PROCESSES.set_forkserver_preload(["torch", "sklearn.linear_model", "pytest", "beartype", "jaxtyping", "hypothesis"])
TESTS_FAILED = 77
_COPIED = (
    "src",
    "tests",
    "pyproject.toml",
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "docs",
    "examples",
    "benchmarks",
    "tools",
    "Makefile",
)


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
    log = copy / "breaks.log"
    process = PROCESSES.Process(target=run_tests, args=(str(copy), breakage["test"], str(log)))
    process.start()
    process.join()
    path.write_text(original)
    noticed = process.exitcode == TESTS_FAILED  # anything else is no verdict: a crash must not pass for a red test
    print(f"{'red as it must be' if noticed else 'NOT NOTICED'}: {breakage['name']}", flush=True)
    if not noticed:
        print(log.read_text()[-3000:] if log.exists() else f"the process ended with {process.exitcode}")
    return noticed


def run_tests(copy: str, test: str, log: str) -> None:
    """Run a test in a copy of the house, in this process, and leave with a status that says whether it failed."""
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.chdir(copy)
    os.environ["PYTHONPATH"] = f"{copy}/src"  # for the processes that tests start
    sys.path.insert(0, f"{copy}/src")
    import pytest

    status = pytest.main(["-x", "-q", "-p", "no:cacheprovider", test])
    os._exit(TESTS_FAILED if status == pytest.ExitCode.TESTS_FAILED else 0)


if __name__ == "__main__":
    sys.exit(main())
