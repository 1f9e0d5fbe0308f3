"""The depot: files on disk under their sha256. Written once, verified when used, never changed.

A file that was read through carries a time of modification that is made from its digest, its seal: whoever writes to
the file afterwards, through a hard link too, breaks the seal, and the next user reads it through again. So a sound file
of any size is checked by one look at it, and no list of what was checked can go wrong.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import shutil
import time
import uuid
from collections.abc import Container, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from modelyard.errors import InternalError
from modelyard.parts.files import Part, is_digest

BLOCK_BYTES = 1024 * 1024
LEFTOVER_AGE_S = 3600.0
"""A temporary file this old belongs to a process that is gone."""
SEALS_FROM_NS = 946_684_800 * 10**9
"""A sound file says that it was modified in the first weeks of the year 2000, each content at its own nanosecond: tools
that compare files by size and time keep telling two of them apart."""


@dataclass(frozen=True, kw_only=True, order=True)
class Content:
    """One file of the depot."""

    digest: str
    size_bytes: int


@dataclass(frozen=True, kw_only=True)
class Swept:
    """What a sweep removed."""

    files: int = 0
    size_bytes: int = 0


class Depot:
    """Content-addressed files below `root`. All methods block; any number of threads may call them.

    Layout: `blobs/sha256/<two digits>/<64 digits>`, files 0444; `tmp/` for what is being written; `damaged/` for what
    `scrub` found. What a method returned for is on the disk: file, name and folder are synced.

    Any number of processes may use one depot. `lock` is held shared by whoever decides to use a file that is there, and
    alone by the sweep for each file that it removes: what was decided on is not removed before its user says so.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._blobs = root / "blobs" / "sha256"
        self._temporary = root / "tmp"
        self._damaged = root / "damaged"
        for folder in (self._blobs, self._temporary):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._clear_leftovers()

    def has(self, digest: str) -> bool:
        """Is there a file under this digest?"""
        return self.path_of(digest).is_file()

    def path_of(self, digest: str) -> Path:
        """Where the file is, or would be. Raises InternalError for what is not a digest."""
        if not is_digest(digest):
            raise InternalError(f"{digest!r} is not a sha256 in hexadecimal")
        return self._blobs / digest[:2] / digest

    def read(self, digest: str) -> bytes:
        """The content, verified. Raises InternalError where it is missing or damaged."""
        path = self.path_of(digest)
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            raise _missing(digest) from None
        if hashlib.sha256(content).hexdigest() != digest:
            raise _damaged(digest)
        return content

    def verify(self, digest: str) -> None:
        """Read the file through. Raises InternalError where it is missing or damaged."""
        try:
            found = hash_file(self.path_of(digest))
        except FileNotFoundError:
            raise _missing(digest) from None
        if found != digest:
            raise _damaged(digest)

    def keep(self, digest: str, size_bytes: int) -> bool:
        """Is the file here and sound? Then a sweep leaves it alone for as long as it leaves new files.

        One look where the seal is whole; where it is broken, the file is read through and sealed again.
        """
        with self._lock(fcntl.LOCK_SH):
            return self._is_sound(digest, size_bytes)

    def copy_out(self, digest: str, target: Path, *, mode: int) -> None:
        """Write a verified copy to `target`, which must not exist. Raises InternalError as `read` does."""
        running = hashlib.sha256()
        try:
            source = self.path_of(digest).open("rb")
        except FileNotFoundError:
            raise _missing(digest) from None
        with source, target.open("xb") as copy:
            while block := source.read(BLOCK_BYTES):
                running.update(block)
                copy.write(block)
            os.fchmod(copy.fileno(), mode)
        if running.hexdigest() != digest:
            target.unlink()
            raise _damaged(digest)

    def add_bytes(self, content: bytes) -> str:
        """Keep these bytes; returns their digest. Idempotent."""
        digest = hashlib.sha256(content).hexdigest()
        temporary = self._make_temporary()
        temporary.write_bytes(content)
        self.adopt_all([(temporary, digest)])
        return digest

    def adopt(self, path: Path, digest: str) -> None:
        """Take over the file at `path`, which moves into the depot (or goes, where its content is here already).

        Idempotent and safe when two do it at once. Raises InternalError where the content is not the digest's.
        """
        self.adopt_all([(path, digest)])

    def adopt_all(self, files: Iterable[tuple[Path, str]], *, is_verified: bool = False) -> None:
        """Take over many files, as `adopt` does one, with one wait for the disk at the end.

        Args:
            files: Where each lies, and its digest.
            is_verified: They were hashed as they were written, and `seal` has closed them; what is not so sealed is
                read through all the same.
        """
        folders = {self._blobs}
        for path, digest in files:
            target = self.path_of(digest)
            is_known = is_verified and has_seal(path, digest)
            if not is_known and hash_file(path) != digest:
                raise InternalError(f"{path.name} does not have the content sha256:{digest} that it was said to have")
            self._place(path, digest)
            folders.add(target.parent)
        for folder in folders:
            _sync(folder, os.O_DIRECTORY)

    def add_part(self, part: Part) -> str:
        """Keep a part's list of files; returns its digest. Idempotent. The files themselves come by `adopt`."""
        return self.add_bytes(part.to_json())

    def get_part(self, digest: str) -> Part:
        """A part's list of files, verified. Raises InternalError where it is missing or damaged."""
        return Part.from_json(self.read(digest))

    def list_contents(self) -> Iterator[Content]:
        """Every file, in no order. What comes or goes meanwhile may be in it or not."""
        for folder in sorted(self._blobs.iterdir()):
            for entry in os.scandir(folder):
                try:
                    size = entry.stat(follow_symlinks=False).st_size
                except FileNotFoundError:
                    continue
                if is_digest(entry.name):
                    yield Content(digest=entry.name, size_bytes=size)

    def sweep(self, live: Container[str], *, before: float) -> Swept:
        """Remove what is not `live` and was neither added nor kept since `before` (`time.time()`). Blocking."""
        swept = Swept()
        for content in self.list_contents():
            if content.digest not in live and self._remove_unused(content.digest, before):
                swept = Swept(files=swept.files + 1, size_bytes=swept.size_bytes + content.size_bytes)
        self._clear_leftovers()
        return swept

    def scrub(self, digest: str) -> bool:
        """Read a file through, whatever its seal says; a damaged one is put aside, so that the next upload heals it.

        False where it was damaged; a file that is gone is not. Blocking.
        """
        try:
            self.verify(digest)
        except InternalError:
            with self._lock(fcntl.LOCK_EX):
                return not self._set_aside(digest)
        return True

    def _set_aside(self, digest: str) -> bool:
        path = self.path_of(digest)
        if not path.exists() or hash_file(path) == digest:
            return False
        os.utime(path)  # breaks the seal for those who have links to it
        self._damaged.mkdir(mode=0o700, exist_ok=True)
        path.replace(self._damaged / digest)
        return True

    def _remove_unused(self, digest: str, before: float) -> bool:
        path = self.path_of(digest)
        with self._lock(fcntl.LOCK_EX):
            try:
                if path.stat().st_ctime >= before:
                    return False
                path.unlink()
            except FileNotFoundError:
                return False
        return True

    @contextmanager
    def _lock(self, kind: int) -> Iterator[None]:
        with (self.root / "lock").open("ab") as file:
            fcntl.flock(file, kind)
            yield

    def _place(self, path: Path, digest: str) -> None:
        """Move a file in. The caller syncs the folders."""
        target = self.path_of(digest)
        seal(path, digest)
        with self._lock(fcntl.LOCK_SH):
            if self._is_sound(digest, path.stat().st_size):
                path.unlink()
            else:
                target.parent.mkdir(mode=0o700, exist_ok=True)
                self._move(path, target, digest)

    def _is_sound(self, digest: str, size_bytes: int) -> bool:
        """Sealed, or else read through and sealed; `keep`'s look also marks the time of its use."""
        path = self.path_of(digest)
        try:
            if path.stat(follow_symlinks=False).st_size != size_bytes:
                return False
            if not has_seal(path, digest):
                self.verify(digest)
            _set_times(path, digest)
        except (InternalError, FileNotFoundError):
            return False
        return True

    def _move(self, path: Path, target: Path, digest: str) -> None:
        try:
            path.replace(target)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            temporary = self._make_temporary()
            shutil.copyfile(path, temporary)
            seal(temporary, digest)
            temporary.replace(target)
            path.unlink()

    def _make_temporary(self) -> Path:
        return self._temporary / f"{int(time.time())}-{uuid.uuid4().hex}"

    def _clear_leftovers(self) -> None:
        """By the time in the name: that of a sealed file says nothing."""
        for path in self._temporary.iterdir():
            made_at = path.name.partition("-")[0]
            if not made_at.isdecimal() or time.time() - int(made_at) > LEFTOVER_AGE_S:
                path.unlink(missing_ok=True)


