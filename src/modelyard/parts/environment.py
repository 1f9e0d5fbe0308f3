"""Environments: locked sets of packages, each installed once into a folder that is named by its digest.

`environments/<digest>/` is a virtual environment, complete once it holds `.complete`, which is written last. Beside
them: `.locks` (what was resolved before), `.guards` (lock files), `.work` (scratch), `.home` (uv's cache).

Nothing is compiled to bytecode at installation: Python compiles what the model imports when it first starts, which is
less work than compiling every module of every package, and later starts find it done.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import stat
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import IO

from modelyard.errors import BuildFailed, Cancelled, InvalidFolder
from modelyard.parts.blame import explain_failure
from modelyard.parts.builder import Builder, BuilderSettings, Log
from modelyard.parts.files import is_digest
from modelyard.parts.guess import Guess
from modelyard.parts.lock import GUESSING, Lock, LockRecords, list_install_options, resolve
from modelyard.parts.pythons import Python, choose_python, list_pythons
from modelyard.parts.requirements import Requirements, parse_requirements

__all__ = ["BuilderSettings", "Environment", "Environments", "Lock"]

COMPLETE = ".complete"
GUARD_POLL_S = 0.1
LEFTOVER_AGE_S = 24 * 3600.0
"""Scratch this old belongs to a process that is gone."""


@dataclass(frozen=True, kw_only=True)
class Environment:
    """An installed environment."""

    digest: str
    python: Path
    """Its interpreter."""
    is_new: bool = field(default=False, compare=False)
    """Was it installed for the one who asked?"""


class Environments:
    """All environments below `root`. Methods block; any number of threads and processes may call them."""

    def __init__(self, root: Path, *, settings: BuilderSettings | None = None) -> None:
        self._root = root.absolute()
        self._builder = Builder(settings or BuilderSettings(), self._root / ".home")
        self._records = LockRecords(self._root / ".locks")
        self._pythons: list[Python] = []
        for name in (".guards", ".work"):
            (self._root / name).mkdir(mode=0o700, parents=True, exist_ok=True)
        self._clear_leftovers()

    def lock(
        self, requirements_text: str, python_version: str, log: Log, *, stop: threading.Event | None = None
    ) -> Lock:
        """Choose a version of every package, or reuse the choice made before for the same requirements.

        Args:
            requirements_text: The author's requirements.txt.
            python_version: `3.11`, in full, or "" for the interpreter that runs Modelyard.
            log: Takes each line for the author.
            stop: Set from another thread, it ends the work.

        Raises:
            BuildFailed: The Python is not there, or the packages do not fit; the message names the line.
            Cancelled: `stop` was set.
        """
        try:
            requirements = parse_requirements(requirements_text)
        except InvalidFolder as error:
            raise BuildFailed(error.message, hint=error.hint) from error
        python = self._choose_python(python_version)
        for warning in requirements.warnings:
            log(f"warning: {warning}")
        if known := self._records.find(requirements, python):
            log(f"requirements.txt is unchanged: its {python.version} environment {known.digest[:12]} is used")
            return known
        log(f"Resolving {len(requirements.lines)} requirements for Python {python.version}")
        guess = Guess(partial(self._try_early, requirements, python))
        try:
            with self._scratch() as scratch:
                lock = resolve(self._builder, requirements, python, scratch=scratch, log=log, stop=stop)
            self._records.keep(lock)
        except BaseException:
            guess.drop()
            raise
        if guess.digest == lock.digest:
            return replace(lock, guess=guess)
        guess.drop()
        return lock

    def install(self, lock: Lock, log: Log, *, stop: threading.Event | None = None) -> Environment:
        """Make the environment of a lock, unless it is there. Two at once do it once; what a crash left is removed.

        Raises:
            BuildFailed: A package could not be downloaded or built; the message names the line where it can.
            Cancelled: `stop` was set.
        """
        guess = lock.guess
        if guess is not None:
            guess.finish(stop)
        environment = self.get(lock.digest)
        if environment is None:
            environment = self._install(lock, log, stop)
        elif guess is not None and guess.has_installed:
            environment = replace(environment, is_new=True)
            for line in guess.lines:
                log(line)
        log(f"Environment {lock.digest[:12]} is installed{'' if environment.is_new else ' already'}")
        return environment

    def get(self, digest: str) -> Environment | None:
        """The environment, where it is installed completely and its interpreter still exists. It counts as used now."""
        if not is_digest(digest):
            return None
        folder = self._root / digest
        try:
            os.utime(folder / COMPLETE)
        except PermissionError:
            pass
        except OSError:
            return None
        if not _python_of(folder).exists():
            return None
        return Environment(digest=digest, python=_python_of(folder))

    def _try_early(self, requirements: Requirements, python: Python, guess: Guess) -> None:
        """Install what the cache has for these requirements, while the indexes are asked whether that is right."""
        with self._scratch() as scratch:
            lock = resolve(
                self._builder, requirements, python, scratch=scratch, log=_forget, stop=guess.stop, is_guess=True
            )
        guess.digest = lock.digest
        if self.get(lock.digest) is None:
            guess.has_installed = self._install(lock, guess.lines.append, guess.stop, is_guess=True).is_new

    def _install(self, lock: Lock, log: Log, stop: threading.Event | None, *, is_guess: bool = False) -> Environment:
        """The environment; new, where nobody else has installed it by now."""
        with self._guard(lock.digest, stop) as guard:
            if environment := self.get(lock.digest):
                return environment
            folder = self._root / lock.digest
            shutil.rmtree(folder, ignore_errors=True)
            try:
                self._fill(folder, lock, log, stop, guard, is_guess=is_guess)
            except BaseException:
                shutil.rmtree(folder, ignore_errors=True)
                raise
        return Environment(digest=lock.digest, python=_python_of(folder), is_new=True)

    def _choose_python(self, wanted: str) -> Python:
        """By the interpreters as they were last looked for, which takes longer than all else that an edit of the code
        needs; looked for again where none fits, or one has gone."""
        known = self._pythons
        if known and all(python.path.exists() for python in known):
            with suppress(BuildFailed):
                return choose_python(wanted, known)
        self._pythons = list_pythons(self._builder)
        return choose_python(wanted, self._pythons)

    def _fill(
        self, folder: Path, lock: Lock, log: Log, stop: threading.Event | None, guard: IO[str], *, is_guess: bool
    ) -> None:
        python = self._choose_python(lock.python_version)
        with self._scratch() as scratch:
            (scratch / "lock.txt").write_text(lock.text, encoding="utf-8")
            made = self._builder.run(
                ["venv", str(folder), "--python", str(python.path), "--quiet"],
                cwd=scratch,
                log=log,
                stop=stop,
                held=guard,
            )
            if made.exit_code != 0:
                raise BuildFailed("the virtual environment could not be made", details="\n".join(made.tail))
            done = self._builder.run(
                _list_sync_arguments(folder, lock, is_guess=is_guess),
                cwd=scratch,
                log=log,
                indexes=self._builder.indexes.with_options(lock.requirements.options),
                stop=stop,
                held=guard,
            )
        if done.exit_code != 0:
            if not is_guess:
                self._records.forget(lock)
            raise explain_failure("could not be installed", lock.requirements, done.tail)
        _seal(folder)
        _write_marker(folder, lock)

    @contextmanager
    def _scratch(self) -> Iterator[Path]:
        with tempfile.TemporaryDirectory(dir=self._root / ".work", ignore_cleanup_errors=True) as name:
            yield Path(name)

    @contextmanager
    def _guard(self, digest: str, stop: threading.Event | None) -> Iterator[IO[str]]:
        """Hold the lock file of one environment. The system lets go of it when this process and the uv that it started
        have ended, however they end: an installation that was left alone is waited for, and then done again."""
        with (self._root / ".guards" / f"{digest}.lock").open("w") as file:
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if stop is not None and stop.wait(GUARD_POLL_S):
                        raise Cancelled("the build was stopped") from None
                    if stop is None:
                        time.sleep(GUARD_POLL_S)
            yield file

    def _clear_leftovers(self) -> None:
        for path in (self._root / ".work").iterdir():
            if time.time() - path.stat().st_mtime > LEFTOVER_AGE_S:
                shutil.rmtree(path, ignore_errors=True)


def _list_sync_arguments(folder: Path, lock: Lock, *, is_guess: bool) -> list[str]:
    return [
        *("pip", "sync", "lock.txt", "--python", str(_python_of(folder)), "--strict"),
        *(["--require-hashes"] if lock.is_hashed else []),
        *list_install_options(lock.requirements.options),
        *(GUESSING if is_guess else ()),
    ]


def _forget(_line: str) -> None:
    """The log of what nobody is told."""


def _python_of(folder: Path) -> Path:
    return folder / "bin" / "python"


def _seal(folder: Path) -> None:
    """Take the write permission from every file: they are shared with other environments by hard links to the cache.

    Folders stay writable for their owner: Python puts compiled bytecode there.
    """
    for parent, _, names in os.walk(folder):
        for name in names:
            path = Path(parent, name)
            mode = path.lstat().st_mode
            if stat.S_ISREG(mode):
                path.chmod(stat.S_IMODE(mode) & ~0o222)


def _write_marker(folder: Path, lock: Lock) -> None:
    (folder / "lock.txt").write_text(lock.text, encoding="utf-8")
    with (folder / COMPLETE).open("w", encoding="utf-8") as file:
        json.dump({"digest": lock.digest, "python_version": lock.python_version}, file)
        file.flush()
        os.fsync(file.fileno())
