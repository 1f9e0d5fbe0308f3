"""What hubs said earlier: which files a commit has, which commit a branch was, and whose token could have it.

A record alone gives nobody anything: files of a private or gated repository go, without asking its hub again, only to
a token that was let in before.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import secrets
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path

from modelyard.errors import InternalError
from modelyard.parts.checkpoint import CHECKPOINTS_FOLDER, Checkpoint
from modelyard.parts.depot import Depot
from modelyard.parts.files import FileEntry, Part, write_canonical
from modelyard.parts.hub.messages import Fetched
from modelyard.parts.hub.tokens import fingerprint_token

FORMAT = 1
"""Counts up when the default choice of files, or a record, becomes another one."""
PUBLIC = "public"


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What somebody wants: the address of a set of files."""

    endpoint: str
    repo_id: str
    revision: str
    allow: tuple[str, ...]
    ignore: tuple[str, ...]

    def key_of(self, revision: str) -> str:
        """Names the record of the same question about another revision."""
        content = [FORMAT, self.endpoint, self.repo_id, revision, list(self.allow), list(self.ignore)]
        return hashlib.sha256(write_canonical(content)).hexdigest()


@dataclass(frozen=True, kw_only=True)
class _Record:
    commit: str
    part: Part
    stamps: dict[str, int]
    """When the depot's files were written: a file that changed since is read through."""
    readers: list[str] = field(default_factory=list)


class Records:
    """Small files below `folder`. Any number of processes may share it; a lost record costs one question to the hub."""

    def __init__(self, depot: Depot, folder: Path) -> None:
        self._depot = depot
        self._folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._key = self._read_key()

    def find_commit(self, asked: Asked, commit: str, token: str) -> Checkpoint | None:
        """The files of a commit, where all of them are here, sound, and this token may have them."""
        record = self._read(asked, commit)
        if record is None or not self._may_read(record, token):
            return None
        stamps = {entry.digest: self._check(entry, record.stamps.get(entry.digest)) for entry in record.part.files}
        if 0 in stamps.values():
            return None
        if stamps != record.stamps:
            self._write(asked, _Record(commit=commit, part=record.part, stamps=stamps, readers=record.readers))
        return Checkpoint(repo_id=asked.repo_id, revision=commit, part=record.part)

    def find_last(self, asked: Asked, token: str) -> Checkpoint | None:
        """The same for the commit that the revision was when the hub was last asked."""
        try:
            commit = json.loads((self._folder / f"{asked.key_of(asked.revision)}.ref").read_bytes())["commit"]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return self.find_commit(asked, commit, token) if isinstance(commit, str) else None

    def keep(self, asked: Asked, fetched: Fetched, token: str) -> Checkpoint:
        """Remember what was fetched, with whose token."""
        files = [
            FileEntry(path=f"{CHECKPOINTS_FOLDER}/{one.path}", digest=one.digest, size_bytes=one.size_bytes)
            for one in fetched.files
        ]
        earlier = self._read(asked, fetched.commit)
        readers = {*(earlier.readers if earlier else ()), self._name(token), *([PUBLIC] if fetched.is_public else ())}
        stamps = {one.digest: self._stamp(one) for one in files}
        self._write(asked, _Record(commit=fetched.commit, part=Part(files), stamps=stamps, readers=sorted(readers)))
        self._write_file(f"{asked.key_of(asked.revision)}.ref", {"commit": fetched.commit})
        return Checkpoint(repo_id=asked.repo_id, revision=fetched.commit, part=Part(files))

    def _may_read(self, record: _Record, token: str) -> bool:
        return PUBLIC in record.readers or self._name(token) in record.readers

    def _name(self, token: str) -> str:
        return fingerprint_token(token, self._key)

    def _check(self, entry: FileEntry, stamp: int | None) -> int:
        """The file's time where it is sound, else 0: a damaged one is removed, so that it is fetched again."""
        found = self._stamp(entry)
        if found and found != stamp:
            try:
                self._depot.verify(entry.digest)
            except InternalError:
                self._depot.path_of(entry.digest).unlink(missing_ok=True)
                return 0
        return found

    def _stamp(self, entry: FileEntry) -> int:
        try:
            status = self._depot.path_of(entry.digest).stat()
        except FileNotFoundError:
            return 0
        return status.st_mtime_ns if status.st_size == entry.size_bytes else 0

    def _read(self, asked: Asked, commit: str) -> _Record | None:
        try:
            row = json.loads((self._folder / f"{asked.key_of(commit)}.json").read_bytes())
            part = Part(FileEntry(**file) for file in row["files"])
            return _Record(commit=commit, part=part, stamps=dict(row["stamps"]), readers=list(row["readers"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _write(self, asked: Asked, record: _Record) -> None:
        told = {"endpoint": asked.endpoint, "repo_id": asked.repo_id, "commit": record.commit}
        files = [asdict(entry) for entry in record.part.files]
        self._write_file(
            f"{asked.key_of(record.commit)}.json",
            {**told, "files": files, "stamps": record.stamps, "readers": record.readers},
        )

    def _write_file(self, name: str, content: object) -> None:
        with tempfile.NamedTemporaryFile(dir=self._folder, prefix=".", delete=False) as file:
            file.write(write_canonical(content))
        Path(file.name).replace(self._folder / name)

    def _read_key(self) -> bytes:
        """Makes fingerprints of tokens worthless anywhere else."""
        path = self._folder / ".key"
        if not path.exists():
            with tempfile.NamedTemporaryFile(dir=self._folder, prefix=".", delete=False) as file:
                file.write(secrets.token_bytes(32))
            with contextlib.suppress(FileExistsError):
                path.hardlink_to(file.name)
            Path(file.name).unlink()
        return path.read_bytes()
