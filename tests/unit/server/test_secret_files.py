"""Secrets on disk: readable by their owner only, whole or not there."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from modelyard.errors import InternalError
from modelyard.server.secret_files import PEPPER_BYTES, load_pepper, write_private


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_secret_is_readable_by_its_owner_only_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        write_private(tmp_path / "secrets" / "token", b"text")
    finally:
        os.umask(before)
    assert (tmp_path / "secrets" / "token").read_bytes() == b"text"
    assert mode_of(tmp_path / "secrets" / "token") == 0o600
    assert mode_of(tmp_path / "secrets") == 0o700


def test_what_a_crash_left_lends_its_mode_to_nothing(tmp_path: Path) -> None:
    left = tmp_path / "token.partial"
    left.write_bytes(b"longer than the new one")
    left.chmod(0o666)
    write_private(tmp_path / "token", b"new")
    assert (tmp_path / "token").read_bytes() == b"new"
    assert mode_of(tmp_path / "token") == 0o600
    assert not left.exists()


def test_a_link_in_the_place_of_the_partial_file_is_not_followed(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(b"mine")
    (tmp_path / "token.partial").symlink_to(elsewhere)
    write_private(tmp_path / "token", b"secret")
    assert elsewhere.read_bytes() == b"mine"
    assert (tmp_path / "token").read_bytes() == b"secret"
    assert not (tmp_path / "token").is_symlink()


def test_a_partial_write_is_never_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "token"
    write_private(path, b"old")

    def fail(_descriptor: int) -> None:
        assert path.read_bytes() == b"old"
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="no space"):
        write_private(path, b"new")
    assert path.read_bytes() == b"old"
    monkeypatch.undo()
    write_private(path, b"newer")
    assert path.read_bytes() == b"newer"


def test_the_pepper_is_made_once(tmp_path: Path) -> None:
    pepper = load_pepper(tmp_path)
    assert len(pepper) == PEPPER_BYTES
    assert load_pepper(tmp_path) == pepper
    assert mode_of(tmp_path / "pepper") == 0o600
    assert load_pepper(tmp_path / "other") != pepper


@pytest.mark.parametrize("size", [0, PEPPER_BYTES - 1, PEPPER_BYTES + 1])
def test_a_pepper_of_another_size_is_refused_and_kept(tmp_path: Path, size: int) -> None:
    (tmp_path / "pepper").write_bytes(b"x" * size)
    with pytest.raises(InternalError, match=f"{size} bytes instead of 32") as caught:
        load_pepper(tmp_path)
    assert "backup" in str(caught.value)
    assert (tmp_path / "pepper").stat().st_size == size
