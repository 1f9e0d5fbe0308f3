from __future__ import annotations

import os
import subprocess
import sys

from modelyard.config.schema import ComputeInfo
from modelyard.local.machine import (
    count_cpus,
    list_shortages,
    read_memory_bytes,
    read_memory_of_group_bytes,
    read_peak_memory_bytes,
    show_bytes,
)

GROW = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "x = bytearray(60_000_000); del x; print(flush=True); input()"],
                         stdin=sys.stdin, stdout=subprocess.PIPE)
child.stdout.readline()
print("up", flush=True)
child.wait()
"""


def test_a_machine_that_suffices_is_not_complained_about() -> None:
    assert list_shortages(ComputeInfo(cpu_limit="500m", cpu_memory="64Mi")) == ()
    assert list_shortages(ComputeInfo()) == ()


def test_everything_that_is_short_is_named_with_what_is_there() -> None:
    asked = ComputeInfo(cpu_limit="4096", cpu_memory="64Ti", num_accelerators=64, accelerator_type=("NVIDIA-A10G",))
    cpus, memory, accelerators = list_shortages(asked)
    assert "4096" in cpus
    assert f"has {count_cpus()}" in cpus
    assert show_bytes(read_memory_bytes()) in memory
    assert "NVIDIA-A10G" in accelerators


def test_peak_memory_is_of_the_whole_group_and_stays_when_it_is_given_back() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", GROW], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    )
    try:
        assert process.stdout is not None
        process.stdout.readline()
        assert read_peak_memory_bytes(process.pid) > 60_000_000
        assert read_memory_of_group_bytes(process.pid) < read_peak_memory_bytes(process.pid)
    finally:
        os.killpg(process.pid, 9)
        process.communicate()
    assert read_peak_memory_bytes(process.pid) == 0


def test_sizes_are_shown_as_people_say_them() -> None:
    assert [show_bytes(one) for one in (5, 2048, 38 << 20, 3 << 29)] == ["5 bytes", "2.0 KiB", "38 MiB", "1.5 GiB"]
