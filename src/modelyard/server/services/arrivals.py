"""Files on their way to the depot, kept where they are until all of them are here: a broken connection loses nothing.

`<digest>.part` grows from its start, in its owner's folder; once whole and verified it is `<digest>`, sealed. An owner
is one app of one user: nobody goes on with, or finds, what another one has sent. All methods block.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from modelyard.errors import Conflict, InvalidRequest
from modelyard.parts.depot import BLOCK_BYTES, has_seal, seal, seal_all
from modelyard.server import failpoints
from modelyard.server.records import AppKey
from modelyard.server.services.arrival_room import ArrivalRoom
from modelyard.server.services.upload_file import check_disk, explain_fault

if TYPE_CHECKING:
    from hashlib import _Hash

ABANDONED_S = 24 * 3600.0
"""What nobody went on with for so long is removed."""
REMEMBERED_HASHES = 64


class Arrival:
    """One file that grows. Used by one thread at a time."""

    def __init__(self, path: Path, digest: str, size_bytes: int, running: _Hash, file: BinaryIO) -> None:
        self.path = path
        self.digest = digest
        self.size_bytes = size_bytes
        self.running = running
        self.file = file
        self.received_bytes = file.tell()

    def write(self, block: bytes) -> None:
        """Add bytes. Raises InvalidRequest for more than were announced, TooLarge where the disk is full."""
        if self.received_bytes + len(block) > self.size_bytes:
            raise InvalidRequest(f"more than the {self.size_bytes} bytes of sha256:{self.digest} came")
        try:
            _write_all(self.file, block)
        except OSError as error:
            # What has come makes room again: the rest of the server needs some, to answer and to delete.
            self.path.unlink(missing_ok=True)
            self.received_bytes = 0
            raise explain_fault(error, self.path.parent) from error
        self.running.update(block)
        self.received_bytes += len(block)
        failpoints.hit("delta.piece_written")


class Arrivals:
    """All of them.

    Args:
        room: Where they lie, and how much of one user's may.
    """

    def __init__(self, room: ArrivalRoom) -> None:
        self._room = room
        self._lock = threading.Lock()
        self._busy: set[Path] = set()
        self._running: dict[Path, tuple[_Hash, int]] = {}
        """What the first bytes of unfinished files hash to, so that going on needs no second reading."""

    def received_bytes(self, owner: AppKey, digest: str, size_bytes: int) -> int:
        """How much of a file is here; all of it only where it was verified."""
        if self.find(owner, digest, size_bytes):
            return size_bytes
        try:
            return self._part_of(owner, digest).stat().st_size
        except FileNotFoundError:
            return 0

    def find(self, owner: AppKey, digest: str, size_bytes: int) -> Path | None:
        """A file that is whole and verified."""
        path = self._room.folder_of(owner) / digest
        return path if has_seal(path, digest) and path.stat().st_size == size_bytes else None

    @contextmanager
    def open(self, owner: AppKey, digest: str, size_bytes: int, *, offset: int) -> Iterator[Arrival]:
        """Go on with a file at `offset`, alone; at the end of the block a file that is whole is verified and sealed.

        Raises:
            Conflict: it is being sent already, or what is here does not end at `offset`.
            TooLarge: the disk has no room for the rest of it.
            InvalidRequest: all bytes came, and they are not the digest's.
        """
        path = self._part_of(owner, digest)
        with self._alone(path, digest):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            there = path.stat().st_size if path.exists() else 0
            if there > size_bytes:
                path.unlink()
                there = 0
            if offset != there:
                raise Conflict(f"{there} bytes of sha256:{digest} are here, and the piece begins at {offset}")
            check_disk(self._room.root, size_bytes - offset)
            running = self._hash_start(path, there)
            with self._room.promise(owner, size_bytes - offset), path.open("ab", buffering=0) as file:
                arrival = Arrival(path, digest, size_bytes, running, file)
                try:
                    yield arrival
                finally:
                    self._remember(arrival)
            self._end(arrival)

    def put_all(self, owner: AppKey, files: Iterable[tuple[str, bytes]]) -> None:
        """Small files as a whole, by their digests; the first that is wrong ends it, and those before it are here.

        Raises:
            InvalidRequest: the bytes are not the digest's.
            Conflict: one is being sent by another connection; none of them is here because of this call.
            TooLarge: the disk has no room, or too much of the owner's lies here.
        """
        right: dict[str, bytes] = {}
        wrong = ""
        for digest, content in files:
            if hashlib.sha256(content).hexdigest() != digest:
                wrong = digest
                break
            if not self.find(owner, digest, len(content)):
                right[digest] = content
        if right:
            self._put(owner, right)
        if wrong:
            raise _differs(wrong)

    def check_room(self, owner: AppKey, size_bytes: int, *, files: int) -> None:
        """May so much more be sent? Raises TooLarge."""
        self._room.check(owner, size_bytes, files)

    def forget(self, owner: AppKey, digests: Iterable[str]) -> None:
        """Remove files: the version that needed them is made."""
        for digest in digests:
            (self._room.folder_of(owner) / digest).unlink(missing_ok=True)
        self._room.forget(owner)

    def clear_abandoned(self, older_than_s: float = ABANDONED_S) -> None:
        """Remove what nobody went on with."""
        before = time.time() - older_than_s
        for path in self._room.list_files():
            with self._lock:
                # A sealed file's own time says nothing.
                if path not in self._busy and path.exists() and path.stat().st_ctime < before:
                    path.unlink(missing_ok=True)
                    self._running.pop(path, None)

    def _put(self, owner: AppKey, files: Mapping[str, bytes]) -> None:
        size_bytes = sum(len(content) for content in files.values())
        check_disk(self._room.root, size_bytes)
        parts = [(self._part_of(owner, digest), digest) for digest in files]
        with ExitStack() as stack:
            for path, digest in parts:
                stack.enter_context(self._alone(path, digest))
            stack.enter_context(self._room.promise(owner, size_bytes, len(files)))
            self._room.folder_of(owner).mkdir(mode=0o700, parents=True, exist_ok=True)
            try:
                for path, digest in parts:
                    path.unlink(missing_ok=True)  # what a piece began, or a crash left
                    self._running.pop(path, None)
                    path.write_bytes(files[digest])
                seal_all(parts)
            except OSError as error:
                for path, _ in parts:
                    path.unlink(missing_ok=True)
                raise explain_fault(error, self._room.root) from error
            for path, _ in parts:
                path.replace(path.with_suffix(""))
                failpoints.hit("delta.file_whole")

    @contextmanager
    def _alone(self, path: Path, digest: str) -> Iterator[None]:
        with self._lock:
            if path in self._busy:
                raise Conflict(f"sha256:{digest} is being sent by another connection", hint="wait for its end")
            self._busy.add(path)
        try:
            yield
        finally:
            with self._lock:
                self._busy.discard(path)

    def _hash_start(self, path: Path, size_bytes: int) -> _Hash:
        running, hashed = self._running.pop(path, (hashlib.sha256(), 0))
        if hashed == size_bytes:
            return running
        running = hashlib.sha256()
        if not size_bytes:  # it was removed: what is remembered is of before
            return running
        with path.open("rb") as file:
            while block := file.read(BLOCK_BYTES):
                running.update(block)
        return running

    def _remember(self, arrival: Arrival) -> None:
        while len(self._running) >= REMEMBERED_HASHES:
            self._running.pop(next(iter(self._running)), None)
        if 0 < arrival.received_bytes < arrival.size_bytes:
            self._running[arrival.path] = (arrival.running, arrival.received_bytes)

    def _end(self, arrival: Arrival) -> None:
        if arrival.received_bytes < arrival.size_bytes:
            return
        if arrival.running.hexdigest() != arrival.digest:
            arrival.path.unlink(missing_ok=True)
            raise _differs(arrival.digest)
        seal(arrival.path, arrival.digest)
        arrival.path.replace(arrival.path.with_suffix(""))
        failpoints.hit("delta.file_whole")

    def _part_of(self, owner: AppKey, digest: str) -> Path:
        return self._room.folder_of(owner) / f"{digest}.part"


def _differs(digest: str) -> InvalidRequest:
    return InvalidRequest(f"the bytes that came are not those of sha256:{digest}", hint="send it again")


def _write_all(file: BinaryIO, block: bytes) -> None:
    left = memoryview(block)
    while left:
        left = left[file.write(left) :]


def link_or_copy(source: Path, target: Path) -> None:
    """A second name for a file; a copy where the two are on different disks."""
    try:
        os.link(source, target)
    except FileNotFoundError:
        raise
    except OSError:
        shutil.copyfile(source, target)
