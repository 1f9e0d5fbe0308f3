"""What the machine says of its memory, and what fits into it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from modelyard.server.control.memory import GIB, MachineMemory, Memory, Room


@pytest.mark.parametrize(
    ("asked", "free", "spares", "before", "room"),
    [
        (2, 2, 0, 0, Room.BESIDE),
        (3, 2, 1, 0, Room.WITHOUT_SPARES),
        (3, 2, 1, 4, Room.WITHOUT_SPARES),
        (5, 2, 1, 4, Room.INSTEAD),
        (9, 2, 1, 4, Room.NONE),
        (3, 2, 0, 0, Room.NONE),
    ],
)
def test_the_least_that_has_to_stop_stops(asked: int, free: int, spares: int, before: int, room: Room) -> None:
    assert Memory(asked=asked, free=free, spares=spares, before=before).room is room


def put(root: Path, path: str, text: str) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)


def test_what_the_kernel_can_give_is_free(tmp_path: Path) -> None:
    put(tmp_path, "proc/meminfo", "MemTotal: 8388608 kB\nMemFree: 1 kB\nMemAvailable: 4194304 kB\n")
    assert MachineMemory(tmp_path).free_bytes() == 4 * GIB


def test_a_control_group_of_version_2_and_those_above_it_limit(tmp_path: Path) -> None:
    put(tmp_path, "proc/meminfo", "MemAvailable: 8388608 kB\n")
    put(tmp_path, "proc/self/cgroup", "0::/shop/yard\n")
    put(tmp_path, "sys/fs/cgroup/shop/yard/memory.max", "max\n")
    put(tmp_path, "sys/fs/cgroup/shop/yard/memory.current", "1\n")
    put(tmp_path, "sys/fs/cgroup/shop/memory.max", f"{3 * GIB}\n")
    put(tmp_path, "sys/fs/cgroup/shop/memory.current", f"{2 * GIB}\n")
    put(tmp_path, "sys/fs/cgroup/shop/memory.stat", f"anon 5\ninactive_file {GIB}\n")
    assert MachineMemory(tmp_path).free_bytes() == 2 * GIB


def test_a_control_group_of_version_1_limits(tmp_path: Path) -> None:
    put(tmp_path, "proc/meminfo", "MemAvailable: 8388608 kB\n")
    put(tmp_path, "proc/self/cgroup", "9:name=systemd:/\n4:cpu,memory:/yard\n0::/\n")
    put(tmp_path, "sys/fs/cgroup/memory/yard/memory.limit_in_bytes", f"{3 * GIB}\n")
    put(tmp_path, "sys/fs/cgroup/memory/yard/memory.usage_in_bytes", f"{4 * GIB}\n")
    put(tmp_path, "sys/fs/cgroup/memory/yard/memory.stat", "cache 1\n")
    assert MachineMemory(tmp_path).free_bytes() == 0


def test_a_system_that_says_nothing_sets_no_limit(tmp_path: Path) -> None:
    assert MachineMemory(tmp_path).free_bytes() > 1 << 60


def test_a_process_holds_what_it_holds_with_those_that_it_started() -> None:
    memory = MachineMemory()
    assert memory.free_bytes() > 0
    assert 1 << 20 < memory.held_bytes(os.getpid()) < 1 << 40
    assert memory.held_bytes(None) == 0
    assert memory.held_bytes(1 << 22) == 0
