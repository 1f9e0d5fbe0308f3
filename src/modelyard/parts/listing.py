"""What a list of files may say: one set of rules for the client that sends it and the server that is told."""

from __future__ import annotations

from collections.abc import Sequence

from modelyard.parts.files import FileEntry
from modelyard.parts.names import PathRegister, explain_bad_path
from modelyard.parts.tar_reader import DEFAULT_LIMITS, ArchiveLimits

SHOWN_PROBLEMS = 20


def find_problems(files: Sequence[tuple[str, int]], limits: ArchiveLimits = DEFAULT_LIMITS) -> list[str]:
    """Everything that is wrong with these files, a path and a size each; the rules are those of an archive.

    Of very many problems the first ones are told.
    """
    problems = []
    if len(files) > limits.max_members:
        problems.append(f"the folder has {len(files)} files; at most {limits.max_members} are allowed")
    size = sum(size for _, size in files)
    if size > limits.max_total_bytes:
        problems.append(f"the files have {size} bytes together; at most {limits.max_total_bytes} are allowed")
    register = PathRegister()
    for path, _ in files[: limits.max_members]:
        if problem := explain_bad_path(path) or register.add_file(path):
            problems.append(f"{path[:200]!a}: {problem}")
        if len(problems) >= SHOWN_PROBLEMS:
            return [*problems, "and maybe more"]
    return problems


def find_contradictions(entries: Sequence[FileEntry]) -> list[str]:
    """Digests that are said to have two sizes."""
    sizes: dict[str, int] = {}
    return [
        f"{entry.path[:200]!a}: sha256:{entry.digest} is listed with {entry.size_bytes} and with {known} bytes"
        for entry in entries
        if (known := sizes.setdefault(entry.digest, entry.size_bytes)) != entry.size_bytes
    ][:SHOWN_PROBLEMS]
