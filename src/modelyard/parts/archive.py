"""Archives of model folders: packed by our client, unpacked by the strict reader."""

from __future__ import annotations

import gzip
import os
import tarfile
from collections.abc import Container
from pathlib import Path

from modelyard.errors import InvalidFolder
from modelyard.parts.code import list_files
from modelyard.parts.names import PathRegister, explain_bad_path
from modelyard.parts.tar_reader import DEFAULT_LIMITS, ArchiveLimits, extract_archive

__all__ = ["DEFAULT_LIMITS", "ArchiveLimits", "extract_archive", "pack_folder"]

_FAST = 1
"""Of gzip's levels: code is small, and weights hardly compress."""


def pack_folder(
    folder: Path, out: Path, limits: ArchiveLimits = DEFAULT_LIMITS, *, without: Container[str] = ()
) -> None:
    """Write the folder, without what is ignored and what `without` names, to a tar.gz. The same files always make the
    same bytes.

    Raises:
        InvalidFolder: A link that leads nowhere or outside, or a name or size that a server would refuse;
            all problems at once.
    """
    files = [path for path in list_files(folder) if path.as_posix() not in without]
    _check_files(folder, files, limits)
    with (
        out.open("wb") as raw,
        gzip.GzipFile(filename="", mode="wb", compresslevel=_FAST, fileobj=raw, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for path in files:
            with (folder / path).open("rb") as content:
                archive.addfile(_describe(path, os.fstat(content.fileno())), content)


def _describe(path: Path, status: os.stat_result) -> tarfile.TarInfo:
    member = tarfile.TarInfo(f"./{path.as_posix()}")
    member.size = status.st_size
    member.mode = 0o755 if status.st_mode & 0o100 else 0o644
    return member


def _check_files(folder: Path, files: list[Path], limits: ArchiveLimits) -> None:
    register = PathRegister()
    problems = []
    for path in files:
        name = path.as_posix()
        if problem := explain_bad_path(name) or register.add_file(name):
            problems.append(f"{name!a}: {problem}")
    if len(files) > limits.max_members:
        problems.append(f"the folder has {len(files)} files; at most {limits.max_members} are allowed")
    size = sum((folder / path).stat().st_size for path in files)
    if size > limits.max_total_bytes:
        problems.append(f"the files have {size} bytes together; at most {limits.max_total_bytes} are allowed")
    if problems:
        raise InvalidFolder("\n".join(problems), hint="leave files out with a .modelyardignore file")
