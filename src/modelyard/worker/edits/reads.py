"""Which files of its folder a model read while it loaded, and which it wrote: Python's own audit events tell.

Weights are often read by libraries that Python does not see: of them all count as read.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path

WEIGHTS = "1/checkpoints"
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND

Stamp = tuple[int, int, int] | None
"""Time, size and inode of a file; None where there is none."""


class Reads:
    """Listens until the process ends: an audit hook cannot be taken back."""

    def __init__(self, folder: Path) -> None:
        self._top = os.path.realpath(folder)
        self._read: dict[str, Stamp] = {}
        self._written: set[str] = set()
        self._is_loading = True
        self._hooks: dict[str, Callable[[tuple[object, ...]], None]] = {
            "open": self._on_open,
            "os.rename": lambda event: self._note_written(*event[:2]),
            "os.remove": lambda event: self._note_written(event[0]),
            "sqlite3.connect": lambda event: self._note_written(event[0]),
        }

    def install(self) -> None:
        """Begin to listen."""
        self._note_weights()
        sys.addaudithook(self._hear)

    def end_loading(self) -> None:
        """What is read from now on is no part of what is loaded. Weights that came while it loaded are."""
        self._note_weights()
        self._is_loading = False

    def has_changed(self, name: str) -> bool:
        """Did loading read this file (relative to the folder), and is it another one now?"""
        place = os.path.join(self._top, name)  # noqa: PTH118
        return place in self._read and self._read[place] != _stamp(place)

    def is_new_weight(self, name: str) -> bool:
        """Is it below the weights, and was not there when the model had loaded?"""
        place = os.path.join(self._top, name)  # noqa: PTH118
        return name.startswith(f"{WEIGHTS}/") and place not in self._read and _stamp(place) is not None

    def was_written(self, name: str) -> bool:
        """Did the model itself ever write, move or remove it?"""
        return os.path.join(self._top, name) in self._written  # noqa: PTH118

    def _note_weights(self) -> None:
        for folder, _, names in os.walk(os.path.join(self._top, WEIGHTS)):  # noqa: PTH118 - compared as text
            self._note_read(*(os.path.join(folder, name) for name in names))  # noqa: PTH118

    def _hear(self, event: str, arguments: tuple[object, ...]) -> None:
        """Called for each of Python's audit events, in any thread: it may not fail."""
        take = self._hooks.get(event)
        if take is not None:
            with suppress(Exception):  # an odd path is not ours to refuse
                take(arguments)

    def _on_open(self, event: tuple[object, ...]) -> None:
        path, mode, flags = event
        writes = bool(set(mode) & set("wax+")) if isinstance(mode, str) else isinstance(flags, int) and flags & _WRITING
        if writes:
            self._note_written(path)
        elif self._is_loading:
            self._note_read(path)

    def _note_read(self, *paths: object) -> None:
        """The state of a file counts as it was when it was first read."""
        for place in self._list_inside(paths):
            self._read.setdefault(place, _stamp(place))

    def _note_written(self, *paths: object) -> None:
        self._written.update(self._list_inside(paths))

    def _list_inside(self, paths: Iterable[object]) -> Iterator[str]:
        for path in paths:
            if isinstance(path, str | bytes | os.PathLike):
                place = os.path.realpath(os.fsdecode(path))
                if place.startswith(self._top + os.sep):
                    yield place


def _stamp(place: str) -> Stamp:
    try:
        found = os.stat(place)  # noqa: PTH116 - `place` is a text
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
