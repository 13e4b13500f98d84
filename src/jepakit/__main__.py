"""Run the command line: `python -m jepakit` and `jepakit`."""

import sys

from jepakit.cli import run


def main() -> None:
    """Run the command that the arguments name and leave with its status."""
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
