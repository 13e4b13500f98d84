"""Measure how many clips a second one core decodes from video files, beside plain decode-then-resize through PyAV.

    python benchmarks/video_decoding.py

Files are made on the fly: `--seconds` of a drifting pattern with grain at 30 pictures a second, as H.264 (by x264,
whose key frames are up to 250 pictures apart, or 30), and as MPEG-4 (12 apart). A clip is `--frames` pictures at
`--fps` a second and `--size` pixels square, begun anywhere; all read the same clips, with one thread:

    jepakit        `VideoFile.pictures` with the index of its folder
    plain          seek to the key frame before, decode picture by picture to the last, turn those that are asked for
                   into RGB of full size, shrink and cut them out by Pillow
    plain, float   the same, shrunk by torch as floats of full size (antialiased), as the released V-JEPA code does

The plain forms must show what ours does, to `_ALIKE` grey levels in the mean, or the benchmark stops. Times are seconds
of the process (CPU), so that load from elsewhere matters less; rounds are interleaved, and printed are clips a second
of one core in the median round, and the ratio to each plain form as the median over rounds with its smallest and
largest. Then a folder of `--files` such files is opened twice: with no index, and with the one that was kept then.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image

from jepakit.data import VideoFolder
from jepakit.data.video_file import VideoFile
from jepakit.random import Stream

KINDS: dict[str, tuple[str, dict[str, str]]] = {
    "h264": ("libx264", {}),
    "h264, a key frame a second": ("libx264", {"g": "30"}),
    "mpeg4": ("mpeg4", {}),
}
SIZES = {"320x240": (320, 240), "1280x720": (1280, 720)}
RATE = 30
_ALIKE = 3.0
Reader = Callable[[Path, VideoFile, list[float], int], torch.Tensor]


def write(path: Path, kind: str, size: str, num: int) -> None:
    """Write a video of a drifting pattern with grain."""
    (codec, options), (width, height) = KINDS[kind], SIZES[size]
    import av

    draw = np.random.default_rng(0)
    coarse = draw.integers(0, 256, (height // 32 + 16, width // 32 + 16, 3), dtype=np.uint8)
    pattern = np.asarray(Image.fromarray(coarse).resize((width + 512, height + 512), Image.Resampling.BICUBIC))
    grain = draw.integers(-11, 12, (8, height, width, 1), dtype=np.int16)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=RATE, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for i in range(num):
            y, x = (int(250 + 240 * np.sin(i / turn)) for turn in (37.0, 53.0))
            pixels = (pattern[y : y + height, x : x + width] + grain[i % 8]).clip(0, 255).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())


def ours(path: Path, video: VideoFile, times: list[float], size: int) -> torch.Tensor:
    """Read a clip by jepakit."""
    return video.pictures(times, size, 3)


def plain(path: Path, video: VideoFile, times: list[float], size: int) -> torch.Tensor:
    """Read a clip as one writes it down, shrunk by Pillow."""
    return torch.stack([_by_pillow(pixels, size) for pixels in _at(path, times)])


def plain_float(path: Path, video: VideoFile, times: list[float], size: int) -> torch.Tensor:
    """Read a clip as one writes it down, shrunk by torch."""
    clip = torch.from_numpy(np.stack(_at(path, times))).permute(0, 3, 1, 2).float()
    side = min(clip.shape[2:])
    top, left = ((whole - side) // 2 for whole in clip.shape[2:])
    middle = clip[:, :, top : top + side, left : left + side]
    small = F.interpolate(middle, (size, size), mode="bilinear", antialias=True, align_corners=False)
    return small.round().clamp(0, 255).to(torch.uint8)


READERS: dict[str, Reader] = {"jepakit": ours, "plain": plain, "plain, float": plain_float}


def _at(path: Path, times: list[float]) -> list[NDArray[np.uint8]]:
    """Return the full pictures at these times."""
    import av

    found: list[NDArray[np.uint8]] = []
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        container.seek(int(times[0] / stream.time_base), stream=stream)
        for picture in container.decode(stream):
            while len(found) < len(times) and times[len(found)] < picture.time + 1 / RATE - 1e-3:
                found.append(picture.to_ndarray(format="rgb24"))
            if len(found) == len(times):
                break
    return found


def _by_pillow(pixels: NDArray[np.uint8], size: int) -> torch.Tensor:
    height, width = pixels.shape[:2]
    side = min(height, width)
    box = ((width - side) // 2, (height - side) // 2, (width + side) // 2, (height + side) // 2)
    small = Image.fromarray(pixels).resize((size, size), Image.Resampling.BICUBIC, box=box)
    return torch.from_numpy(np.array(small)).permute(2, 0, 1)


def measured(path: Path, video: VideoFile, args: argparse.Namespace) -> dict[str, Any]:
    """Return clips a second of each reader on one file, and the ratios to the plain ones."""
    room = RATE * args.seconds - 1 - round((args.frames - 1) / args.fps * RATE)
    first = Stream(0, "benchmark/first").integers(0, torch.arange(args.clips), 1, room)[:, 0].tolist()
    clips = [[number / RATE + i / args.fps for i in range(args.frames)] for number in first]
    shown = {name: reader(path, video, clips[0], args.size).float() for name, reader in READERS.items()}
    for name, clip in shown.items():
        gap = float((clip - shown["jepakit"]).abs().mean())
        assert gap < _ALIKE, f"{name} shows other pictures: {gap:.1f} grey levels apart"
    seconds: dict[str, list[float]] = {name: [] for name in READERS}
    for _ in range(args.rounds):
        for name, reader in READERS.items():
            begin = time.process_time()
            for times in clips:
                reader(path, video, times, args.size)
            seconds[name].append(time.process_time() - begin)
    told: dict[str, Any] = {name: round(args.clips / statistics.median(spent), 2) for name, spent in seconds.items()}
    for name in list(READERS)[1:]:
        ratios = [other / own for own, other in zip(seconds["jepakit"], seconds[name], strict=True)]
        told[f"ratio to {name}"] = [round(f(ratios), 2) for f in (statistics.median, min, max)]
    return told


def opening(path: Path, folder: Path, num: int) -> dict[str, float]:
    """Return the seconds in which a folder that holds a file many times is opened without its index, and with it."""
    for i in range(num):
        (folder / f"{i:05}{path.suffix}").hardlink_to(path)
    seconds = []
    for _ in range(2):
        begin = time.perf_counter()
        VideoFolder(folder, index=folder / "index.json")
        seconds.append(round(time.perf_counter() - begin, 4))
    return {"without": seconds[0], "with": seconds[1]}


def arguments(words: list[str] | None = None) -> argparse.Namespace:
    """Return the settings."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=10, help="of each video")
    parser.add_argument("--frames", type=int, default=16)
    parser.add_argument("--fps", type=float, default=4.0)
    parser.add_argument("--size", type=int, default=112)
    parser.add_argument("--clips", type=int, default=8, help="in a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--files", type=int, default=200, help="in the folder that is opened")
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=list(SIZES))
    return parser.parse_args(words)


def report(args: argparse.Namespace) -> dict[str, Any]:
    """Return what was measured of each kind of file."""
    torch.set_num_threads(1)
    told: dict[str, Any] = {}
    for size in args.sizes:
        for kind in KINDS:
            with tempfile.TemporaryDirectory() as made, tempfile.TemporaryDirectory() as copies:
                path = Path(made) / "video.mp4"
                write(path, kind, size, RATE * args.seconds)
                video = VideoFolder(made, index=Path(made) / "index.json").read(0)
                figures = measured(path, video, args)
                figures["Mbit a second"] = round(8e-6 * path.stat().st_size / args.seconds, 2)
                told[f"{size} {kind}"] = figures | {"opening, s": opening(path, Path(copies), args.files)}
    return told


def main() -> None:
    """Print a line for each kind of file, and all of it as one line of JSON."""
    args = arguments()
    told = report(args)
    for name, figures in told.items():
        print(name, *(f"{key}: {value}" for key, value in figures.items()), sep="\n    ")
    print(json.dumps({"measured": told, **vars(args)}))


if __name__ == "__main__":
    main()
