"""Measure how fast clips are read from trajectory files: our compact form beside HDF5.

    .venv/bin/python benchmarks/trajectories.py

Pictures are those of SWMTwoRoom. Every form is read through the same stream of random clips, with one thread. HDF5 in
LeWM's layout is written as LeWM's first files are (100 frames a chunk, compressed; here by lzf, which every h5py has)
and as stable-worldmodel writes now (a frame a chunk, plain). A form's figure is its fastest of `--rounds` rounds. The
files are warm in the page cache: this measures the work of reading, not the disk.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from jepakit.data import RecordedClips, Recording, in_memory, pack_recording, read_hdf5
from jepakit.worlds import Roaming, SWMTwoRoom, collect


def hdf5(recording: Recording, path: Path, chunk: int, compression: str | None) -> Recording:
    """Write a recording in LeWM's layout and open it."""
    import h5py  # an extra: the benchmark can be imported without

    frames = torch.cat([recording.episode(e).frames for e in range(len(recording))]).permute(0, 2, 3, 1).numpy()
    with h5py.File(path, "w") as file:
        file.create_dataset("pixels", data=frames, chunks=(chunk, *frames.shape[1:]), compression=compression)
        file["action"] = recording.action.numpy()
        file["ep_len"] = recording.lengths.numpy()
        file["ep_offset"] = recording.offsets.numpy()
    return read_hdf5(path)


def speed(recording: Recording, args: argparse.Namespace) -> float:
    """Return clips a second."""
    clips = RecordedClips(recording, args.clips, args.frames, args.frame_skip).from_step(0)
    next(clips)
    best = 0.0
    for _ in range(args.rounds):
        begin, num = time.perf_counter(), 0
        while time.perf_counter() - begin < args.seconds:
            num += len(next(clips)[1])
        best = max(best, num / (time.perf_counter() - begin))
    return best


def main() -> None:
    """Print a line for each form."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, value in (
        ("episodes", 20),
        ("steps", 100),
        ("size", 64),
        ("clips", 32),
        ("frames", 4),
        ("frame_skip", 5),
    ):
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=value)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=0.5)
    args = parser.parse_args()
    torch.set_num_threads(1)
    world = SWMTwoRoom(image_size=args.size)
    held = in_memory("made", list(collect(world, Roaming(), torch.arange(args.episodes), args.steps)))
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        forms = {
            "in memory": held,
            "compact": pack_recording(held, place / "compact"),
            "hdf5, a frame a chunk": hdf5(held, place / "one.h5", 1, None),
            "hdf5, 100 frames a chunk, lzf": hdf5(held, place / "many.h5", 100, "lzf"),
        }
        figures = {name: round(speed(recording, args)) for name, recording in forms.items()}
    megabytes = np.prod(held.episode(0).frames.shape[1:]) * int(held.lengths.sum()) / 1e6
    print(json.dumps({"clips_per_s": figures, "megabytes": round(float(megabytes)), **vars(args)}, indent=2))


if __name__ == "__main__":
    main()
