"""Memory that a gateway and its worker share, for large payloads: a socket would copy each of them twice more.

Whoever sends copies the payload into a slot of its own half, and sends in its stead the place of the slot, in a frame
that says so (`SHARED`). Whoever receives copies it out, and sends the place back (TAKEN): the slot is free again. Where
no slot is large enough, or nothing is shared, the payload itself goes through the socket.

What was copied out is checked like what comes through the socket: the other side may write there at any time.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import struct
import threading
from bisect import bisect_left, insort
from contextlib import suppress

from modelyard.errors import InternalError
from modelyard.wire.frames import check_size
from modelyard.wire.pieces import Part, Pieces

FILE_BYTES = 1 << 28
"""Half of it for each direction. The system gives what is written to, and takes it back by `release`."""
_ALIGNED_BYTES = 64
_PLACE = struct.Struct("!II")


def make_file(size_bytes: int = FILE_BYTES) -> int:
    """A file of memory for a gateway and a worker. Its size is sealed: nobody can cut it off under the other's hands.

    Returns:
        Its descriptor, which the caller closes.

    Raises:
        OSError: This system has no such files, or no memory.
    """
    if not hasattr(os, "memfd_create"):
        raise OSError("this system has no files of memory")
    file = os.memfd_create("modelyard", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        os.ftruncate(file, size_bytes)
        fcntl.fcntl(file, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
    except OSError:
        os.close(file)
        raise
    return file


class SharedMemory:
    """One side of it. Threads may use it at once.

    Args:
        file: What `make_file` gave; the caller may close it then.
        is_gateway: Which side is it? The gateway sends in the first half.

    Raises:
        OSError, ValueError: It cannot be mapped.
    """

    def __init__(self, file: int, *, is_gateway: bool) -> None:
        size = os.fstat(file).st_size
        self._map = mmap.mmap(file, size)
        whole = memoryview(self._map)
        first, second = whole[: size // 2], whole[size // 2 :]
        self._own, self._theirs = (first, second) if is_gateway else (second, first)
        self._slots: list[tuple[int, int]] = []
        """Where those begin and end that are not free, in order."""
        self._lock = threading.Lock()

    @property
    def is_empty(self) -> bool:
        """Has the other side taken all that was put here?"""
        return not self._slots

    def put(self, payload: Part | Pieces) -> bytes | None:
        """Copy a payload into a slot; returns its place, or None where there is no room. See `frames.Put`."""
        size = len(payload)
        start = self._reserve(size)
        if start is None:
            return None
        at = start
        for part in payload.parts if isinstance(payload, Pieces) else (payload,):
            self._own[at : at + len(part)] = part
            at += len(part)
        return _PLACE.pack(start, size)

    def free(self, place: bytes) -> None:
        """The other side has taken what lay there. Raises `InternalError` where nothing did."""
        start, _ = _read_place(place)
        with self._lock:
            index = bisect_left(self._slots, (start,))
            if index == len(self._slots) or self._slots[index][0] != start:
                raise InternalError("a slot of shared memory was given back that was free")
            del self._slots[index]

    def take(self, place: bytes, max_bytes: int) -> bytes:
        """A copy of what the other side put there. Raises `InternalError` for a place that there is not, `TooLarge`."""
        start, size = _read_place(place)
        check_size(size, max_bytes)
        if start + size > len(self._theirs):
            raise InternalError("a slot of shared memory that ends behind it")
        return bytes(self._theirs[start : start + size])

    def release(self) -> None:
        """Give the memory of both halves back to the system, where it takes it: what lies there is lost."""
        with suppress(OSError):
            self._map.madvise(mmap.MADV_REMOVE)

    def _reserve(self, size: int) -> int | None:
        """The first slot that is large enough, so that the same memory is used again and again."""
        needed = -(-size // _ALIGNED_BYTES) * _ALIGNED_BYTES
        with self._lock:
            at = 0
            for start, end in self._slots:
                if start - at >= needed:
                    break
                at = end
            if at + needed > len(self._own):
                return None
            insort(self._slots, (at, at + needed))
        return at


def _read_place(place: bytes) -> tuple[int, int]:
    if len(place) != _PLACE.size:
        raise InternalError(f"a place in shared memory has {_PLACE.size} bytes, not {len(place)}")
    start, size = _PLACE.unpack(place)
    return start, size
