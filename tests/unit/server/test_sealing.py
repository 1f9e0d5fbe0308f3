from __future__ import annotations

import os
from pathlib import Path

import pytest

from modelyard.errors import InternalError
from modelyard.server.sealing import Sealer


def test_a_secret_is_opened_by_a_later_process_for_its_owner_alone(tmp_path: Path) -> None:
    sealed = Sealer(tmp_path).seal("hf_secret", owner="v1")
    assert b"hf_secret" not in sealed
    assert Sealer(tmp_path).open(sealed, owner="v1") == "hf_secret"
    with pytest.raises(InternalError, match="cannot be opened"):
        Sealer(tmp_path).open(sealed, owner="v2")


def test_nothing_stays_nothing(tmp_path: Path) -> None:
    sealer = Sealer(tmp_path)
    assert sealer.seal("", owner="v1") == b""
    assert sealer.open(b"", owner="v1") == ""


def test_the_same_secret_is_sealed_differently_each_time(tmp_path: Path) -> None:
    sealer = Sealer(tmp_path)
    assert sealer.seal("s", owner="v1") != sealer.seal("s", owner="v1")


def test_a_new_key_seals_and_the_old_one_still_opens(tmp_path: Path) -> None:
    before = Sealer(tmp_path).seal("old", owner="v1")
    (tmp_path / "sealing-key-2").write_bytes(os.urandom(32))
    sealer = Sealer(tmp_path)
    after = sealer.seal("new", owner="v1")
    assert (before[0], after[0]) == (1, 2)
    assert (sealer.open(before, owner="v1"), sealer.open(after, owner="v1")) == ("old", "new")


def test_a_missing_key_is_named(tmp_path: Path) -> None:
    sealed = Sealer(tmp_path).seal("s", owner="v1")
    (tmp_path / "sealing-key-1").rename(tmp_path / "sealing-key-2")
    with pytest.raises(InternalError, match="sealed with key 1, which is not there"):
        Sealer(tmp_path).open(sealed, owner="v1")


def test_key_files_are_private_and_checked(tmp_path: Path) -> None:
    Sealer(tmp_path)
    path = tmp_path / "sealing-key-1"
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_bytes(b"short")
    with pytest.raises(InternalError, match="holds 5 bytes instead of 32"):
        Sealer(tmp_path)
