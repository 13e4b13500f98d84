"""Look through video files once and keep what was seen: how long they last, their key frames, what is broken.

A look reads the packets of a file and decodes its first picture alone. What it tells is kept in a file of its own, by
path below the folder, and holds as long as a video's size and time of change do; so the second time a folder is opened
only what is new is looked at.
"""

import hashlib
import io
import json
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from fractions import Fraction
from pathlib import Path
from typing import Any

from jepakit.data.reading import default_num_workers
from jepakit.data.source import Unreadable
from jepakit.storage import read_json, write_atomically
from jepakit.types import Caution, UserError

_VERSION = 1
_FORMATS = "mov,mp4,matroska,webm,avi,mpegts,mpeg,flv,ogg,asf"
"""Names of FFmpeg's readers that are tried, whatever a file is called: some of its others open further files."""
_ATTACHED_PICTURE = 1024
_LONGEST_S = 3600.0
"""Seconds for which a picture is shown at most, in the mean over a video whose times are believed."""
_MANY = 1000
"""Videos from which a look through them takes long enough to be told."""


@dataclass(frozen=True)
class VideoFacts:
    """Hold what a look at a video told. Stamps are times in units of `base` seconds.

    Args:
        reason: Why it cannot be read, in a few words; "" if it can.
        base: Numerator and denominator of the unit.
        first: Stamp of the first picture.
        last: Stamp of the last picture.
        num_pictures: How many there are.
        keys: Stamps of the pictures from which decoding can begin, ascending.
        width: Pixels across, as stored.
        height: Pixels down, as stored.
        rotation: Degrees by which pictures must be turned, counter-clockwise.
        is_unsorted: Pictures are stored in another order than they are shown in, and no times tell which: some AVI.
    """

    reason: str = ""
    base: tuple[int, int] = (1, 1)
    first: int = 0
    last: int = 0
    num_pictures: int = 0
    keys: tuple[int, ...] = ()
    width: int = 0
    height: int = 0
    rotation: int = 0
    is_unsorted: bool = False

    @property
    def seconds(self) -> float:
        """Return the seconds from the first picture to the last."""
        return float((self.last - self.first) * Fraction(*self.base))


def look(open_file: Callable[[], io.BufferedIOBase], name: str) -> VideoFacts:
    """Look through one video.

    Args:
        open_file: Opens its bytes.
        name: What it is called.
    """
    try:
        with opened(open_file(), name) as (container, stream):
            return _seen(container, stream, name)
    except Unreadable as error:
        return VideoFacts(error.reason)


def _seen(container: Any, stream: Any, name: str) -> VideoFacts:
    """Read the packets of an open video and decode its first picture. Raises `Unreadable`."""
    stamps, keys, picture = [], [], None
    for packet in demuxed(container, stream, name):
        if picture is None:
            picture = next(iter(packet.decode()), None)
        stamp = stamp_of(packet)
        if stamp is None:
            continue
        if packet.is_keyframe:
            keys.append(stamp)
        if not packet.is_discard:
            stamps.append(stamp)
    if picture is None:
        raise Unreadable(name, "not one picture can be decoded")
    if not stamps or not keys:
        raise Unreadable(name, "its pictures have no times")
    base = Fraction(stream.time_base)
    if (max(stamps) - min(stamps)) * base > _LONGEST_S * len(stamps):
        raise Unreadable(name, "its pictures have times that cannot be")
    return VideoFacts(
        base=(base.numerator, base.denominator),
        first=min(stamps),
        last=max(stamps),
        num_pictures=len(stamps),
        keys=tuple(sorted(keys)),
        width=picture.width,
        height=picture.height,
        rotation=picture.rotation,
        is_unsorted=_is_avi(stream) and bool(stream.codec_context.has_b_frames),
    )


@contextmanager
def opened(file: io.BufferedIOBase, name: str) -> Iterator[tuple[Any, Any]]:
    """Open an encoded video, and close it and its file thereafter: the container, and its stream of pictures.

    Raises:
        Unreadable: It is empty, damaged, or holds no moving pictures; also where decoding fails meanwhile.
    """
    av = av_module()
    try:
        with file:
            if not file.seek(0, os.SEEK_END):
                raise Unreadable(name, "the file is empty")
            file.seek(0)
            options = {"format_whitelist": _FORMATS}
            with av.open(file, container_options=options, metadata_errors="replace") as container:
                streams = [s for s in container.streams.video if not int(s.disposition) & _ATTACHED_PICTURE]
                if not streams:
                    raise Unreadable(name, "it holds sound alone" if container.streams.audio else "it holds no video")
                if streams[0].codec_context is None or not streams[0].time_base:
                    raise Unreadable(name, "its pictures are of no known kind")
                streams[0].codec_context.thread_count = 1  # as many processes decode beside this one as there are CPUs
                yield container, streams[0]
    except (av.error.FFmpegError, OSError) as error:
        raise Unreadable(name, f"cannot be decoded: {error.strerror}") from error


