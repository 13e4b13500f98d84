"""Write small recordings in every form that is read, from the same episodes, whose frames tell their own number."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from jepakit.random import Stream
from jepakit.storage import Episode

LENGTHS = (7, 4, 12)


def episodes(lengths: Sequence[int] = LENGTHS, size: tuple[int, int] = (16, 24), felt: int = 3) -> list[Episode]:
    """Return episodes; pixel values of frame i of episode e begin with e and i."""
    made = []
    for e, num in enumerate(lengths):
        frames = Stream(0, "test/frames").integers(e, torch.arange(num), 3 * size[0] * size[1], 256)
        frames = frames.view(num, 3, *size).to(torch.uint8)
        frames[:, 0, 0, 0], frames[:, 0, 0, 1] = e, torch.arange(num, dtype=torch.uint8)
        action = Stream(0, "test/action").normal(e, torch.arange(num - 1), 2)
        made.append(
            Episode(frames, action, Stream(0, "test/felt").normal(e, torch.arange(num), felt) if felt else None)
        )
    return made


def action_rows(made: Sequence[Episode], last: float) -> np.ndarray[Any, Any]:
    """Return actions row by row beside the frames."""
    filled = [torch.cat((episode.action, torch.full((1, 2), last))) for episode in made]
    return torch.cat(filled).numpy()


def write_hdf5(path: Path, made: Sequence[Episode], **changed: Any) -> Path:
    """Write LeWM's layout; `changed` replaces columns, None leaves one out."""
    h5py = pytest.importorskip("h5py", reason="h5py not installed")
    lengths = [len(episode.frames) for episode in made]
    columns = {
        "pixels": torch.cat([e.frames for e in made]).permute(0, 2, 3, 1).numpy(),
        "action": action_rows(made, float("nan")),
        "proprio": torch.cat([e.proprio for e in made if e.proprio is not None]).numpy(),
        "ep_len": np.array(lengths, np.int32),
        "ep_offset": np.cumsum([0, *lengths[:-1]]).astype(np.int64),
    }
    with h5py.File(path, "w") as file:
        for name, value in (columns | changed).items():
            if value is not None:
                chunks = (5, *value.shape[1:]) if name == "pixels" else None
                file.create_dataset(name, data=value, chunks=chunks, compression="gzip" if chunks else None)
    return path


def write_minari(folder: Path, made: Sequence[Episode], **about: Any) -> Path:
    """Write Minari's layout, observations in parts."""
    h5py = pytest.importorskip("h5py", reason="h5py not installed")
    (folder / "data").mkdir(parents=True)
    (folder / "data/metadata.json").write_text(json.dumps({"data_format": "hdf5", "total_episodes": len(made)} | about))
    with h5py.File(folder / "data/main_data.hdf5", "w") as file:
        for number, episode in enumerate(made):
            group = file.create_group(f"episode_{number}")
            group["observations/camera"] = episode.frames.permute(0, 2, 3, 1).numpy()
            if episode.proprio is not None:
                group["observations/joints"] = episode.proprio.numpy()
            group["actions"] = episode.action.numpy()
            group["rewards"] = np.zeros(len(episode.action))
    return folder


def write_lerobot(
    folder: Path, made: Sequence[Episode], version: str = "v3.0", camera: str = "observation.image"
) -> Path:
    """Write LeRobot's layout of version 2 (a video each) or 3 (one video), pictures without loss."""
    pa = pytest.importorskip("pyarrow", reason="pyarrow not installed")
    import pyarrow.parquet as pq

    features = {name: {"dtype": "float32"} for name in ("action", "observation.state")} | {camera: {"dtype": "video"}}
    info = {"codebase_version": version, "fps": 10, "chunks_size": 1000, "features": features}
    (folder / "meta").mkdir(parents=True)
    (folder / "meta/info.json").write_text(json.dumps(info))
    tables = []
    for number, e in enumerate(made):
        assert e.proprio is not None
        rows: dict[str, Any] = {
            "action": torch.cat((e.action, e.action[-1:])).tolist(),
            "observation.state": e.proprio.tolist(),
            "episode_index": [number] * len(e.frames),
            "frame_index": list(range(len(e.frames))),
        }
        tables.append(pa.table(rows))
    if version.startswith("v2"):
        for number, (table, e) in enumerate(zip(tables, made, strict=True)):
            (folder / "data/chunk-000").mkdir(parents=True, exist_ok=True)
            pq.write_table(table, folder / f"data/chunk-000/episode_{number:06d}.parquet")
            write_video(folder / f"videos/chunk-000/{camera}/episode_{number:06d}.mp4", e.frames)
        return folder
    (folder / "data/chunk-000").mkdir(parents=True)
    pq.write_table(pa.concat_tables(tables), folder / "data/chunk-000/file-000.parquet")
    begins = np.cumsum([0, *(len(e.frames) for e in made[:-1])])
    places = {
        "episode_index": list(range(len(made))),
        f"videos/{camera}/chunk_index": [0] * len(made),
        f"videos/{camera}/file_index": [0] * len(made),
        f"videos/{camera}/from_timestamp": (begins / 10).tolist(),
    }
    (folder / "meta/episodes/chunk-000").mkdir(parents=True)
    pq.write_table(pa.table(places), folder / "meta/episodes/chunk-000/file-000.parquet")
    write_video(folder / f"videos/{camera}/chunk-000/file-000.mp4", torch.cat([e.frames for e in made]))
    return folder


def write_video(path: Path, frames: torch.Tensor) -> None:
    """Write a video without loss, a key frame every 5 pictures."""
    av = pytest.importorskip("av", reason="jepakit[video] not installed")
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264rgb", rate=10, options={"qp": "0", "g": "5", "bf": "0"})
        stream.height, stream.width = frames.shape[2:]
        stream.pix_fmt = "rgb24"
        for picture in frames.permute(0, 2, 3, 1).numpy():
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
