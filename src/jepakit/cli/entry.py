"""Find the verb, call it, and turn what the user can mend into one sentence.

Exit status: 0 on success, 2 on a user's error (one sentence, no traceback), 1 on a fault of ours, 128 + signal where a
run was interrupted and saved.
"""

import errno
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from jepakit.cli import exchanging, images, looking, scoring, training, worlds
from jepakit.cli.parsing import nearest_hint
from jepakit.cli.printing import complain, say, warn
from jepakit.cli.usage import COMMANDS, USAGE

VERBS: dict[str, Callable[[list[str]], int]] = {
    "train": training.train,
    "evaluate": scoring.evaluate,
    "plan": worlds.plan,
    "surprise": worlds.surprise,
    "agent": worlds.agent,
    "experiment": training.experiment,
    "embed": images.embed,
    "import": exchanging.import_,
    "export": exchanging.export,
    "compare": scoring.compare,
    "report": looking.report,
    "doctor": looking.doctor,
    "demo": training.demo,
}
_FULL = (errno.ENOSPC, errno.EDQUOT)
_USERS_ERRNO = (
    *(errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT),
    *(errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG),
)
"""What the system may refuse because of a path that the user chose."""


def run(arguments: list[str]) -> int:
    """Run one command line and return its exit status."""
    if not arguments or arguments[0] in ("-h", "--help"):
        say(USAGE + "\n".join(f"  {name:10} {words}" for name, words in COMMANDS.items()))
        return 0 if arguments else 2
    name, rest = arguments[0], arguments[1:]
    if name == "--version":
        from jepakit import __version__

        say(__version__)
        return 0
    if name not in COMMANDS:
        return complain(f"There is no command {name!r}{nearest_hint(name, COMMANDS, 'jepakit --help lists them')}")
    try:
        return _call(name, rest)
    except KeyboardInterrupt as stopped:  # also while torch is imported, which takes seconds
        sys.stderr.write("jepakit: stopped; what was saved stays, and the same command goes on from there.\n")
        return 128 + (stopped.args[0] if stopped.args else signal.SIGINT)
    except SystemExit as left:  # --help was asked for and shown
        return left.code if isinstance(left.code, int) else 0


def _call(name: str, arguments: list[str]) -> int:
    """Call a command and turn what the user can mend into one sentence."""
    from jepakit.types import UserError

    try:
        with _cautions_in_words():
            return VERBS[name](arguments)
    except UserError as error:
        return complain(str(error))
    except OSError as error:
        if error.errno in _FULL:
            return complain("The disk is full; what was saved before is untouched, so free some space and go on.")
        if error.errno in _USERS_ERRNO and error.filename is not None:
            return complain(f"{error.filename}: {error.strerror}.")
        raise


@contextmanager
def _cautions_in_words() -> Iterator[None]:
    """Print our own warnings as sentences, without the place in the code that raised them; leave others as they are."""
    from jepakit.types import Caution

    usual = warnings.showwarning

    def show(message: Any, category: type[Warning], *place: Any, **more: Any) -> None:
        if issubclass(category, Caution):
            warn(str(message))
        else:
            usual(message, category, *place, **more)

    with warnings.catch_warnings():
        warnings.showwarning = show
        yield
