"""Processes of servers: started on one core, known with all their children, measured, stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

STOP_TIMEOUT_S = 20
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@contextmanager
def on_core(core: int) -> Iterator[None]:
    """What this thread starts within the block runs on that core."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def list_tree(root: int) -> list[int]:
    """A process and all that it started."""
    return _walk(root, _find_children())


def _find_children() -> dict[int, list[int]]:
    """Of every process, by one look at all of them."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                children.setdefault(_read_stat(int(entry.name)).parent, []).append(int(entry.name))
    return children


def _walk(root: int, children: Mapping[int, Sequence[int]]) -> list[int]:
    found, todo = [], [root]
    while todo:
        found.append(todo.pop())
        todo += children.get(found[-1], [])
    return found


class _Stat:
    def __init__(self, fields: Sequence[str]) -> None:
        self.parent = int(fields[1])
        self.cpu_s = (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def _read_stat(pid: int) -> _Stat:
    return _Stat(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split())


def sum_cpu_s(roots: Iterable[int]) -> float:
    """Seconds of CPU that these trees have used."""
    children = _find_children()
    total = 0.0
    for root in roots:
        for pid in _walk(root, children):
            with suppress(OSError):
                total += _read_stat(pid).cpu_s
    return total


def sum_ran_s(root: int) -> float:
    """Seconds that the threads of a tree have run, to the nanosecond: for short times, in which no thread ends."""
    total = 0
    for pid in list_tree(root):
        with suppress(OSError):
            for thread in Path(f"/proc/{pid}/task").iterdir():
                total += int((thread / "schedstat").read_text().split()[0])
    return total / 1e9


def sum_busy_s() -> float:
    """Seconds that all cores together were not idle, whoever used them."""
    fields = [int(one) for one in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return (sum(fields) - fields[3] - fields[4]) / TICKS_PER_S  # idle, and waiting for a disk


def sum_memory_mb(root: int) -> float:
    """Resident memory of a tree in MB; a page that several processes share is counted once (PSS)."""
    total = 0
    for pid in list_tree(root):
        with suppress(OSError):
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1]) * 1024
    return total / 1e6


def start(command: Sequence[str], *, env: Mapping[str, str], cwd: Path, log: Path) -> subprocess.Popen[bytes]:
    """A server in a session of its own, its output in a file."""
    with log.open("wb") as output:
        return subprocess.Popen(
            command, env=dict(env), cwd=cwd, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )


def signal_tree(root: int, number: signal.Signals) -> None:
    """SIGSTOP holds a server that works while nobody asks it; SIGCONT lets it go on."""
    for pid in list_tree(root):
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def stop(process: subprocess.Popen[bytes]) -> None:
    """SIGTERM to the process; SIGKILL to what is left of its tree after a while."""
    signal_tree(process.pid, signal.SIGCONT)
    tree = list_tree(process.pid)
    process.send_signal(signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(STOP_TIMEOUT_S)
    end = time.monotonic() + 2
    while time.monotonic() < end and any(_is_alive(pid) for pid in tree):
        time.sleep(0.05)
    for pid in tree:
        if _is_alive(pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    process.wait(STOP_TIMEOUT_S)


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
