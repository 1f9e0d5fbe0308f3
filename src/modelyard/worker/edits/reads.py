"""Which files of its folder a model read while it loaded, and which it wrote: Python's own audit events tell."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class Reads:
    """Listens until the process ends: an audit hook cannot be taken back."""

    def __init__(self, folder: Path) -> None:
        self._top = os.path.realpath(folder)
        self._read: set[str] = set()
        self._written: set[str] = set()
        self._is_loading = True
        self._hooks: dict[str, Callable[[tuple[object, ...]], None]] = {
            "open": self._on_open,
            "os.rename": lambda event: self._note(self._written, *event[:2]),
            "os.remove": lambda event: self._note(self._written, event[0]),
            "sqlite3.connect": lambda event: self._note(self._written, event[0]),
        }

    def install(self) -> None:
        """Begin to listen."""
        sys.addaudithook(self._hear)

    def end_loading(self) -> None:
        """What is read from now on is no part of what is loaded."""
        self._is_loading = False

    def was_read(self, name: str) -> bool:
        """Did loading read this file (relative to the folder)?"""
        return os.path.join(self._top, name) in self._read  # noqa: PTH118 - compared as text

    def was_written(self, name: str) -> bool:
        """Did the model itself ever write, move or remove it?"""
        return os.path.join(self._top, name) in self._written  # noqa: PTH118

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
            self._note(self._written, path)
        elif self._is_loading:
            self._note(self._read, path)

    def _note(self, found: set[str], *paths: object) -> None:
        for path in paths:
            if isinstance(path, str | bytes | os.PathLike):
                place = os.path.realpath(os.fsdecode(path))
                if place.startswith(self._top + os.sep):
                    found.add(place)
