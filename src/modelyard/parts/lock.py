"""A lock: every package of an environment at one version, with hashes, for one Python on one platform."""

from __future__ import annotations

import hashlib
import json
import os
import re
import sysconfig
import tempfile
import threading
from dataclasses import asdict, dataclass, field
from pathlib import Path

from modelyard.parts.blame import explain_failure
from modelyard.parts.builder import Builder, Log
from modelyard.parts.files import write_canonical
from modelyard.parts.guess import Guess
from modelyard.parts.pythons import Python
from modelyard.parts.requirement_options import Option, list_uv_arguments
from modelyard.parts.requirements import Requirements

WORKER_NEEDS = ("clarifai-grpc", "PyYAML")
"""What the worker's code imports; without versions, so that the author's always win."""
GUESSING = ("--offline", "--no-build")
"""What is asked of uv for a guess."""
FORMAT = "1"
"""Counts up when the same lock would be installed in another way."""


@dataclass(frozen=True, kw_only=True)
class Lock:
    """What `Environments.install` installs."""

    text: str
    """A requirements file: pinned, with hashes where a package comes from an index."""
    python_version: str
    """In full, `3.11.7`."""
    requirements: Requirements
    """What the author asked for."""
    guess: Guess | None = field(default=None, compare=False, repr=False)
    """What is installing its environment already."""

    @property
    def digest(self) -> str:
        """The environment's name: sha256 over the packages, the Python and the platform."""
        content = [FORMAT, self.text, self.python_version, sysconfig.get_platform()]
        return hashlib.sha256(write_canonical(content)).hexdigest()

    @property
    def is_hashed(self) -> bool:
        """Does every package have a hash? One that is built from a repository has none."""
        entries = re.sub(r"\\\n", " ", self.text).splitlines()
        return all("--hash=" in entry for entry in entries if entry.strip() and not entry.lstrip().startswith("#"))


class LockRecords:
    """Locks that were made before: an unchanged requirements.txt keeps its packages and needs no resolution."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find(self, requirements: Requirements, python: Python) -> Lock | None:
        """The lock made for these requirements and this Python."""
        try:
            row = json.loads(self._path_of(requirements, python.version).read_bytes())
            return Lock(text=row["text"], python_version=python.version, requirements=requirements)
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def keep(self, lock: Lock) -> None:
        """Remember it. Atomic."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._path_of(lock.requirements, lock.python_version)
        with tempfile.NamedTemporaryFile(dir=self._folder, delete=False) as file:
            file.write(write_canonical({"text": lock.text}))
            file.flush()
            os.fsync(file.fileno())
        Path(file.name).replace(path)

    def forget(self, lock: Lock) -> None:
        """It could not be installed: the next build resolves anew."""
        self._path_of(lock.requirements, lock.python_version).unlink(missing_ok=True)

    def _path_of(self, requirements: Requirements, python_version: str) -> Path:
        asked = [requirements.text, [asdict(option) for option in requirements.options], WORKER_NEEDS]
        content = [FORMAT, asked, python_version, sysconfig.get_platform()]
        return self._folder / f"{hashlib.sha256(write_canonical(content)).hexdigest()}.json"


def resolve(
    builder: Builder,
    requirements: Requirements,
    python: Python,
    *,
    scratch: Path,
    log: Log,
    stop: threading.Event | None,
    is_guess: bool = False,
) -> Lock:
    """Let uv choose a version of every package; for a guess, of those that are in its cache, and without building any.

    Raises:
        BuildFailed: There is no choice that fits; the message names the author's line.
        Cancelled: `stop` was set.
    """
    (scratch / "requirements.txt").write_text(requirements.text, encoding="utf-8")
    (scratch / "worker.txt").write_text("".join(f"{name}\n" for name in WORKER_NEEDS), encoding="utf-8")
    (scratch / "lock.txt").unlink(missing_ok=True)
    done = builder.run(
        [
            *("pip", "compile", "requirements.txt", "worker.txt", "--output-file", "lock.txt", "--generate-hashes"),
            *("--no-header", "--no-annotate", "--python", str(python.path)),
            *list_uv_arguments(requirements.options),
            *(GUESSING if is_guess else ()),
        ],
        cwd=scratch,
        log=log,
        indexes=builder.indexes.with_options(requirements.options),
        stop=stop,
    )
    if done.exit_code != 0:
        raise explain_failure("could not be resolved", requirements, done.tail)
    text = (scratch / "lock.txt").read_text(encoding="utf-8")
    return Lock(text=text, python_version=python.version, requirements=requirements)


def list_install_options(options: tuple[Option, ...]) -> list[str]:
    """What installing a lock needs to know of the author's options: all but `--pre`, which only choosing needs."""
    return list_uv_arguments(tuple(option for option in options if option.name != "--pre"))
