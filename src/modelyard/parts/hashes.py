"""Digests of a folder's files, computed once: remembered by size, time of modification and inode.

One small file a folder, replaced whole: of two that write at once the later wins, and both are right. The time of the
last change of the inode is compared too, because a program may set the time of modification. What was modified a moment
ago is not remembered: a second write within the same tick of the clock would not show. A file that a depot has sealed
needs neither: its time of modification is made from its digest.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from modelyard.errors import InvalidFolder
from modelyard.parts.cache_dir import default_cache_dir
from modelyard.parts.depot import BLOCK_BYTES, is_seal_of
from modelyard.parts.files import FileEntry, is_digest

SETTLED_NS = 2 * 10**9
"""A file that was modified this long before it was hashed shows every later write in its time."""
THREADS = 2
Stamp = list[int]


def hash_files(
    folder: Path,
    files: Sequence[Path],
    *,
    cache_dir: Path | None = None,
    on_bytes: Callable[[int], None] = lambda _: None,
) -> list[FileEntry]:
    """The files with their digests, in the order given. Blocking; only what is new or changed is read.

    Args:
        folder: The model folder.
        files: Relative to it.
        cache_dir: Where digests are remembered; this user's cache by default.
        on_bytes: Told of bytes as they are read, from several threads.

    Raises:
        InvalidFolder: A file cannot be read, or changes while it is read.
    """
    record = _Record((cache_dir or default_cache_dir()) / "hashes", folder)

    def make(path: Path) -> FileEntry:
        return _make_entry(folder, path, record, on_bytes)

    with ThreadPoolExecutor(THREADS, thread_name_prefix="hash") as pool:
        found = list(pool.map(make, files))
    record.keep()
    return found


def _make_entry(folder: Path, path: Path, record: _Record, on_bytes: Callable[[int], None]) -> FileEntry:
    name = path.as_posix()
    try:
        status = (folder / path).stat()
        digest = record.find(name, status)
        if not digest:
            digest = _hash(folder / path, on_bytes)
            after = (folder / path).stat()
            if _stamp(after) != _stamp(status):
                raise InvalidFolder(f"{name} changed while it was read", hint="upload again when it is written")
        record.note(name, status, digest)
    except OSError as error:
        raise InvalidFolder(f"{name} cannot be read: {error.strerror}") from error
    return FileEntry(path=name, digest=digest, size_bytes=status.st_size, is_executable=bool(status.st_mode & 0o100))


class _Record:
    """What was hashed in one folder."""

    def __init__(self, place: Path, folder: Path) -> None:
        self._path = place / f"{hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:32]}.json"
        self._known = _read(self._path)
        self._now: dict[str, tuple[Stamp, str]] = {}

    def find(self, name: str, status: os.stat_result) -> str:
        """The digest of a file that still is as it was; "" for any other."""
        stamp, digest = self._known.get(name, ([], ""))
        now = _stamp(status)
        is_sealed = stamp[:4] == now[:4] and bool(digest) and is_seal_of(status.st_mtime_ns, digest)
        return digest if stamp == now or is_sealed else ""

    def note(self, name: str, status: os.stat_result, digest: str) -> None:
        """Remember a digest, where it can be trusted later."""
        is_settled = time.time_ns() - max(status.st_mtime_ns, status.st_ctime_ns) > SETTLED_NS
        if is_settled or is_seal_of(status.st_mtime_ns, digest):
            self._now[name] = (_stamp(status), digest)

    def keep(self) -> None:
        """Write it, if something is new. A cache that cannot be written is none."""
        if self._now == self._known:
            return
        with suppress(OSError):
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=self._path.parent, prefix=".", delete=False) as file:
                file.write(json.dumps({name: [*stamp, digest] for name, (stamp, digest) in self._now.items()}).encode())
            Path(file.name).replace(self._path)


def _read(path: Path) -> Mapping[str, tuple[Stamp, str]]:
    try:
        rows = json.loads(path.read_bytes())
        return {name: (row[:-1], row[-1]) for name, row in rows.items() if is_digest(row[-1])}
    except (OSError, ValueError, TypeError, AttributeError, IndexError, KeyError):
        return {}


def _stamp(status: os.stat_result) -> Stamp:
    return [status.st_size, status.st_mtime_ns, status.st_ino, status.st_dev, status.st_ctime_ns]


def _hash(path: Path, on_bytes: Callable[[int], None]) -> str:
    running = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        while block := file.read(BLOCK_BYTES):
            running.update(block)
            on_bytes(len(block))
    return running.hexdigest()
