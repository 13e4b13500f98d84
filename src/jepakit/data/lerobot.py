"""Read robot recordings in LeRobot's layout, versions 2 and 3, from a folder on the disk.

    meta/info.json           version, pictures a second, and the features: which columns there are, of which kind
    data/.../*.parquet       a row for each frame: action, observation.state, episode_index, frame_index
    videos/.../*.mp4         pictures: in version 2 a file for each episode and camera, in version 3 many episodes each
    meta/episodes/*/*.parquet    version 3: in which video an episode is, and from which second on

Pictures kept as images in the tables are read too, their encoded bytes held in memory. The action of a row is what was
done at its frame. Source: LeRobot's documentation of its dataset format. Deviations: paths are those that LeRobot
itself writes, whatever the templates in info.json say: no text of a foreign file decides which files are opened.
"""

import re
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int, UInt8
from torch import Tensor

from jepakit.data.decode import open_image
from jepakit.data.recording import Frames, Recording
from jepakit.data.source import Unreadable
from jepakit.data.video import VideoFrames
from jepakit.storage import read_object
from jepakit.types import UserError, require

_CAMERA = re.compile(r"[\w.-]+")


def read_lerobot(
    path: str | Path, *, camera: str | None = None, action: str = "action", proprio: str | None = "observation.state"
) -> Recording:
    """Open a LeRobot dataset; pictures are decoded when clips ask for them.

    Args:
        path: Its folder.
        camera: The feature that holds pictures; by default the only one.
        action: The column of actions.
        proprio: The column of proprioception, left out where there is none of that name.

    Raises:
        UserError: pyarrow or PyAV is not installed; the folder is no LeRobot dataset of version 2 or 3; a file or a
            column is missing or damaged; there are no episodes or no pictures, or several cameras and none is chosen.
    """
    folder = Path(path)
    info = read_object(folder / "meta" / "info.json")
    version, features = str(info.get("codebase_version", "")), info.get("features")
    is_known = version[:2] in ("v2", "v3") and isinstance(features, dict) and isinstance(info.get("fps"), (int, float))
    require(
        is_known and info["fps"] > 0, f"{folder} is no LeRobot dataset of version 2 or 3, but {version or 'nothing'!r}."
    )
    assert isinstance(features, dict)
    camera = chosen_camera(folder, features, camera)
    felt_in = proprio if proprio in features else None
    as_images = features[camera].get("dtype") == "image"
    names = ["episode_index", "frame_index", action, *([felt_in] if felt_in else []), *([camera] if as_images else [])]
    table = _tables(sorted((folder / "data").glob("*/*.parquet")), names, folder / "data")
    episode, frame = (torch.from_numpy(np.asarray(table[name], dtype=np.int64)) for name in names[:2])
    order = torch.from_numpy(np.lexsort((frame.numpy(), episode.numpy())))
    ids, lengths = torch.unique_consecutive(episode[order], return_counts=True)
    require(len(ids) > 0, f"{folder} holds no episodes.")
    counted = torch.cat([torch.arange(int(num)) for num in lengths])
    require(
        torch.equal(frame[order], counted), f"{folder}: an episode's frames do not count 0, 1, 2 ...; it is damaged."
    )
    frames: Frames
    if as_images:
        frames = EncodedFrames(str(folder / "data"), [table[camera][row] for row in order.tolist()])
    else:
        frames = _videos(folder, version, camera, ids, lengths, float(info["fps"]))
    frames(torch.zeros(1, 1, dtype=torch.long))  # what cannot be read is better known now than in training
    felt = None if felt_in is None else _vectors(folder, felt_in, table[felt_in])[order]
    return Recording(str(folder), frames, lengths, _vectors(folder, action, table[action])[order], felt)


def chosen_camera(folder: Path, features: dict[str, Any], camera: str | None) -> str:
    """Return the feature that holds pictures.

    Raises:
        UserError: There is none of that name, none at all, or several to choose from.
    """
    seeing = [n for n, f in features.items() if isinstance(f, dict) and f.get("dtype") in ("video", "image")]
    if camera is None:
        require(bool(seeing), f"{folder} has no pictures; its features are {', '.join(features)}.")
        require(len(seeing) == 1, f"{folder} has several cameras; choose one of {', '.join(seeing)}.")
        camera = seeing[0]
    require(camera in seeing, f"{folder} has no camera {camera!r}; it has {', '.join(seeing) or 'none'}.")
    require(bool(_CAMERA.fullmatch(camera)) and camera != "..", f"{camera!r} is no name of a camera.")
    return camera


