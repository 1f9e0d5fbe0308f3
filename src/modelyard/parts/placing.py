"""A checkpoint's files, put into the author's folder: read-only links to the depot's, which take no more room."""

from __future__ import annotations

import errno
import json
import os
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from modelyard.errors import CheckpointsFailed, InternalError
from modelyard.parts.checkpoint import CHECKPOINTS_FOLDER, MARKER, Checkpoint
from modelyard.parts.depot import Depot, hash_file
from modelyard.parts.files import FileEntry, write_canonical
from modelyard.parts.names import explain_bad_path

Log = Callable[[str], None]
SHOWN_FILES = 5


@dataclass(frozen=True, kw_only=True)
class _Stamp:
    """How a file that we placed looks from outside, until somebody changes it."""

    size_bytes: int
    mtime_ns: int


@dataclass(frozen=True, kw_only=True)
class _Marker:
    """What was placed before. Written before the first file moves: after a crash it is still known what is ours."""

    repo_id: str = ""
    revision: str = ""
    files: dict[str, _Stamp] = field(default_factory=dict)

    def to_json(self) -> bytes:
        files = {path: [stamp.size_bytes, stamp.mtime_ns] for path, stamp in self.files.items()}
        return write_canonical({"repo_id": self.repo_id, "revision": self.revision, "files": files})

    @classmethod
    def from_json(cls, content: bytes) -> _Marker:
        row = json.loads(content)
        files = {
            path: _Stamp(size_bytes=size, mtime_ns=mtime)
            for path, (size, mtime) in row["files"].items()
            if path.startswith(f"{CHECKPOINTS_FOLDER}/") and explain_bad_path(path) is None
        }
        return cls(repo_id=row["repo_id"], revision=row["revision"], files=files)


def place(depot: Depot, checkpoint: Checkpoint, folder: Path, log: Log = lambda _line: None) -> None:
    """Put a checkpoint's files at `folder/1/checkpoints`: hard links, read-only, or copies where disks differ.

    Blocking, idempotent, and quick when they are there. What an earlier call placed and this checkpoint lacks, goes;
    what the author put or changed there, stays, and `log` is told.

    Raises:
        CheckpointsFailed: The depot's file was changed through its link, or the folder cannot take the files.
    """
    try:
        _Placing(depot, checkpoint, folder, log).run()
    except OSError as error:
        raise _explain(error, checkpoint) from error


def list_placed(folder: Path) -> frozenset[str]:
    """The files below `folder/1/checkpoints` that `place` put there and nobody has changed since."""
    placed = _read_marker(folder).files
    return frozenset(path for path, stamp in placed.items() if _is_ours(folder / path, stamp))


