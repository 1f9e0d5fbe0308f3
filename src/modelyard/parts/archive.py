"""Archives of model folders: packed by our client, unpacked by the strict reader."""

from __future__ import annotations

import gzip
import os
import tarfile
from collections.abc import Container, Sequence
from pathlib import Path

from modelyard.errors import InvalidFolder
from modelyard.parts.code import list_files
from modelyard.parts.listing import find_problems
from modelyard.parts.tar_reader import DEFAULT_LIMITS, ArchiveLimits, extract_archive

__all__ = ["DEFAULT_LIMITS", "ArchiveLimits", "check_files", "extract_archive", "pack_folder"]

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
    check_files(folder, files, limits)
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


def check_files(folder: Path, files: Sequence[Path], limits: ArchiveLimits = DEFAULT_LIMITS) -> None:
    """Would a server take these files of the folder? Raises InvalidFolder, with all problems at once."""
    problems = find_problems([(path.as_posix(), (folder / path).stat().st_size) for path in files], limits)
    if problems:
        raise InvalidFolder("\n".join(problems), hint="leave files out with a .modelyardignore file")
