"""How much of one user's may lie among the arrivals: what was sent and no version uses yet. All methods block."""

from __future__ import annotations

import hashlib
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from stat import S_ISREG

from modelyard.errors import TooLarge
from modelyard.server.records import AppKey

LEAST_BYTES = 64 * 1024
"""What a file counts at least: many small ones cost the disk more than their bytes."""


class ArrivalRoom:
    """Knows where the files of an owner lie, and counts those of each user.

    What a user has is added up as it comes, and counted anew on the disk before anybody is refused.

    Args:
        root: Below it, a folder for each user, with one for each app in it.
        limit_bytes: Of one user; 0: there is none.
    """

    def __init__(self, root: Path, limit_bytes: int = 0) -> None:
        self.root = root
        self._limit_bytes = limit_bytes
        self._lock = threading.Lock()
        self._held: dict[Path, int] = {}
        self._promised: Counter[Path] = Counter()

    def folder_of(self, owner: AppKey) -> Path:
        """Where the files of one app of one user lie."""
        return self._user_of(owner) / _hash(f"{owner.user_id}\0{owner.app_id}")

    def check(self, owner: AppKey, size_bytes: int, files: int = 1) -> None:
        """Is there room for so many bytes more, in so many files? Raises TooLarge."""
        if not self._limit_bytes:
            return
        user, more = self._user_of(owner), max(size_bytes, files * LEAST_BYTES)
        with self._lock:
            if user in self._held and self._held[user] + self._promised[user] + more <= self._limit_bytes:
                return
            held = self._held[user] = _count(user)
            if held + self._promised[user] + more > self._limit_bytes:
                raise TooLarge(
                    f"{held + self._promised[user]} bytes that you have sent are of no version yet, and {more} more "
                    f"would be above the {self._limit_bytes} that may be",
                    hint="finish an upload that was broken off, or wait: what nobody goes on with is removed after a "
                    "day; the server's `--arrivals` allows more",
                )

    @contextmanager
    def promise(self, owner: AppKey, size_bytes: int, files: int = 1) -> Iterator[None]:
        """Hold room for what is written in the block: files, or the rest of one. Raises TooLarge."""
        self.check(owner, size_bytes, files)
        user, more = self._user_of(owner), max(size_bytes, files * LEAST_BYTES)
        with self._lock:
            self._promised[user] += more
        try:
            yield
        finally:
            with self._lock:
                self._promised[user] -= more
                if user in self._held:
                    self._held[user] += more

    def forget(self, owner: AppKey) -> None:
        """Something of theirs was removed."""
        with self._lock:
            self._held.pop(self._user_of(owner), None)

    def list_files(self) -> Iterator[Path]:
        """Everything that lies there, of everybody."""
        return (path for path in self.root.rglob("*") if path.is_file())

    def _user_of(self, owner: AppKey) -> Path:
        return self.root / _hash(owner.user_id)


def _count(folder: Path) -> int:
    return sum(_weigh(path) for path in folder.rglob("*"))


def _weigh(path: Path) -> int:
    """What a file counts; nothing where it has gone, or is a folder."""
    with suppress(FileNotFoundError):
        found = path.stat()
        return max(found.st_size, LEAST_BYTES) if S_ISREG(found.st_mode) else 0
    return 0


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]
