"""Let tyro read the options of a verb from a signature, and say what is wrong with them in one sentence."""

import contextlib
import io
import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Literal, TypeAlias

from jepakit.cli.usage import COMMANDS
from jepakit.nearest import nearest

Checkpoint: TypeAlias = Literal["last", "healthy"]


def parse(function: Callable[..., Any], command: str, arguments: list[str], **settings: Any) -> Any:
    """Let tyro read the arguments of a function from its signature, and say what is wrong with them in one sentence.

    Args:
        function: What to call with them.
        command: The command, with its recipe, for tyro's help.
        arguments: What the user typed after it.
        settings: Passed on to `tyro.cli`, which knows its own options.

    Raises:
        UserError: An option is unknown (the nearest is named), a value does not fit, or one is missing.
        SystemExit: Help was asked for.
    """
    import tyro

    from jepakit.types import UserError

    read = partial(tyro.cli, function, prog=f"jepakit {command}", **settings)
    told, options = io.StringIO(), io.StringIO()
    try:
        with contextlib.redirect_stderr(told):
            return read(args=arguments)
    except SystemExit as left:
        if not left.code:
            raise
    with contextlib.redirect_stdout(options), contextlib.suppress(SystemExit):
        read(args=["--help"])
    known = dict.fromkeys(re.findall(r"--[a-z][\w.-]*", options.getvalue()))
    for argument in arguments:
        option = argument.partition("=")[0].replace("_", "-")
        if option.startswith("--") and option not in known:
            hint = nearest_hint(option, _by_last_name(known), f"jepakit {command} --help lists them")
            raise UserError(f"{command.split()[0]} has no option {option!r}{hint}")
    missing = re.findall(r"^\W*([A-Z]+)\W*$", told.getvalue(), re.MULTILINE)
    if missing:
        form = re.split(r"\s{2,}", COMMANDS[command.split()[0]])[0]
        raise UserError(f"{command} needs {' and '.join(missing)}: jepakit {command} {form}.")
    raise UserError(_sentence(told.getvalue()))


def described(options: Callable[..., Any], command: Callable[..., Any]) -> Callable[..., Any]:
    """Give the options of a command line the words of the Python function that they are for."""
    options.__doc__ = command.__doc__
    return options


def _by_last_name(options: Mapping[str, Any]) -> dict[str, str]:
    """Return options by their names, and by the last part of dotted ones: --num-steps finds --training.num-steps."""
    return {f"--{option[2:].rpartition('.')[2]}": option for option in options} | {o: o for o in options}


def nearest_hint(name: str, known: Mapping[str, str], otherwise: str) -> str:
    """Return the end of a sentence on an unknown name: the nearest known one, or where to look."""
    near = nearest(name, known)
    return f"; did you mean {known[near] if near.startswith('--') else near!r}?" if near else f"; {otherwise}."


def _sentence(box: str) -> str:
    """Return what tyro said in its box: below the title, above the next rule, and without the frame."""
    lines = [line.strip("╭╮╰╯│ ") for line in box.splitlines()[1:]]
    is_rule = [set(line) <= set("─-") for line in lines]
    start = is_rule.index(False) if False in is_rule else 0
    words = " ".join(lines[start : is_rule.index(True, start) if True in is_rule[start:] else None])
    return words if words.endswith(".") else f"{words}."
