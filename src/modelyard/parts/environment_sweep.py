"""Removes environments that no version has any more: noted first, removed when they are unused still much later.

An environment is used in place, by replicas too whose version was just deleted: they drain while nothing in the store
names what they run on. So what is found unused is noted in `.unused`, and goes in a later round only.
"""

from __future__ import annotations

import fcntl
import shutil
import time
from collections.abc import Container, Iterator
from contextlib import contextmanager
from pathlib import Path

from modelyard.parts.environment import COMPLETE
from modelyard.parts.files import is_digest

NOTES = ".unused"
NOTED_S = 300.0
"""The shortest time between noting and removing: a replica drains and stops in less."""


def sweep_environments(root: Path, live: Container[str], *, before: float, noted_s: float = NOTED_S) -> int:
    """Remove what is not `live`, was not used since `before` (`time.time()`) and was noted `noted_s` ago; how many.

    Blocking. Safe beside builds: one that takes an environment while it is being looked at keeps it.
    """
    if not root.is_dir():
        return 0
    notes = root / NOTES
    notes.mkdir(mode=0o700, exist_ok=True)
    there = {path.name for path in root.iterdir() if is_digest(path.name)}
    for note in notes.iterdir():
        if note.name in live or note.name not in there:
            note.unlink(missing_ok=True)
    return sum(_remove(root, digest, before, noted_s) for digest in sorted(there) if digest not in live)


def _remove(root: Path, digest: str, before: float, noted_s: float) -> bool:
    note = root / NOTES / digest
    try:
        noted_at = note.stat().st_mtime
    except FileNotFoundError:
        note.touch()
        noted_at = note.stat().st_mtime
    if time.time() - noted_at < noted_s:
        return False
    with _guard(root, digest) as is_ours:
        if not is_ours or not _take(root / digest, before):
            return False
        shutil.rmtree(root / digest, ignore_errors=True)
    note.unlink(missing_ok=True)
    return True


def _take(folder: Path, before: float) -> bool:
    """Make the environment incomplete, unless somebody uses it: who looks for it marks it first, and looks then."""
    complete, taken = folder / COMPLETE, folder / f"{COMPLETE}.removing"
    if not complete.exists():
        return True  # a build was cut off, or an earlier sweep
    complete.rename(taken)
    if taken.stat().st_mtime < before:
        return True
    taken.rename(complete)
    return False


@contextmanager
def _guard(root: Path, digest: str) -> Iterator[bool]:
    """The lock that an installation holds; False where one runs."""
    with (root / ".guards" / f"{digest}.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
