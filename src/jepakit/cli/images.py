"""Verbs that use a model on images: `embed`."""

from functools import partial
from pathlib import Path
from typing import Annotated, Any

from jepakit.cli.parsing import Checkpoint, described, parse
from jepakit.cli.printing import say, warn


def embed(arguments: list[str]) -> int:
    """Write the embeddings of images, and print which could not be read."""
    import tyro

    from jepakit import commands
    from jepakit.commands.cautions import collapse
    from jepakit.storage import Run

    def asked(
        model: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="MODEL")],
        images: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="IMAGES")],
        out: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="OUT")],
        column: str | None = None,
        checkpoint: Checkpoint = "last",
    ) -> Any:
        return Run(model), checkpoint, partial(commands.embed, model, images, out, column=column, checkpoint=checkpoint)

    run, checkpoint, call = parse(described(asked, commands.embed), "embed", arguments)
    warn(collapse(run, checkpoint))
    embedded = call()
    n, dim = embedded.z.shape
    say(f"Embedded {n} samples in {dim} dimensions: {', '.join(map(str, embedded.files))}")
    for skip in embedded.skipped:
        say(f"  skipped {skip.name}: {skip.reason}")
    return 0
