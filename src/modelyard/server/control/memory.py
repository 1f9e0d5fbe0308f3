"""Is there memory for one replica more? Asked before it is started, and not found out by the kernel."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

GIB = 1024**3


class Room(Enum):
    """What there is memory for."""

    BESIDE = "beside"
    """The new replica fits beside all that runs."""
    WITHOUT_SPARES = "without_spares"
    """It fits once versions that only stay warm have stopped."""
    INSTEAD = "instead"
    """It fits only in place of the version before."""
    NONE = "none"
    """It may not fit at all."""


@dataclass(frozen=True, kw_only=True)
class Memory:
    """What is asked for and what there is, in bytes."""

    asked: int
    free: int
    spares: int = 0
    """Held by versions that nobody asks any more."""
    before: int = 0
    """Held by the version whose place the new one is to take."""

    @property
    def room(self) -> Room:
        """What the new replica fits into."""
        if self.asked <= self.free:
            return Room.BESIDE
        if self.asked <= self.free + self.spares:
            return Room.WITHOUT_SPARES
        if self.before and self.asked <= self.free + self.spares + self.before:
            return Room.INSTEAD
        return Room.NONE

    def describe(self) -> str:
        """For people: `it asks for 4.0 GiB (cpu_memory), 3.1 GiB are free`."""
        return f"it asks for {self.asked / GIB:.1f} GiB (cpu_memory), {self.free / GIB:.1f} GiB are free"


class MachineMemory:
    """The memory of this machine, or of the control group that the server runs in."""

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root

    def free_bytes(self) -> int:
        """What can still be used. A very large number where the system does not say."""
        return min(self._read_meminfo(), self._read_group())

    def held_bytes(self, pid: int | None) -> int:
        """What a process and those that it started hold resident; 0 where it is gone."""
        if pid is None:
            return 0
        return sum(self._read_resident(one) for one in (pid, *self._list_children(pid)))

    def _read_meminfo(self) -> int:
        for line in self._read("proc/meminfo").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
        return 1 << 62

    def _read_group(self) -> int:
        """What the control groups allow, of version 2 or 1: each limit on the way up, less what is used and cannot be
        given back."""
        left = 1 << 62
        for base, names, path in self._find_groups():
            for folder in (path, *path.parents):
                left = min(left, self._read_limit(base / folder, names))
        return left

    def _find_groups(self) -> Iterator[tuple[Path, tuple[str, str, str], Path]]:
        base = Path("sys/fs/cgroup")
        for line in self._read("proc/self/cgroup").splitlines():
            _, controllers, path = line.split(":", 2)
            place = Path(path.lstrip("/"))
            if not controllers:
                yield base, ("memory.max", "memory.current", "inactive_file"), place
            elif "memory" in controllers.split(","):
                names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
                yield base / "memory", names, place

    def _read_limit(self, folder: Path, names: tuple[str, str, str]) -> int:
        limit, used = (self._read(str(folder / name)).strip() for name in names[:2])
        if not limit.isdecimal() or not used.isdecimal():
            return 1 << 62
        cache = dict(line.split() for line in self._read(str(folder / "memory.stat")).splitlines())
        return max(0, int(limit) - int(used) + int(cache.get(names[2], 0)))

    def _list_children(self, pid: int) -> list[int]:
        found, waiting = [], [pid]
        while waiting:
            one = waiting.pop()
            below = [int(word) for word in self._read(f"proc/{one}/task/{one}/children").split()]
            found += below
            waiting += below
        return found

    def _read_resident(self, pid: int) -> int:
        """Private and shared pages, shared ones by their part where the system says (`Pss`)."""
        for line in self._read(f"proc/{pid}/smaps_rollup").splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
        for line in self._read(f"proc/{pid}/status").splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        return 0

    def _read(self, path: str) -> str:
        try:
            return (self._root / path).read_text()
        except OSError:
            return ""
