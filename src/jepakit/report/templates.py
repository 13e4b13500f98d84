"""Fill this room's templates and put pages in place.

A page holds no script and loads nothing; its content security policy forbids both, whatever a file name or a
configuration may contain.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jepakit.report.glossary import term
from jepakit.report.wording import plural
from jepakit.storage import write_atomically

if TYPE_CHECKING:
    from jinja2 import Environment

FOLDER = Path(__file__).parent


def render(template: str, content: Mapping[str, Any]) -> str:
    """Return a filled template; all that it is given is escaped, save the SVG that this room drew.

    Args:
        template: Name of the template.
        content: What it shows.
    """
    return _environment().get_template(template).render(content)


@cache
def _environment() -> "Environment":
    """Return the environment of the templates, which refuses names that it was not given."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {"glossary": term, "plural": plural}
    environment.globals["css"] = Markup((FOLDER / "page.css").read_text(encoding="utf-8"))  # our own file, no input
    return environment


def write_page(path: Path, text: str) -> Path:
    """Put a page in place in one step and return its path; half a page is never seen.

    Raises:
        UserError: The disk is full; the page that was there survives.
    """

    def write(temporary: Path) -> None:
        temporary.write_bytes(text.encode("utf-8", "replace"))  # names of files may hold bytes that are no UTF-8

    write_atomically(path, write)
    return path
