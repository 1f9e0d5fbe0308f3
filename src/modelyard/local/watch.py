"""Waits for an author to save: the files of a folder that changed, a burst of events as one."""

from __future__ import annotations

import os
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import watchfiles
from watchfiles import Change

from modelyard.errors import InternalError
from modelyard.parts.code import IGNORE_FILE, IgnoreRules

QUIET_MS = 30
"""A burst is over when nothing has changed for so long: editors write, rename and remove in one save."""
BURST_MS = 500
"""A burst that does not end is given out after so long."""


def watch_folder(folder: Path, stop: threading.Event | None = None) -> Iterator[frozenset[str]]:
    """The files that change, relative to the folder, with `/`; ends when `stop` is set. What an upload leaves behind
    does not count.

    Raises:
        InternalError: This system cannot watch the folder.
    """
    top, rules = _prepare(folder)
    try:
        for changes in watchfiles.watch(
            top, watch_filter=rules.takes, debounce=BURST_MS, step=QUIET_MS, stop_event=stop, raise_interrupt=True
        ):
            if paths := rules.name_all(changes):
                yield paths
    except (OSError, RuntimeError) as error:
        raise _cannot_watch(folder, error) from error


async def watch_folder_async(folder: Path) -> AsyncIterator[frozenset[str]]:
    """As `watch_folder`, until cancelled."""
    top, rules = _prepare(folder)
    try:
        async for changes in watchfiles.awatch(top, watch_filter=rules.takes, debounce=BURST_MS, step=QUIET_MS):
            if paths := rules.name_all(changes):
                yield paths
    except (OSError, RuntimeError) as error:
        raise _cannot_watch(folder, error) from error


class _Rules:
    """Which changes count."""

    def __init__(self, top: Path) -> None:
        self._top = top
        self._ignore = IgnoreRules.of_folder(top)

    def takes(self, change: Change, path: str) -> bool:
        """For watchfiles. Folders do not change, their files do."""
        del change
        name = self._name(path)
        return bool(name) and not self._ignore.is_ignored(name) and not Path(path).is_dir()

    def name_all(self, changes: set[tuple[Change, str]]) -> frozenset[str]:
        """The changed files. Where the ignore file is among them, its new rules count from now on."""
        names = frozenset(self._name(path) for _, path in changes)
        if IGNORE_FILE in names:
            self._ignore = IgnoreRules.of_folder(self._top)
        return names - {IGNORE_FILE}

    def _name(self, path: str) -> str:
        try:
            return Path(path).relative_to(self._top).as_posix()
        except ValueError:
            return ""


def _prepare(folder: Path) -> tuple[Path, _Rules]:
    top = folder.resolve()
    return top, _Rules(top)


def _cannot_watch(folder: Path, error: Exception) -> InternalError:
    polling = "" if os.environ.get("WATCHFILES_FORCE_POLLING") else "set WATCHFILES_FORCE_POLLING=1 to look every 0.3 s"
    return InternalError(f"{folder} cannot be watched: {error}", hint=polling)
