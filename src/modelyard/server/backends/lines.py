"""Lines that a process prints, taken from a pipe as they come: cut, decoded, never waited for."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

MAX_LINE_BYTES = 8 << 10
CUT_MARK = " [cut]"
_CHUNK_BYTES = 1 << 13
"""Little at a time: a model that prints without end may not hold the loop."""


class LineSplitter:
    """Makes lines of bytes, however they are split.

    A line above 8 KiB is cut, what is not UTF-8 is replaced, and of a line that was written over (progress bars end in
    a carriage return) the last writing counts.
    """

    def __init__(self, *, max_line_bytes: int = MAX_LINE_BYTES) -> None:
        self._max_line_bytes = max_line_bytes
        self._rest = bytearray()
        self._is_cut = False

    def feed(self, data: bytes) -> list[str]:
        """Take bytes; return the lines that are now whole."""
        *whole, rest = data.split(b"\n")
        lines = []
        for piece in whole:
            self._append(piece)
            lines.append(self._take())
        self._append(rest)
        return lines

    def finish(self) -> list[str]:
        """The line that never ended, if there is one."""
        return [self._take()] if self._rest else []

    def _append(self, piece: bytes) -> None:
        over = piece.rstrip(b"\r").rfind(b"\r")
        if over >= 0:
            piece = piece[over + 1 :]
            self._restart()
        elif self._rest.endswith(b"\r") and piece.strip(b"\r"):
            self._restart()
        room = self._max_line_bytes - len(self._rest)
        self._is_cut = self._is_cut or len(piece) > room
        self._rest += piece[: max(room, 0)]

    def _restart(self) -> None:
        self._rest.clear()
        self._is_cut = False

    def _take(self) -> str:
        line = self._rest.decode("utf-8", "replace").rstrip("\r") + (CUT_MARK if self._is_cut else "")
        self._restart()
        return line


class LinePump:
    """Reads the reading end of a pipe until it ends, in the event loop's own time; gives each line to `sink`."""

    def __init__(self, pipe: int, sink: Callable[[str], None]) -> None:
        self._pipe = pipe
        self._sink = sink
        self._splitter = LineSplitter()
        self._loop = asyncio.get_running_loop()
        self._is_open = True
        self.ended = asyncio.Event()
        os.set_blocking(pipe, False)
        self._loop.add_reader(pipe, self._read)

    def close(self) -> None:
        """Stop reading, whether or not somebody still holds the other end. Idempotent."""
        if not self._is_open:
            return
        self._is_open = False
        self._loop.remove_reader(self._pipe)
        os.close(self._pipe)
        for line in self._splitter.finish():
            self._sink(line)
        self.ended.set()

    def _read(self) -> None:
        try:
            data = os.read(self._pipe, _CHUNK_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.close()
            return
        for line in self._splitter.feed(data):
            self._sink(line)
