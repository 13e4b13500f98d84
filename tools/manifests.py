"""Make the manifests of the embedded worlds: which episodes are evaluated, 200 for choices and 500 for results.

python tools/manifests.py            # say which differ from what is committed
python tools/manifests.py --write    # write those that are missing; none that is there is changed
"""

import argparse
import json
from pathlib import Path
from typing import Any

from jepakit.evaluation.manifest import NUM_EPISODES, SEEDS, as_json, evaluated, make_manifest
from jepakit.worlds import PointMaze2D, PushDisc, Reacher2D, SWMTwoRoom, TwoRooms

FOLDER = Path(__file__).resolve().parents[1] / "src/jepakit/evaluation/manifests"
WORLDS: dict[str, Any] = {
    "two-rooms-fixed": TwoRooms("fixed"),
    "two-rooms-random": TwoRooms("random"),
    "swm-two-room-any": SWMTwoRoom("any"),
    "swm-two-room-opposite": SWMTwoRoom("opposite"),
    "point-maze": PointMaze2D(),
    "push-disc": PushDisc(),
    "reacher-velocity": Reacher2D("velocity"),
    "reacher-torque": Reacher2D("torque"),
}


def text_of(name: str, split: str) -> str:
    """Return the content of a manifest's file."""
    manifest = make_manifest(evaluated(WORLDS[name], SEEDS[split]), NUM_EPISODES[split])
    return json.dumps(as_json(manifest)) + "\n"


def main() -> None:
    """Compare all with the files, or write what is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    for name in WORLDS:
        for split in SEEDS:
            path, text = FOLDER / f"{name}-{split}.json", text_of(name, split)
            if not path.exists() and given.write:
                path.write_text(text, encoding="utf-8")
                print(f"wrote {path.name}")
            elif not path.exists() or path.read_text(encoding="utf-8") != text:
                print(f"{path.name} is missing or differs")


if __name__ == "__main__":
    main()
