"""A part on paper: which files it has, each by the sha256 of its bytes."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeGuard

from modelyard.errors import InternalError

DIGEST_GRAMMAR = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True, order=True)
class FileEntry:
    """One file of a part."""

    path: str
    """Relative to the model folder, `/` between the names: `1/model.py`."""
    digest: str
    """sha256 of the content, 64 hexadecimal digits."""
    size_bytes: int
    is_executable: bool = False


@dataclass(frozen=True)
class Part:
    """The files of one part, sorted by path. Equal content makes an equal digest, wherever it was made."""

    files: tuple[FileEntry, ...]

    def __init__(self, files: Iterable[FileEntry] = ()) -> None:
        """Sort the files; raises InternalError where two have the same path."""
        ordered = tuple(sorted(files))
        for one, other in pairwise(ordered):
            if one.path == other.path:
                raise InternalError(f"a part names {one.path!r} twice")
        object.__setattr__(self, "files", ordered)

    @property
    def digest(self) -> str:
        """sha256 of the canonical JSON."""
        return hashlib.sha256(self.to_json()).hexdigest()

    @property
    def size_bytes(self) -> int:
        """All contents together."""
        return sum(entry.size_bytes for entry in self.files)

    def to_json(self) -> bytes:
        """The one way to write this part: the digest is taken over these bytes."""
        return write_canonical({"files": [write_entry(one) for one in self.files]})

    @classmethod
    def from_json(cls, content: bytes) -> Part:
        """Read what `to_json` wrote. Raises InternalError for anything else."""
        try:
            return cls(read_entry(row) for row in json.loads(content)["files"])
        except (ValueError, KeyError, TypeError) as error:
            raise InternalError(f"a part's file list cannot be read: {error}") from error


def write_canonical(content: object) -> bytes:
    """JSON with sorted keys and no spaces, UTF-8: the same content always makes the same bytes."""
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def is_digest(value: object) -> TypeGuard[str]:
    """Is it a sha256 in hexadecimal?"""
    return isinstance(value, str) and DIGEST_GRAMMAR.fullmatch(value) is not None


def write_entry(entry: FileEntry) -> dict[str, object]:
    """A file as JSON says it."""
    return {"digest": entry.digest, "executable": entry.is_executable, "path": entry.path, "size": entry.size_bytes}


def read_entry(row: dict[str, object]) -> FileEntry:
    """What `write_entry` wrote. Raises KeyError or TypeError for anything else."""
    path, digest, size, executable = (row[key] for key in ("path", "digest", "size", "executable"))
    if not (isinstance(path, str) and is_digest(digest) and isinstance(executable, bool)):
        raise TypeError("an entry has a value of the wrong type")
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise TypeError("a size is not a count of bytes")
    return FileEntry(path=path, digest=digest, size_bytes=size, is_executable=executable)
