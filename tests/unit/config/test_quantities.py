from __future__ import annotations

import pytest

from modelyard.config.quantities import parse_cpu_millis, parse_memory_bytes
from modelyard.errors import InvalidConfig


@pytest.mark.parametrize(
    ("text", "millis"),
    [
        ("500m", 500),
        ("2", 2000),
        ("0.5", 500),
        (".5", 500),
        ("2.5", 2500),
        ("2.", 2000),
        ("1e1", 10_000),
        ("1k", 1_000_000),
        ("100u", 1),
        ("0.0001", 1),
        ("1Ki", 1_024_000),
    ],
)
def test_amounts_of_cpu_are_read(text: str, millis: int):
    assert parse_cpu_millis(text) == millis


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [
        ("13Gi", 13 * 2**30),
        ("1500Mi", 1500 * 2**20),
        ("1.5Gi", 3 * 2**29),
        ("1G", 10**9),
        ("1K", 1000),
        ("1k", 1000),
        ("128974848", 128974848),
        ("1e3", 1000),
        ("1E3", 1000),
        ("2E", 2 * 10**18),
        ("0.5", 1),
        ("0Gi", 0),
    ],
)
def test_amounts_of_memory_are_read(text: str, size_bytes: int):
    assert parse_memory_bytes(text) == size_bytes


@pytest.mark.parametrize("text", ["", "two", "-1", "1,5", "²", "٣", "1e99", "9" * 40, "1.2.3", "."])
def test_what_is_not_cpu_is_refused_with_examples(text: str):
    with pytest.raises(InvalidConfig, match=r"is not an amount of CPU; use a number of CPUs .*500m"):
        parse_cpu_millis(text)


@pytest.mark.parametrize("text", ["", "lots", "-1Gi", "1e30", "9E99", "16Ei", "1u", "9" * 100_000])
def test_what_is_not_memory_is_refused_with_examples(text: str):
    with pytest.raises(InvalidConfig, match=r"is not an amount of memory; use bytes or .*13Gi") as refused:
        parse_memory_bytes(text)
    assert len(str(refused.value)) < 200


@pytest.mark.parametrize(
    ("text", "meant"),
    [("13GB", "13Gi"), ("13gb", "13Gi"), ("13 Gi", "13Gi"), ("1500m", "1500Mi"), ("2gi", "2Gi"), ("4GiB", "4Gi")],
)
def test_a_common_slip_is_answered_with_what_was_meant(text: str, meant: str):
    with pytest.raises(InvalidConfig, match=rf"did you mean {meant}\?"):
        parse_memory_bytes(text)


@pytest.mark.parametrize(
    ("text", "meant"),
    [("2 cpus", "2"), ("2cpu", "2"), ("4 vCPU", "4"), ("1 core", "1"), ("500 m", "500m"), (" 2", "2")],
)
def test_a_common_slip_of_cpus_is_answered_with_what_was_meant(text: str, meant: str):
    with pytest.raises(InvalidConfig, match=rf"did you mean {meant}\?"):
        parse_cpu_millis(text)
