"""The depot: files on disk under their sha256. Written once, verified when used, never changed."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import time
import uuid
from pathlib import Path

from modelyard.errors import InternalError
from modelyard.parts.files import Part, is_digest

BLOCK_BYTES = 1024 * 1024
LEFTOVER_AGE_S = 3600.0
"""A temporary file this old belongs to a process that is gone."""


class Depot:
    """Content-addressed files below `root`. All methods block; any number of threads may call them.

    Layout: `blobs/sha256/<two digits>/<64 digits>`, files 0444; `tmp/` for what is being written. What a method
    returned for is on the disk: file, name and folder are synced.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._blobs = root / "blobs" / "sha256"
        self._temporary = root / "tmp"
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
        self._place(temporary, digest)
        return digest

    def adopt(self, path: Path, digest: str) -> None:
        """Take over the file at `path`, which moves into the depot (or goes, where its content is here already).

        Idempotent and safe when two do it at once. Raises InternalError where the content is not the digest's.
        """
        self.path_of(digest)
        if hash_file(path) != digest:
            raise InternalError(f"{path.name} does not have the content sha256:{digest} that it was said to have")
        self._place(path, digest)

    def add_part(self, part: Part) -> str:
        """Keep a part's list of files; returns its digest. Idempotent. The files themselves come by `adopt`."""
        return self.add_bytes(part.to_json())

    def get_part(self, digest: str) -> Part:
        """A part's list of files, verified. Raises InternalError where it is missing or damaged."""
        return Part.from_json(self.read(digest))

    def _place(self, path: Path, digest: str) -> None:
        target = self.path_of(digest)
        if self._is_sound(digest):
            path.unlink()
        else:
            _sync_file(path)
            target.parent.mkdir(mode=0o700, exist_ok=True)
            self._move(path, target)
        _sync_folder(target.parent)
        _sync_folder(self._blobs)

    def _is_sound(self, digest: str) -> bool:
        try:
            self.verify(digest)
        except InternalError:
            return False
        return True

    def _move(self, path: Path, target: Path) -> None:
        try:
            path.replace(target)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            temporary = self._make_temporary()
            shutil.copyfile(path, temporary)
            _sync_file(temporary)
            temporary.replace(target)
            path.unlink()

    def _make_temporary(self) -> Path:
        return self._temporary / uuid.uuid4().hex

    def _clear_leftovers(self) -> None:
        for path in self._temporary.iterdir():
            if time.time() - path.stat().st_mtime > LEFTOVER_AGE_S:
                path.unlink(missing_ok=True)


def hash_file(path: Path) -> str:
    """sha256 of a file's content, hexadecimal."""
    running = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            running.update(block)
    return running.hexdigest()


def _sync_file(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        os.fchmod(descriptor, 0o444)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _missing(digest: str) -> InternalError:
    return InternalError(f"the depot has no file sha256:{digest}", hint="upload the model again")


def _damaged(digest: str) -> InternalError:
    return InternalError(f"the depot's file sha256:{digest} is damaged on disk", hint="upload the model again")
