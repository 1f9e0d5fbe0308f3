"""This machine beside what a folder asks for, and what a run took of it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from modelyard.config.quantities import parse_cpu_millis, parse_memory_bytes
from modelyard.config.schema import ComputeInfo

_NVIDIA = Path("/proc/driver/nvidia/gpus")
_PROC = Path("/proc")


def list_shortages(compute: ComputeInfo) -> tuple[str, ...]:
    """A line for each thing that `inference_compute_info` asks for and this machine lacks."""
    return tuple(_find_shortages(compute, count_cpus(), read_memory_bytes(), count_accelerators()))


def _find_shortages(compute: ComputeInfo, cpus: int, memory_bytes: int, accelerators: int) -> Iterator[str]:
    if compute.cpu_limit and parse_cpu_millis(compute.cpu_limit) > cpus * 1000:
        yield f"cpu_limit asks for {compute.cpu_limit} CPUs, this machine has {cpus}: it will be slower here"
    if compute.cpu_memory and parse_memory_bytes(compute.cpu_memory) > memory_bytes:
        yield f"cpu_memory asks for {compute.cpu_memory}, this machine has {show_bytes(memory_bytes)}"
    if compute.num_accelerators > accelerators:
        kinds = f" ({', '.join(compute.accelerator_type)})" if compute.accelerator_type else ""
        has = f"{accelerators}" if accelerators else "none"
        yield (
            f"num_accelerators asks for {compute.num_accelerators}{kinds}, this machine has {has}: the model runs on "
            "the CPU here, if it can"
        )


def count_cpus() -> int:
    """The CPUs that this process may use."""
    return len(os.sched_getaffinity(0))


def read_memory_bytes() -> int:
    """The memory of this machine."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def count_accelerators() -> int:
    """NVIDIA GPUs that the driver knows."""
    return len(list(_NVIDIA.iterdir())) if _NVIDIA.is_dir() else 0


def read_peak_memory_bytes(process_group: int) -> int:
    """The most memory that each process of a group has had resident, added up. 0 where none is left."""
    return sum(_read_peak(path) for path in _PROC.iterdir() if path.name.isdigit() and _is_in(path, process_group))


def read_memory_of_group_bytes(process_group: int) -> int:
    """The memory that the processes of a group have resident now."""
    return sum(
        _read_size(path, "VmRSS") for path in _PROC.iterdir() if path.name.isdigit() and _is_in(path, process_group)
    )


def show_bytes(count: int) -> str:
    """`1.5 GiB`, `38 MiB`."""
    for unit, size in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if count >= size:
            return f"{count / size:.1f} {unit}" if count < 10 * size else f"{count / size:.0f} {unit}"
    return f"{count} bytes"


def _is_in(process: Path, group: int) -> bool:
    try:
        text = (process / "stat").read_text()
    except OSError:
        return False
    return int(text.rpartition(")")[2].split()[2]) == group


def _read_peak(process: Path) -> int:
    return _read_size(process, "VmHWM")


def _read_size(process: Path, name: str) -> int:
    try:
        found = re.search(rf"^{name}:\s+(\d+) kB", (process / "status").read_text(), re.MULTILINE)
    except OSError:
        return 0
    return int(found[1]) * 1024 if found else 0
