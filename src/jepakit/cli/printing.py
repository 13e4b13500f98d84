"""Print what was done, what is wrong with a command, and what should be known."""

import sys


def say(text: str) -> None:
    """Print to standard output."""
    sys.stdout.write(text + "\n")


def complain(sentence: str) -> int:
    """Print a user's error in one sentence; returns the status 2."""
    sys.stderr.write(f"jepakit: {sentence}\n")
    return 2


def warn(sentence: str) -> None:
    """Print what stops nothing but should be known; an empty sentence is none."""
    if sentence:
        sys.stderr.write(f"Note: {sentence}\n")
