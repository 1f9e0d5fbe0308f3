"""Three parts become a folder that can run: code copied (it is small), weights linked (they are shared)."""

from __future__ import annotations

import os
import shutil
import uuid
from pathlib import Path

from modelyard.errors import InternalError
from modelyard.parts.depot import Depot, has_seal, seal
from modelyard.parts.files import FileEntry, Part


def assemble(depot: Depot, *, code: str, weights: str, dest: Path) -> Path:
    """Put a version's files together at `dest`; returns it. Blocking, idempotent, safe when two do it at once.

    Code is copied, and verified on the way. Weights are hard links to the depot's own files, read-only, or copies where
    the two are on different disks; what has lost its seal is read through. `dest` appears complete or not at all. A
    folder that is there is used again if its weights still have their seals; else it is made anew.

    Args:
        depot: Has both parts.
        code: Digest of the code part.
        weights: Digest of the weights part; empty for none.
        dest: The folder to make.

    Raises:
        InternalError: The depot lacks a file, or has it damaged.
    """
    if dest.is_dir():
        if _has_weights(depot.get_part(weights) if weights else Part(), dest):
            return dest
        _put_aside(dest)
    dest.parent.mkdir(parents=True, exist_ok=True)
    _clear_leftovers(dest)
    temporary = dest.parent / f".{dest.name}.{os.getpid()}-{uuid.uuid4().hex}"
    try:
        _copy_code(depot, depot.get_part(code), temporary)
        _link_weights(depot, depot.get_part(weights) if weights else Part(), temporary)
        _appear(temporary, dest)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return dest


def _copy_code(depot: Depot, part: Part, folder: Path) -> None:
    folder.mkdir(mode=0o755)
    for entry in part.files:
        depot.copy_out(entry.digest, _make_place(folder, entry), mode=0o755 if entry.is_executable else 0o644)


def _link_weights(depot: Depot, part: Part, folder: Path) -> None:
    for entry in part.files:
        target = _make_place(folder, entry)
        source = depot.path_of(entry.digest)
        if not depot.keep(entry.digest, entry.size_bytes):
            raise InternalError(
                f"the depot's file for {entry.path} is missing or damaged", hint="upload the model again"
            )
        try:
            os.link(source, target)
        except OSError:
            depot.copy_out(entry.digest, target, mode=0o444)
            seal(target, entry.digest)


def _has_weights(part: Part, folder: Path) -> bool:
    """Are they as the depot gave them, seal and all?"""
    return all(has_seal(folder / entry.path, entry.digest) for entry in part.files)


def _put_aside(dest: Path) -> None:
    """Out of the way, for `_clear_leftovers` of a later process: a replica may still have it open."""
    dest.rename(dest.parent / f".{dest.name}.{os.getpid()}-{uuid.uuid4().hex}")


def _make_place(folder: Path, entry: FileEntry) -> Path:
    target = folder / entry.path
    target.parent.mkdir(parents=True, exist_ok=True)
    return target


def _appear(temporary: Path, dest: Path) -> None:
    try:
        temporary.rename(dest)
    except OSError:
        if not dest.is_dir():
            raise


def _clear_leftovers(dest: Path) -> None:
    """Remove what an earlier process, gone by now, began for the same folder."""
    for path in dest.parent.glob(f".{dest.name}.*"):
        pid = path.name.rpartition(".")[2].partition("-")[0]
        if pid.isdigit() and not Path("/proc", pid).exists():
            shutil.rmtree(path, ignore_errors=True)
