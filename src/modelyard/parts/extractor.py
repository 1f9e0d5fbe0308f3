"""The extractor: unpacks one archive in a process of its own, under hard limits, and exits.

Its imports are few on purpose: it starts in some tens of milliseconds.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

from modelyard.errors import InternalError, InvalidArchive
from modelyard.parts.files import FileEntry, Part
from modelyard.parts.tar_reader import DEFAULT_LIMITS, ArchiveLimits, extract_archive

CPU_S = 30
CPU_MAX_S = 300
BYTES_PER_CPU_S = 20 * 1024 * 1024
"""Packed bytes for which one more second of CPU is allowed: a slow core inflates and hashes more than that."""
MEMORY_BYTES = 1024**3
OPEN_FILES = 64
REFUSED_EXIT = 3


def extract_in_child(archive: Path, dest: Path, limits: ArchiveLimits = DEFAULT_LIMITS) -> tuple[FileEntry, ...]:
    """Unpack an untrusted tar.gz into `dest`, which must not exist or be empty. Blocking.

    Returns:
        The files, sorted by path; they lie below `dest`.

    Raises:
        InvalidArchive: The archive breaks a rule, or needs more time or memory than an archive may.
        InternalError: The extractor could not do its work (disk full, not started).
    """
    cpu_s = _cpu_seconds(archive)
    argv = [sys.executable, "-m", __name__, str(archive), str(dest), json.dumps({"cpu_s": cpu_s, **asdict(limits)})]
    try:
        done = subprocess.run(
            argv,
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=cpu_s * 4,
            cwd="/",
            env=_environment(),
        )
        if done.returncode == 0:
            return Part.from_json(done.stdout).files
        raise _explain(done, cpu_s)
    except subprocess.TimeoutExpired:
        _clear(dest)
        raise InvalidArchive(f"the archive could not be unpacked within {cpu_s * 4} s") from None
    except (InvalidArchive, InternalError):
        _clear(dest)
        raise


def main(archive: Path, dest: Path, settings: dict[str, int]) -> int:
    """The child: limit itself, unpack, print the list of files (or one line saying why not)."""
    _limit_itself(settings.pop("cpu_s"), settings["max_total_bytes"])
    try:
        files = extract_archive(archive, dest, ArchiveLimits(**settings))
    except InvalidArchive as error:
        sys.stdout.write(error.message)
        return REFUSED_EXIT
    sys.stdout.buffer.write(Part(files).to_json())
    return 0


def _limit_itself(cpu_s: int, file_bytes: int) -> None:
    for kind, value in (
        (resource.RLIMIT_CPU, cpu_s),
        (resource.RLIMIT_AS, MEMORY_BYTES),
        (resource.RLIMIT_FSIZE, file_bytes),
        (resource.RLIMIT_NOFILE, OPEN_FILES),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(kind, (value, value))


def _cpu_seconds(archive: Path) -> int:
    try:
        size = archive.stat().st_size
    except OSError as error:
        raise InternalError(f"the archive {archive.name} cannot be read: {error.strerror}") from error
    return min(CPU_MAX_S, CPU_S + size // BYTES_PER_CPU_S)


def _environment() -> dict[str, str]:
    """Nothing but what finds our own code: no token and no setting of the server travels."""
    kept = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH")
    return {name: os.environ[name] for name in kept if name in os.environ} | {"PYTHONUTF8": "1"}


def _explain(done: subprocess.CompletedProcess[bytes], cpu_s: int) -> InvalidArchive | InternalError:
    text = done.stdout.decode(errors="replace")
    if done.returncode == REFUSED_EXIT:
        return InvalidArchive(text)
    trace = done.stderr.decode(errors="replace")
    if "MemoryError" in trace or done.returncode < 0:
        return InvalidArchive(f"the archive needs more than {cpu_s} s of CPU or {MEMORY_BYTES} bytes of memory")
    last = trace.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
    return InternalError(f"the archive could not be unpacked: {last[0]}", details=trace)


def _clear(dest: Path) -> None:
    shutil.rmtree(dest, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3])))