def hash_file(path: Path) -> str:
    """sha256 of a file's content, hexadecimal."""
    running = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            running.update(block)
    return running.hexdigest()


def seal(path: Path, digest: str) -> None:
    """Close a file that was found to have this content: read-only, with the seal's time, and on the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        os.fchmod(descriptor, 0o444)
        _set_times(descriptor, digest)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def seal_all(files: Sequence[tuple[Path, str]]) -> None:
    """`seal` for many files that were just written: the disk is waited for once all of them are as they shall be, and
    takes them together."""
    for path, digest in files:
        path.chmod(0o444)
        _set_times(path, digest)
    for path, _ in files:
        _sync(path, os.O_NOFOLLOW)


def has_seal(path: Path, digest: str) -> bool:
    """Is it a file that `seal` closed with this content, and nobody has written to since?"""
    try:
        return is_seal_of(path.stat(follow_symlinks=False).st_mtime_ns, digest)
    except FileNotFoundError:
        return False


def is_seal_of(mtime_ns: int, digest: str) -> bool:
    """Is it the time of modification that `seal` gives to this content?"""
    return mtime_ns == _seal_of(digest)


def _set_times(file: Path | int, digest: str) -> None:
    os.utime(file, ns=(_seal_of(digest),) * 2)


def _seal_of(digest: str) -> int:
    return SEALS_FROM_NS + int(digest[:13], 16)


def _sync(path: Path, kind: int) -> None:
    """Wait until it is on the disk: a file (`O_NOFOLLOW`) or a folder (`O_DIRECTORY`)."""
    descriptor = os.open(path, os.O_RDONLY | kind)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _missing(digest: str) -> InternalError:
    return InternalError(f"the depot has no file sha256:{digest}", hint="upload the model again")


def _damaged(digest: str) -> InternalError:
    return InternalError(f"the depot's file sha256:{digest} is damaged on disk", hint="upload the model again")
