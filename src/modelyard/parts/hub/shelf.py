"""What of a repository is here already, and the unfinished files of those that are on their way."""

from __future__ import annotations

import fcntl
import hashlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from modelyard.errors import InternalError
from modelyard.parts.depot import Depot
from modelyard.parts.files import FileEntry, is_digest
from modelyard.parts.hub.choice import HubFile

BLOCK_BYTES = 1024 * 1024
LEFTOVER_AGE_S = 14 * 24 * 3600.0
"""An unfinished file that nobody went on with for so long is removed."""


class WrongContent(Exception):
    """A file arrived whole, but it is not the one that the hub lists."""

    def __init__(self, expected: str, found: str) -> None:
        super().__init__(f"expected {expected}, found {found}")
        self.expected = expected
        self.found = found


class Shelf:
    """A depot and, in `work`, the files on their way to it; any number of processes may share both.

    `unfinished/<hash>` has the first bytes of a file, `blobs/<sha1>` the sha256 of a file that git names by its sha1.
    """

    def __init__(self, depot: Depot, work: Path) -> None:
        self._depot = depot
        self._unfinished = work / "unfinished"
        self._known = work / "blobs"
        for folder in (self._unfinished, self._known):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    @property
    def folder(self) -> Path:
        """Where the unfinished files are: their disk needs the room."""
        return self._unfinished

    def find(self, file: HubFile) -> FileEntry | None:
        """The depot's file with this content, read through; a damaged one is removed."""
        digest = file.sha256 or self._read_known(file.blob_id)
        if not digest or not self._depot.has(digest):
            return None
        try:
            self._depot.verify(digest)
        except InternalError:
            self._depot.path_of(digest).unlink(missing_ok=True)
            return None
        return FileEntry(path=file.path, digest=digest, size_bytes=file.size_bytes)

    def unfinished_bytes(self, file: HubFile) -> int:
        """How much of a file has come before."""
        try:
            return min(self._place_of(file).stat().st_size, file.size_bytes)
        except FileNotFoundError:
            return 0

    @contextmanager
    def open(self, file: HubFile, on_wait: Callable[[], None]) -> Iterator[BinaryIO]:
        """The unfinished file, at its end, for this process alone; `on_wait` is called where another one has it."""
        path = self._place_of(file)
        while True:
            with path.open("ab", buffering=0) as content:
                _lock(content, on_wait)
                content.seek(0, os.SEEK_END)
                if _is_at(content, path):
                    yield content
                    return

    def finish(self, file: HubFile) -> FileEntry:
        """Move a file that is whole into the depot. Raises WrongContent, and forgets the file, where it is another."""
        path = self._place_of(file)
        if file.sha256:
            digest = file.sha256
            try:
                self._depot.adopt(path, digest)
            except InternalError:
                raise self._forget(path, file.sha256, _hash(path, hashlib.sha256())) from None
        else:
            content = path.read_bytes()
            found = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()  # noqa: S324 - git's own name of it
            if found != file.blob_id:
                raise self._forget(path, file.blob_id, found)
            digest = hashlib.sha256(content).hexdigest()
            self._depot.adopt(path, digest)
            self._note_known(file.blob_id, digest)
        return FileEntry(path=file.path, digest=digest, size_bytes=file.size_bytes)

    def clear_leftovers(self) -> None:
        """Remove unfinished files that are long abandoned."""
        for path in self._unfinished.iterdir():
            if time.time() - path.stat().st_mtime > LEFTOVER_AGE_S:
                path.unlink(missing_ok=True)

    def _place_of(self, file: HubFile) -> Path:
        return self._unfinished / (file.sha256 or file.blob_id)

    def _forget(self, path: Path, expected: str, found: str) -> WrongContent:
        path.unlink(missing_ok=True)
        return WrongContent(expected, found)

    def _read_known(self, blob_id: str) -> str:
        try:
            text = (self._known / blob_id).read_text(encoding="ascii", errors="replace")
        except FileNotFoundError:
            return ""
        return text if is_digest(text) else ""

    def _note_known(self, blob_id: str, digest: str) -> None:
        temporary = self._known / f".{blob_id}.{os.getpid()}"
        temporary.write_text(digest, encoding="ascii")
        temporary.replace(self._known / blob_id)


def _hash(path: Path, running: hashlib._Hash) -> str:
    with path.open("rb") as content:
        while block := content.read(BLOCK_BYTES):
            running.update(block)
    return running.hexdigest()


def _lock(content: BinaryIO, on_wait: Callable[[], None]) -> None:
    try:
        fcntl.flock(content, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        on_wait()
        fcntl.flock(content, fcntl.LOCK_EX)


def _is_at(content: BinaryIO, path: Path) -> bool:
    """Is it still the file of that name? Who had it before may have finished and moved it."""
    try:
        return os.path.samestat(os.fstat(content.fileno()), path.stat())
    except FileNotFoundError:
        return False
