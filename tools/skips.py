"""Fail on any skipped test whose reason is not one that a person can act on (tools/skips.txt)."""

import re
import sys
from pathlib import Path


def main(log: Path) -> int:
    """Read pytest's skip lines (`-rs`) and name those whose reason is not listed."""
    allowed = [line.strip() for line in Path(__file__).with_name("skips.txt").read_text().splitlines() if line.strip()]
    skips = re.findall(r"^SKIPPED \[\d+\] (.+?): (.+)$", log.read_text(), flags=re.MULTILINE)
    unknown = [f"{place}: {reason}" for place, reason in skips if not any(reason.startswith(a) for a in allowed)]
    for line in unknown:
        print(f"skipped without a listed reason: {line}")
    return 1 if unknown else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
