"""Verbs that take models from others and give them: `import` and `export`."""

from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

from jepakit.cli.parsing import Checkpoint, described, parse
from jepakit.cli.printing import say, warn


def import_(arguments: list[str]) -> int:
    """Convert what others released, and print what was taken and what was left out."""
    import tyro

    from jepakit import commands

    def asked(
        path: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="PATH")],
        out: Path,
        branch: str | None = None,
        num_heads: int | None = None,
        image_size: int | None = None,
        num_frames: int | None = None,
        encoder: Path | None = None,
    ) -> Any:
        sizes = {"num_heads": num_heads, "image_size": image_size, "num_frames": num_frames}
        options: dict[str, Any] = {"branch": branch, "encoder": encoder} | sizes
        return path, out, partial(commands.import_checkpoint, path, out, **options)

    path, out, call = parse(described(asked, commands.import_checkpoint), "import", arguments)
    imported = call()
    say(f"Imported {path} ({imported.layout}, branch: {imported.branch}) into {out}")
    if imported.left_out:
        say(f"  left out: {', '.join(imported.left_out)}")
    say(f"Next: jepakit embed {out} IMAGES z.npy")
    return 0


def export(arguments: list[str]) -> int:
    """Write a model for others, and print where."""
    import tyro

    from jepakit import commands
    from jepakit.commands.cautions import collapse
    from jepakit.storage import Run

    def asked(
        model: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="MODEL")],
        out: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="OUT")],
        to: Literal["hf", "meta", "onnx"] = "hf",
        checkpoint: Checkpoint = "last",
    ) -> Any:
        return Run(model), checkpoint, partial(commands.export, model, out, to=to, checkpoint=checkpoint)

    run, checkpoint, call = parse(described(asked, commands.export), "export", arguments)
    warn(collapse(run, checkpoint))
    say(f"Exported {run.path}: {', '.join(map(str, call().files))}")
    return 0