def demuxed(container: Any, stream: Any, name: str) -> Iterator[Any]:
    """Give the packets of a stream, from where the container stands.

    Raises:
        Unreadable: Another stream begins within the file, at which PyAV stops.
    """
    try:
        yield from container.demux(stream)
    except IndexError as error:
        raise Unreadable(name, "cannot be decoded: a stream begins within it") from error


def stamp_of(packet: Any) -> Any:
    """Return the stamp of a packet's picture, for AVI of its place in the file; None at the end."""
    return packet.dts if _is_avi(packet.stream) else packet.pts


def _is_avi(stream: Any) -> bool:
    return bool(stream.container.format.name == "avi")


def av_module() -> Any:
    """Return PyAV.

    Raises:
        UserError: It is not installed.
    """
    try:
        import av
    except ImportError as error:
        raise UserError("Video is read by PyAV, which is not installed; pip install 'jepakit[video]'.") from error
    return av


def looked_at(root: Path, names: Sequence[bytes], place: Path | None = None) -> list[VideoFacts]:
    """Return what is known of the videos below a folder; those that are new or changed are looked at now.

    Where they are many, a `Caution` says so beforehand.

    Args:
        root: The folder.
        names: Paths below it, as the system has them.
        place: The file that keeps the facts; by default one in the user's cache, named by the folder.

    Raises:
        UserError: PyAV is not installed, or `place` cannot be written or is another kind of file.
    """
    av_module()
    index = _default_place(root) if place is None else place
    known = _read(index)
    states = [_state(root, name) for name in names]
    found = [_known(known.get(os.fsdecode(name)), state) for name, state in zip(names, states, strict=True)]
    missing = [number for number, facts in enumerate(found) if facts is None]
    if len(missing) >= _MANY:
        kept = f"what they tell is kept in {index}"
        warnings.warn(f"{root}: {len(missing):,} videos are looked through, once; {kept}.", Caution, stacklevel=3)
    with ThreadPoolExecutor(default_num_workers()) as pool:
        looks = pool.map(lambda number: _look_below(root, names[number]), missing)
        for number, facts in zip(missing, looks, strict=True):
            found[number] = facts
    whole = [facts for facts in found if facts is not None]
    if missing or len(known) != len(names):
        rows = {os.fsdecode(name): [*s, asdict(f)] for name, s, f in zip(names, states, whole, strict=True)}
        _write(index, rows, is_default=place is None)
    return whole


def _look_below(root: Path, name: bytes) -> VideoFacts:
    path = root / os.fsdecode(name)
    try:
        return look(lambda: path.open("rb"), name.decode("utf-8", "replace"))
    except OSError as error:
        return VideoFacts(f"the file cannot be read: {error.strerror}")


def _state(root: Path, name: bytes) -> tuple[int, int]:
    """Return the size of a file and the time of its last change, by which a change is noticed."""
    try:
        state = os.stat(root / os.fsdecode(name))
    except OSError:
        return -1, -1
    return state.st_size, state.st_mtime_ns


def _known(row: Any, state: tuple[int, int]) -> VideoFacts | None:
    """Return the facts of a row where they still hold."""
    try:
        size, changed, facts = row
        if (size, changed) != state or set(facts) != {field.name for field in fields(VideoFacts)}:
            return None
        return VideoFacts(**facts | {"base": tuple(facts["base"]), "keys": tuple(facts["keys"])})
    except (TypeError, ValueError):
        return None


def _default_place(root: Path) -> Path:
    """Return the file in the user's cache that keeps the facts of a folder."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    digest = hashlib.blake2b(os.fsencode(root.resolve()), digest_size=8).hexdigest()
    return cache / "jepakit" / f"videos-{digest}.json"


def _read(place: Path) -> dict[str, Any]:
    """Return the rows that are kept at a place; none where nothing is kept, or by another version."""
    if not place.exists():
        return {}
    held = read_json(place)
    if not isinstance(held, dict) or "videos" not in held:
        raise UserError(f"{place} is no index of videos; give another place, or remove it.")
    return dict(held["videos"]) if held.get("version") == _VERSION else {}


def _write(place: Path, rows: dict[str, Any], *, is_default: bool) -> None:
    """Keep rows at a place; a cache that cannot be written is no reason to stop."""
    text = json.dumps({"version": _VERSION, "videos": rows}, separators=(",", ":"))
    try:
        write_atomically(place, lambda temporary: _write_text(temporary, text))
    except (UserError, OSError) as error:
        if not is_default:
            raise UserError(f"The index of videos cannot be kept: {error}") from error
        warnings.warn(f"The index of videos cannot be kept, so each run makes it anew: {error}", Caution, stacklevel=3)


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
