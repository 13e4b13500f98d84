"""Break the code on purpose, one breakage at a time in a copy, and check that the test meant for it goes red.

tests/breaks.toml lists them: a file, a snippet that stands in it exactly once, what to put in its place, and the test
that must fail. A test that stays green proves nothing, and this command says so. Shape annotations are not checked
meanwhile: decorating the whole package takes longer than most of these tests.
"""

import argparse
import importlib
import os
import shutil
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SETTINGS = {
    "JEPAKIT_TEST_SHAPES": "0",
    "OMP_NUM_THREADS": "1",
    "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    "PYTHONDONTWRITEBYTECODE": "1",  # of a file that was broken
}
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


@dataclass(frozen=True)
class Trial:
    """A breakage in place in a copy of the house, and the process that runs its test there."""

    breakage: dict[str, str]
    copy: Path
    original: str


def main() -> int:
    """Apply every breakage and report those that no test noticed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="only these breakages")
    parser.add_argument("--share", default="1/1", help="only so much: 2/3 is the second third, every third from there")
    told = parser.parse_args()
    part, parts = map(int, told.share.split("/"))
    breakages = tomllib.loads((ROOT / "tests/breaks.toml").read_text())["break"][part - 1 :: parts]
    breakages = [b for b in breakages if not told.names or b["name"] in told.names]
    os.environ |= SETTINGS
    import_once()
    with tempfile.TemporaryDirectory() as folder:
        copies = [copy_house(Path(folder) / str(number)) for number in range(min(os.cpu_count() or 1, 4))]
        noticed = list(outcomes(breakages, copies))
    print(f"{sum(noticed)} of {len(breakages)} breakages are noticed")
    return 0 if all(noticed) and noticed else 1


def import_once() -> None:
    """Import what is slow to import and not ours; each test run is a fork of this process."""
    for name in ("hypothesis", "matplotlib.figure", "pytest", "sklearn.linear_model", "torch._dynamo"):
        importlib.import_module(name)


def copy_house(copy: Path) -> Path:
    """Copy what the tests need into an empty folder."""
    for name in _COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        elif source.exists():
            shutil.copy(source, copy / name)
    return copy


def outcomes(breakages: list[dict[str, str]], free: list[Path]) -> Iterator[bool]:
    """Try every breakage, as many at once as there are copies, and give whether its test failed."""
    waiting, running = breakages[::-1], dict[int, Trial]()
    while waiting or running:
        if waiting and free:
            if (trial := begun(waiting.pop(), free)) is None:
                yield False
            else:
                running[start_tests(trial)] = trial
            continue
        pid, status = os.wait()
        trial = running.pop(pid)
        free.append(trial.copy)
        yield is_noticed(trial, os.waitstatus_to_exitcode(status))


def begun(breakage: dict[str, str], free: list[Path]) -> Trial | None:
    """Apply a breakage to a copy that nobody uses; None where its snippet does not stand in its file exactly once."""
    original = (free[-1] / breakage["file"]).read_text()
    if original.count(breakage["old"]) != 1:
        print(f"{breakage['name']}: its snippet stands {original.count(breakage['old'])} times in {breakage['file']}")
        return None
    copy = free.pop()
    (copy / breakage["file"]).write_text(original.replace(breakage["old"], breakage["new"]))
    return Trial(breakage, copy, original)


def start_tests(trial: Trial) -> int:
    """Fork a process that runs the test of a breakage, in a session of its own, and return its id."""
    sys.stdout.flush()
    if pid := os.fork():
        return pid
    os.setsid()
    code = 1
    try:
        code = TESTS_FAILED if run_tests(trial) == 1 else 0
    finally:
        sys.stdout.flush()
        os._exit(code)


def run_tests(trial: Trial) -> int:
    """Run the test of a breakage in its copy and return pytest's status: 1 where a test failed."""
    log = os.open(trial.copy / "breaks.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.chdir(trial.copy)
    os.environ["PYTHONPATH"] = f"{trial.copy}/src"  # for the processes that tests start
    sys.path.insert(0, f"{trial.copy}/src")
    import pytest

    return int(pytest.main(["-x", "-q", "-p", "no:cacheprovider", trial.breakage["test"]]))


def is_noticed(trial: Trial, exit_code: int) -> bool:
    """Restore the file and say whether the test failed; a crash is no verdict and does not pass for a red test."""
    (trial.copy / trial.breakage["file"]).write_text(trial.original)
    noticed = exit_code == TESTS_FAILED
    print(f"{'red as it must be' if noticed else 'NOT NOTICED'}: {trial.breakage['name']}", flush=True)
    if not noticed:
        log = (trial.copy / "breaks.log").read_text(errors="replace")
        print(f"{log[-3000:]}\nthe process of its test ended with {exit_code}")
    return noticed


if __name__ == "__main__":
    sys.exit(main())
