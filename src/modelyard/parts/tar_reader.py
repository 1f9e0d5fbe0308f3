"""The strict archive reader: tar.gz in, files and folders out, everything else refused with the rule that it breaks.

Python's `tarfile` is not used: its filters let links write outside of the target, negative sizes loop for ever, and
truncated or damaged gzip passes (docs/architecture/security.md).
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from modelyard.errors import InternalError, InvalidArchive
from modelyard.parts import tar_header
from modelyard.parts.files import FileEntry
from modelyard.parts.inflate import Inflater
from modelyard.parts.names import MAX_PATH_BYTES, PathRegister, explain_bad_path
from modelyard.parts.tar_header import BLOCK_BYTES, Header
from modelyard.parts.tar_members import list_headers, skip

MEBIBYTE = 1024 * 1024
GZIP_MAGIC = b"\x1f\x8b"


@dataclass(frozen=True, kw_only=True)
class ArchiveLimits:
    """What an archive may hold."""

    max_total_bytes: int = 10 * 1024 * MEBIBYTE
    """All files together, unpacked."""
    max_members: int = 10_000
    """Files and folders."""
    max_ratio: int = 100
    """Unpacked to packed size, for what unpacks to more than `ratio_free_bytes`."""
    ratio_free_bytes: int = 64 * MEBIBYTE


DEFAULT_LIMITS = ArchiveLimits()


@dataclass(frozen=True, kw_only=True)
class _Member:
    path: str
    """Relative, without `./`; empty for the top folder itself."""
    is_folder: bool
    size_bytes: int
    is_executable: bool


def extract_archive(archive: Path, dest: Path, limits: ArchiveLimits = DEFAULT_LIMITS) -> tuple[FileEntry, ...]:
    """Unpack a tar.gz into `dest` (made; must be empty where it exists) and hash its files on the way.

    Blocking. Files get mode 0644 or 0755, folders 0755, whatever the archive says. On any error `dest` is removed.

    Returns:
        The files, sorted by path.

    Raises:
        InvalidArchive: Which member breaks which rule, or how the archive is damaged.
        InternalError: `dest` holds something already.
    """
    dest.mkdir(parents=True, exist_ok=True)
    if any(dest.iterdir()):
        raise InternalError(f"{dest} is not empty: an archive is unpacked into a new folder")
    try:
        with archive.open("rb") as file:
            _check_magic(file)
            packed_bytes = os.fstat(file.fileno()).st_size
            root = os.open(dest, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                return _Extraction(_open_inflater(file, packed_bytes, limits), root, limits).run()
            finally:
                os.close(root)
    except BaseException:
        shutil.rmtree(dest, ignore_errors=True)
        raise


def _check_magic(file: BinaryIO) -> None:
    start = file.read(BLOCK_BYTES)
    file.seek(0)
    if start[:2] == GZIP_MAGIC:
        return
    if start[257:262] == b"ustar":
        raise InvalidArchive("the archive is a plain tar; it must be compressed with gzip (tar -czf model.tar.gz ...)")
    if not start:
        raise InvalidArchive("the archive is empty; a model is uploaded as tar.gz")
    raise InvalidArchive(f"the archive is not gzip (it starts with {start[:4].hex()}); a model is uploaded as tar.gz")


def _open_inflater(file: BinaryIO, packed_bytes: int, limits: ArchiveLimits) -> Inflater:
    by_ratio = max(limits.ratio_free_bytes, limits.max_ratio * packed_bytes)
    overhead = limits.max_members * 4 * BLOCK_BYTES + MEBIBYTE
    if by_ratio < limits.max_total_bytes:
        reason = (
            f"the archive unpacks to more than {limits.max_ratio} times its size ({packed_bytes} bytes); "
            f"allowed are {by_ratio} bytes"
        )
        return Inflater(file, max_bytes=by_ratio, reason=reason)
    reason = f"the archive unpacks to more than {limits.max_total_bytes} bytes"
    return Inflater(file, max_bytes=limits.max_total_bytes + overhead, reason=reason)


class _Extraction:
    """One archive on its way to the disk."""

    def __init__(self, source: Inflater, root: int, limits: ArchiveLimits) -> None:
        self._source = source
        self._root = root
        self._limits = limits
        self._seen = PathRegister()
        self._total_bytes = 0

    def run(self) -> tuple[FileEntry, ...]:
        """Unpack all of it, down to the last byte of the gzip stream."""
        entries = []
        has_top = False
        for member in self._list_members():
            if not member.path:
                if has_top:
                    raise _refuse("./", "it is there twice")
                has_top = True
            elif member.is_folder:
                os.close(self._open_folder(member.path))
            else:
                entries.append(self._write_file(member))
        return tuple(sorted(entries))

    def _list_members(self) -> Iterator[_Member]:
        for count, header in enumerate(list_headers(self._source), 1):
            if count > self._limits.max_members:
                raise InvalidArchive(f"the archive has more than {self._limits.max_members} files and folders")
            member = self._check_member(header)
            yield member
            if not member.is_folder:
                skip(self._source, -member.size_bytes % BLOCK_BYTES)

    def _check_member(self, header: Header) -> _Member:
        shown = header.name.decode(errors="replace")
        if header.kind not in tar_header.FILE_KINDS and header.kind != tar_header.FOLDER_KIND:
            what = tar_header.REFUSED_KINDS.get(header.kind, f"is of the unknown kind {header.kind!r}")
            raise _refuse(shown, f"it {what}; only files and folders are allowed")
        is_folder = header.kind == tar_header.FOLDER_KIND
        path = _clean_name(header.name, is_folder=is_folder)
        if is_folder and header.size_bytes:
            raise _refuse(shown, "a folder may not have content")
        self._check_path(path, shown, is_folder=is_folder)
        self._total_bytes += header.size_bytes
        if self._total_bytes > self._limits.max_total_bytes:
            raise _refuse(shown, f"the files are larger than {self._limits.max_total_bytes} bytes together")
        return _Member(
            path=path, is_folder=is_folder, size_bytes=header.size_bytes, is_executable=bool(header.mode & 0o100)
        )

    def _check_path(self, path: str, shown: str, *, is_folder: bool) -> None:
        if not path and is_folder:
            return
        problem = explain_bad_path(path)
        if problem is None:
            problem = self._seen.add_folder(path) if is_folder else self._seen.add_file(path)
        if problem is not None:
            raise _refuse(shown, problem)

    def _write_file(self, member: _Member) -> FileEntry:
        folder, _, name = member.path.rpartition("/")
        parent = self._open_folder(folder)
        try:
            descriptor = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600, dir_fd=parent)
        finally:
            os.close(parent)
        with os.fdopen(descriptor, "wb", buffering=0) as file:
            digest = self._copy(member, file)
            os.fchmod(file.fileno(), 0o755 if member.is_executable else 0o644)
        return FileEntry(
            path=member.path, digest=digest, size_bytes=member.size_bytes, is_executable=member.is_executable
        )

    def _copy(self, member: _Member, file: BinaryIO) -> str:
        running = hashlib.sha256()
        left = member.size_bytes
        while left:
            block = self._source.read(min(left, MEBIBYTE))
            if not block:
                raise _refuse(member.path, "the archive is cut off in the middle of it")
            running.update(block)
            written = 0
            while written < len(block):
                written += os.write(file.fileno(), block[written:])
            left -= len(block)
        return running.hexdigest()

    def _open_folder(self, path: str) -> int:
        """A descriptor of a folder below the root, made where it is missing, reached without following any link."""
        current = os.dup(self._root)
        for name in path.split("/") if path else ():
            parent = current
            try:
                current = _enter(parent, name)
            finally:
                os.close(parent)
        return current


def _enter(parent: int, name: str) -> int:
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
    try:
        return os.open(name, flags, dir_fd=parent)
    except FileNotFoundError:
        os.mkdir(name, 0o700, dir_fd=parent)
        descriptor = os.open(name, flags, dir_fd=parent)
        os.fchmod(descriptor, 0o755)
        return descriptor


def _clean_name(name: bytes, *, is_folder: bool) -> str:
    """The path without a leading `./` and, for a folder, without its last `/`."""
    if len(name) > MAX_PATH_BYTES + 3:
        raise _refuse(name[:80].decode(errors="replace") + "...", f"the path is longer than {MAX_PATH_BYTES} bytes")
    try:
        path = name.decode()
    except UnicodeDecodeError:
        raise _refuse(name.decode(errors="replace"), "names must be UTF-8") from None
    if is_folder:
        path = path.removesuffix("/")
        if path == ".":
            return ""
    return path.removeprefix("./")


def _refuse(name: str, problem: str) -> InvalidArchive:
    shown = name if len(name) <= 200 else name[:200] + "..."
    return InvalidArchive(f"archive member {shown!a}: {problem}")
