"""Put a trained run into the package as a shipped model: all but what only training needs.

python tools/ship.py RUN NAME

Kept are configuration, environment with its command, log, evaluation and learned cost, and of the checkpoint the model.
"""

import argparse
import shutil
from pathlib import Path

from jepakit.storage import SHIPPED, Run, read_object, save_tensors, write_json

PACKAGE = Path(__file__).resolve().parents[1] / "src" / "jepakit" / "shipped"
KEPT = ("config.json", "metrics.jsonl", "evaluation.json", "final-records.jsonl", "cost")


def ship(run: Run, name: str) -> Path:
    """Copy a run; returns the folder."""
    folder = PACKAGE / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for kept in KEPT:
        there = run.file(kept)
        if there.is_dir():
            shutil.copytree(there, folder / kept)
        elif there.exists():
            shutil.copyfile(there, folder / kept)
    made = read_object(run.file("env.json"))
    write_json(folder / "env.json", {name: made[name] for name in made if name != "platform"})
    saved = run.load_checkpoint("last")
    if saved is None:
        raise SystemExit(f"{run.path} has no checkpoint.")
    tensors, state = saved
    model = {key: value for key, value in tensors.items() if key.startswith("model.")}
    save_tensors(Run(folder).checkpoint_path("last"), model, {"step": state["step"]})
    return folder


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("name", choices=SHIPPED)
    arguments = parser.parse_args()
    shipped = ship(Run(arguments.run), arguments.name)
    size = sum(file.stat().st_size for file in PACKAGE.rglob("*") if file.is_file())
    print(f"{shipped.relative_to(PACKAGE.parents[2])}; all shipped models together {size / 1e6:.2f} MB")
