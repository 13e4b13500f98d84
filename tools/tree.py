"""Print the annotated tree of src/jepakit, a line per file: its path and the first sentence of its docstring.

python tools/tree.py            # print
python tools/tree.py --write    # put it between the <!-- tree --> marks of README.md
"""

import argparse
import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MARK = "<!-- tree -->"
# Bottom up, as the house is built; a room that is missing here comes last, in alphabetical order.
FLOORS = (
    *("types.py", "nearest.py", "random.py", "collectives.py", "nn", "masking", "views", "objectives", "storage"),
    *(
        "health",
        "jepa.py",
        "methods",
        "data",
        "worlds",
        "training",
        "evaluation",
        "planning",
        "hub",
        "report",
        "recipes",
        "commands",
    ),
    *("estimator.py", "cli", "__main__.py", "__init__.py"),
)
_OTHERS = {
    "page.html": "Lay out the report.",
    "comparison.html": "Lay out the comparison of runs.",
    "experiment.html": "Lay out the page of an experiment.",
    "parts.html": "Lay out what all pages share.",
    "page.css": "Style all pages.",
}


def tree(package: Path = ROOT / "src/jepakit") -> str:
    """Return the tree as text, ready for a README."""
    rows = list(_rows(package))
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:{width}}  {sentence}".rstrip() for name, sentence in rows)


def _rows(package: Path) -> Iterator[tuple[str, str]]:
    """Yield (indented name, sentence) of every room and file."""
    for path in sorted(package.iterdir(), key=_place):
        if path.is_dir() and any(path.rglob("*.py")):
            yield from _room(path, "")
        elif path.suffix == ".py":
            yield path.name, first_sentence(path)


def _room(room: Path, indent: str) -> Iterator[tuple[str, str]]:
    """Yield the rows of a room, its files and the rooms within it."""
    yield f"{indent}{room.name}/", first_sentence(room / "__init__.py")
    for path in sorted(room.iterdir()):
        if path.is_dir() and any(path.rglob("*.py")):
            yield from _room(path, f"{indent}    ")
        elif path.is_file() and path.name != "__init__.py":
            yield f"{indent}    {path.name}", first_sentence(path)


def _place(path: Path) -> tuple[int, str]:
    return (FLOORS.index(path.name) if path.name in FLOORS else len(FLOORS), path.name)


def first_sentence(path: Path) -> str:
    """Return the first sentence of a module's docstring, or what this file says of one that is no module."""
    if path.suffix != ".py":
        return _OTHERS.get(path.name, "")
    paragraph = (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").split("\n\n")[0]
    return re.split(r"(?<=[.!?])\s", " ".join(paragraph.split()), maxsplit=1)[0]


def section(readme: str) -> str:
    """Return the text between the two marks of a README.

    Raises:
        ValueError: The marks are not there.
    """
    parts = readme.split(MARK)
    if len(parts) != 3:
        raise ValueError(f"README.md must hold {MARK} twice, around the tree; it stands there {len(parts) - 1} times.")
    return parts[1]


def with_tree(readme: str) -> str:
    """Return a README whose section holds the tree as it is now."""
    _ = section(readme)
    before, _, after = readme.split(MARK)
    return f"{before}{MARK}\n```\n{tree()}\n```\n{MARK}{after}"


def main() -> None:
    """Print the tree, or write it into README.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="rewrite the section of README.md")
    path = ROOT / "README.md"
    if parser.parse_args().write:
        path.write_text(with_tree(path.read_text(encoding="utf-8")), encoding="utf-8")
    else:
        print(tree())


if __name__ == "__main__":
    main()
