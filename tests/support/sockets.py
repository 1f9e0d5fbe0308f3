"""Who listens and who is connected, read from the kernel."""

from __future__ import annotations

from pathlib import Path

LISTEN, ESTABLISHED = "0A", "01"


def _rows() -> list[tuple[int, str, str]]:
    """Local port, state and inode of every TCP socket."""
    rows = []
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            fields = line.split()
            rows.append((int(fields[1].rpartition(":")[2], 16), fields[3], fields[9]))
    return rows


def _inodes(pid: int) -> set[str]:
    """The sockets that a process holds."""
    found = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = str(descriptor.readlink())
        except OSError:
            continue
        if target.startswith("socket:["):
            found.add(target[8:-1])
    return found


def listening_ports(pid: int) -> set[int]:
    """The TCP ports that a process listens on."""
    held = _inodes(pid)
    return {port for port, state, inode in _rows() if state == LISTEN and inode in held}


def count_connections(pid: int, port: int) -> int:
    """How many connections to its port a process has accepted and still holds."""
    held = _inodes(pid)
    return len({inode for local, state, inode in _rows() if local == port and state == ESTABLISHED and inode in held})


def children_of(pid: int) -> list[int]:
    """Processes that this one started and that still run."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return [int(child) for task in tasks for child in (task / "children").read_text().split()]


def command_of(pid: int) -> str:
    """Its command line; empty for one that has gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


def resident_bytes(pid: int, name: str = "") -> int:
    """The memory of a process; 0 where it has gone, or its command line lacks `name`."""
    if name not in command_of(pid):
        return 0
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS"))
