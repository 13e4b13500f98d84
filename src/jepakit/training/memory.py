"""Keep freed memory in the process: a training step asks for the same blocks again and again.

By default glibc hands every large block back to the system when it is freed, and the system clears each of its pages
anew when it is asked for again. On the CPU that costs up to half of a small step.
"""

import ctypes
import ctypes.util
import sys

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # M_TRIM_THRESHOLD and M_MMAP_THRESHOLD of glibc's malloc.h
_BYTES = 2**30


def keep_freed_memory() -> bool:
    """Tell glibc to keep up to 1 GiB that was freed; returns whether it could be told (elsewhere nothing is done)."""
    if not sys.platform.startswith("linux"):
        return False
    name = ctypes.util.find_library("c")
    mallopt = getattr(ctypes.CDLL(name), "mallopt", None) if name else None
    if mallopt is None:
        return False
    return bool(mallopt(_TRIM_THRESHOLD, _BYTES)) and bool(mallopt(_MMAP_THRESHOLD, _BYTES))