class EncodedFrames:
    """Decode pictures that are kept as the bytes of image files.

    Args:
        name: What to call them in messages.
        pictures: The bytes, or LeRobot's {bytes, path}, of each row.
    """

    def __init__(self, name: str, pictures: list[Any]):
        self.name = name
        self.pictures = pictures

    def __call__(self, rows: Int[Tensor, "b t"]) -> UInt8[Tensor, "b t c h w"]:
        """Return the pictures of these rows.

        Raises:
            UserError: One cannot be decoded.
        """
        return torch.stack([torch.stack([self._one(row) for row in clip]) for clip in rows.tolist()])

    def _one(self, row: int) -> UInt8[Tensor, "c h w"]:
        content = self.pictures[row]
        content = content.get("bytes") if isinstance(content, dict) else content
        if not isinstance(content, bytes):
            raise UserError(f"{self.name}: row {row} holds no image.")
        try:
            picture = np.array(open_image(content, f"row {row}").convert("RGB"))
        except (Unreadable, OSError) as error:
            raise UserError(f"{self.name}: the image of row {row} cannot be read ({error}).") from error
        return torch.from_numpy(picture).permute(2, 0, 1)


def _videos(
    folder: Path, version: str, camera: str, ids: Int[Tensor, " e"], lengths: Int[Tensor, " e"], fps: float
) -> VideoFrames:
    """Find out in which video and from which picture on each episode is."""
    if version.startswith("v2"):
        chunk = int(read_object(folder / "meta" / "info.json").get("chunks_size", 1000))
        paths = [folder / "videos" / f"chunk-{e // chunk:03d}" / camera / f"episode_{e:06d}.mp4" for e in ids.tolist()]
        begins = [0] * len(ids)
    else:
        keys = [f"videos/{camera}/{part}" for part in ("chunk_index", "file_index", "from_timestamp")]
        places = sorted((folder / "meta" / "episodes").glob("*/*.parquet"))
        table = _tables(places, ["episode_index", *keys], folder / "meta" / "episodes")
        rows = {int(e): row for row, e in enumerate(table["episode_index"])}
        lacking = [e for e in ids.tolist() if e not in rows]
        require(not lacking, f"{folder / 'meta' / 'episodes'} says nothing of episode {lacking[0] if lacking else 0}.")
        found = [[table[key][rows[e]] for key in keys] for e in ids.tolist()]
        paths = [folder / "videos" / camera / f"chunk-{int(c):03d}" / f"file-{int(f):03d}.mp4" for c, f, _ in found]
        begins = [round(float(second) * fps) for _, _, second in found]
    files = tuple(dict.fromkeys(paths))
    index = {path: number for number, path in enumerate(files)}
    file = torch.tensor([index[path] for path in paths]).repeat_interleave(lengths)
    first = (torch.tensor(begins) - (lengths.cumsum(0) - lengths)).repeat_interleave(lengths)
    return VideoFrames(files, file, torch.arange(int(lengths.sum())) + first, fps)


def _tables(paths: list[Path], names: list[str], place: Path) -> dict[str, list[Any]]:
    """Return columns of parquet files, one file after the other."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise UserError(
            "LeRobot datasets are read by pyarrow, which is not installed; pip install 'jepakit[data]'."
        ) from error
    require(bool(paths), f"{place} holds no parquet files.")
    columns: dict[str, list[Any]] = {name: [] for name in names}
    for path in paths:
        try:
            there = pq.read_schema(path).names
            lacking = [name for name in names if name not in there]
            require(not lacking, f"{path} has no column {lacking[0] if lacking else ''!r}; it has {', '.join(there)}.")
            table = pq.read_table(path, columns=names)
        except (pa.ArrowException, OSError) as error:
            raise UserError(
                f"{path} is truncated, damaged or no parquet file ({str(error).splitlines()[0]})."
            ) from error
        for name in names:
            columns[name] += table[name].to_pylist()
    return columns


def _vectors(folder: Path, name: str, values: list[Any]) -> Tensor:
    try:
        found = torch.tensor(values, dtype=torch.float32)
    except (TypeError, ValueError, RuntimeError) as error:
        raise UserError(f"{folder}: the column {name!r} holds no vectors of one length.") from error
    require(
        found.ndim in (1, 2), f"{folder}: the column {name!r} holds no vectors, but {tuple(found.shape[1:])} a row."
    )
    return found.reshape(len(found), -1)