class _Placing:
    def __init__(self, depot: Depot, checkpoint: Checkpoint, folder: Path, log: Log) -> None:
        self._depot = depot
        self._checkpoint = checkpoint
        self._folder = folder
        self._log = log
        self._marker = folder / MARKER

    def run(self) -> None:
        self._check_folders()
        before = _read_marker(self._folder)
        wanted = {entry.path: entry for entry in self._checkpoint.part.files}
        stamps = {path: self._stamp_depot(entry) for path, entry in wanted.items()}
        for path, entry in wanted.items():
            self._check_link(entry, before.files.get(path), stamps[path])
        missing = [entry for entry in wanted.values() if not self._is_placed(entry, stamps[entry.path])]
        old = [path for path in before.files if path not in wanted]
        if missing or old or before.revision != self._checkpoint.revision or before.files != stamps:
            self._write_marker({**before.files, **stamps})
            kept = {path for entry in missing if (path := self._put(entry, before.files.get(entry.path)))}
            kept |= {path for path in old if self._remove(path, before.files[path])}
            self._write_marker({path: stamp for path, stamp in stamps.items() if path not in kept})
            self._tell_kept(kept)

    def _check_folders(self) -> None:
        """Nothing is written through a link that leads elsewhere."""
        parents = {str(Path(entry.path).parent) for entry in self._checkpoint.part.files} | {CHECKPOINTS_FOLDER}
        for parent in sorted(_list_above(parents)):
            path = self._folder / parent
            if path.is_symlink() or (path.exists() and not path.is_dir()):
                what = "a link" if path.is_symlink() else "a file"
                raise CheckpointsFailed(
                    f"checkpoints: {parent} in the model folder is {what}, so the files of "
                    f"{self._checkpoint.repo_id} cannot be put there",
                    hint=f"remove {parent}, or take the checkpoints section out of config.yaml to use your own files",
                )
            path.mkdir(exist_ok=True)

    def _stamp_depot(self, entry: FileEntry) -> _Stamp:
        try:
            return _stamp(self._depot.path_of(entry.digest))
        except FileNotFoundError:
            raise CheckpointsFailed(
                f"checkpoints: {entry.path} is not in the cache (any more)", hint="run the command again to fetch it"
            ) from None

    def _check_link(self, entry: FileEntry, before: _Stamp | None, now: _Stamp) -> None:
        """A placed link is the depot's own file: who writes to it, changes that."""
        if now.size_bytes == entry.size_bytes and before in (None, now):
            return
        try:
            self._depot.verify(entry.digest)
        except InternalError:
            self._depot.path_of(entry.digest).unlink(missing_ok=True)
            raise CheckpointsFailed(
                f"checkpoints: {entry.path} was changed in place, and with it the cache's file, which is the same one",
                hint="run the command again to fetch it anew; to use a changed file, write it under another name",
            ) from None

    def _is_placed(self, entry: FileEntry, stamp: _Stamp) -> bool:
        """Is it the depot's file, or our copy of it?"""
        path = self._folder / entry.path
        return path.is_file() and not path.is_symlink() and _stamp(path) == stamp

    def _put(self, entry: FileEntry, before: _Stamp | None) -> str:
        """Place a file; returns its path where the author's own one is there, which stays."""
        path = self._folder / entry.path
        if path.is_symlink() or path.exists():
            if not (_is_ours(path, before) or _has_content(path, entry)):
                return entry.path
            path.unlink(missing_ok=True)
        self._link(entry, path)
        return ""

    def _link(self, entry: FileEntry, path: Path) -> None:
        source = self._depot.path_of(entry.digest)
        temporary = path.with_name(f".modelyard-{uuid.uuid4().hex}")
        try:
            try:
                os.link(source, temporary)
            except OSError as error:
                if error.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP):
                    raise
                self._depot.copy_out(entry.digest, temporary, mode=0o444)
                os.utime(temporary, ns=(source.stat().st_atime_ns, source.stat().st_mtime_ns))
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)

    def _remove(self, name: str, stamp: _Stamp) -> bool:
        """Remove what an earlier checkpoint left; True where the author changed it, so that it stays."""
        path = self._folder / name
        if not path.is_symlink() and not path.exists():
            return False
        if not _is_ours(path, stamp) or path.resolve() != self._folder.resolve() / name:
            return True
        path.unlink(missing_ok=True)
        for parent in path.parents:
            if parent == self._folder / CHECKPOINTS_FOLDER or any(parent.iterdir()):
                break
            parent.rmdir()
        return False

    def _tell_kept(self, kept: Iterable[str]) -> None:
        paths = sorted(kept)
        if not paths:
            return
        more = f" and {len(paths) - SHOWN_FILES} more" if len(paths) > SHOWN_FILES else ""
        self._log(
            f"Warning: your own {', '.join(paths[:SHOWN_FILES])}{more} stayed as they are, beside the files of "
            f"{self._checkpoint.repo_id} at {self._checkpoint.revision[:12]}; delete them to have the repository's"
        )

    def _write_marker(self, files: dict[str, _Stamp]) -> None:
        marker = _Marker(repo_id=self._checkpoint.repo_id, revision=self._checkpoint.revision, files=files)
        temporary = self._marker.with_name(f".modelyard-{uuid.uuid4().hex}")
        temporary.write_bytes(marker.to_json())
        temporary.replace(self._marker)


def _read_marker(folder: Path) -> _Marker:
    try:
        return _Marker.from_json((folder / MARKER).read_bytes())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return _Marker()


def _list_above(folders: Iterable[str]) -> set[str]:
    """The folders and all above them."""
    return {
        "/".join(names[: count + 1])
        for folder in folders
        for names in [folder.split("/")]
        for count in range(len(names))
    }


def _stamp(path: Path) -> _Stamp:
    status = path.stat(follow_symlinks=False)
    return _Stamp(size_bytes=status.st_size, mtime_ns=status.st_mtime_ns)


def _is_ours(path: Path, stamp: _Stamp | None) -> bool:
    return stamp is not None and path.is_file() and not path.is_symlink() and _stamp(path) == stamp


def _has_content(path: Path, entry: FileEntry) -> bool:
    """Is it the same file, fetched by other means?"""
    if path.is_symlink() or not path.is_file() or path.stat().st_size != entry.size_bytes:
        return False
    return hash_file(path) == entry.digest


def _explain(error: OSError, checkpoint: Checkpoint) -> CheckpointsFailed:
    where = f" ({error.filename})" if error.filename else ""
    return CheckpointsFailed(
        f"checkpoints: the files of {checkpoint.repo_id} cannot be put into {CHECKPOINTS_FOLDER}: "
        f"{error.strerror}{where}",
        hint="the folder must be writable, and on a disk with room where it is another one than the cache's",
    )
