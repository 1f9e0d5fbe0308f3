"""Environments that nothing uses any more go, and no others."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

import pytest

from modelyard.parts.environment_sweep import sweep_environments

A, B = "a" * 64, "b" * 64
LONG_AGO = time.time() - 7200


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for digest in (A, B):
        (tmp_path / digest / "bin").mkdir(parents=True)
        (tmp_path / digest / ".complete").touch()
        os.utime(tmp_path / digest / ".complete", (LONG_AGO, LONG_AGO))
    for name in (".guards", ".home", ".locks"):
        (tmp_path / name).mkdir()
    return tmp_path


def sweep(root: Path, *live: str, noted_s: float = 0) -> int:
    return sweep_environments(root, set(live), before=time.time() - 3600, noted_s=noted_s)


def test_the_first_round_only_notes(root: Path) -> None:
    assert sweep(root, A, noted_s=60) == 0
    assert (root / ".unused" / B).exists()
    assert not (root / ".unused" / A).exists()
    assert sweep(root, A) == 1
    assert [(root / digest).exists() for digest in (A, B)] == [True, False]
    assert (root / ".home").exists()


def test_what_is_used_again_is_noted_anew(root: Path) -> None:
    sweep(root, noted_s=60)
    assert sweep(root, A, B) == 0
    assert list((root / ".unused").iterdir()) == []


def test_what_a_build_took_lately_stays(root: Path) -> None:
    os.utime(root / B / ".complete")
    assert sweep(root, A) == 0
    assert (root / B / ".complete").exists()


def test_what_is_being_installed_stays(root: Path) -> None:
    (root / B / ".complete").unlink()
    with (root / ".guards" / f"{B}.lock").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        assert sweep(root, A) == 0
        assert (root / B).exists()
    assert sweep(root, A) == 1


def test_no_environments_are_no_problem(tmp_path: Path) -> None:
    assert sweep(tmp_path / "nothing") == 0
