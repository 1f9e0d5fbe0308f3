"""What detectors say of a machine's accelerators: NVIDIA's is asked through a command that stands in for its own."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from modelyard.server.backends.accelerators import Accelerator, AcceleratorDetector
from modelyard.server.backends.nvidia import NvidiaSmi

TABLE = """\
0, GPU-aaaa1111, NVIDIA A10G, 23028
1, GPU-bbbb2222, NVIDIA A10G, 23028
2, GPU-bbbb3333, "NVIDIA L4, small", [N/A]
"""
MakeDetector = Callable[..., AcceleratorDetector]


@pytest.fixture
def detector(tmp_path: Path) -> MakeDetector:
    """A machine where `nvidia-smi` runs this shell text."""

    def make(script: str = f"cat <<'END'\n{TABLE}END\n", **environ: str) -> AcceleratorDetector:
        command = tmp_path / "nvidia-smi"
        command.write_text(f"#!/bin/sh\n{script}\n")
        command.chmod(0o755)
        return NvidiaSmi({"PATH": f"{tmp_path}{os.pathsep}{os.defpath}", **environ})

    return make


def names(found: AcceleratorDetector) -> list[str]:
    return [one.device for one in found.list()]


def test_devices_have_a_name_that_stays_and_their_memory(detector: MakeDetector) -> None:
    first, _, third = detector().list()
    assert first == Accelerator(device="GPU-aaaa1111", name="NVIDIA A10G", memory_bytes=23028 * 1024**2)
    assert (third.name, third.memory_bytes) == ("NVIDIA L4, small", 0)


def test_a_machine_without_a_driver_has_none() -> None:
    assert NvidiaSmi({"PATH": "/nowhere"}).list() == []


@pytest.mark.parametrize("script", ["exit 9", "echo 'No devices were found'", "echo; echo garbage, only", "kill -9 $$"])
def test_a_driver_that_says_nothing_of_use_is_no_hindrance(detector: MakeDetector, script: str) -> None:
    assert detector(script).list() == []


@pytest.mark.parametrize(
    ("visible", "expected"),
    [
        ("1", ["GPU-bbbb2222"]),
        ("1,0", ["GPU-bbbb2222", "GPU-aaaa1111"]),
        ("GPU-aaaa1111", ["GPU-aaaa1111"]),
        ("GPU-aa", ["GPU-aaaa1111"]),
        ("GPU-bbbb", []),
        ("0,7,1", ["GPU-aaaa1111"]),
        ("-1", []),
        ("", []),
    ],
)
def test_only_what_the_operator_lets_it_see_counts(detector: MakeDetector, visible: str, expected: list[str]) -> None:
    assert names(detector(CUDA_VISIBLE_DEVICES=visible)) == expected
