"""Digests are computed once, and never wrongly remembered."""

from __future__ import annotations

import hashlib
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from modelyard.errors import InvalidFolder
from modelyard.parts.depot import seal
from modelyard.parts.hashes import hash_files


class Folder:
    """Files that were there for a while, and how much of them is read."""

    def __init__(self, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.place = place / "folder"
        self.place.mkdir()
        self.cache = place / "cache"
        self.read = 0
        self.ahead_s = 0.0
        real = time.time_ns
        monkeypatch.setattr("modelyard.parts.hashes.time.time_ns", lambda: real() + int(self.ahead_s * 1e9))

    def write(self, name: str, content: bytes) -> None:
        (self.place / name).write_bytes(content)

    def hash(self, *names: str) -> list[str]:
        self.read = 0
        entries = hash_files(self.place, [Path(one) for one in names], cache_dir=self.cache, on_bytes=self._count)
        return [entry.digest for entry in entries]

    def _count(self, size: int) -> None:
        self.read += size


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    made = Folder(tmp_path, monkeypatch)
    made.ahead_s = 10
    return made


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_a_file_is_read_once(folder: Folder) -> None:
    folder.write("a", b"content")
    assert folder.hash("a") == [digest(b"content")]
    assert folder.read == 7
    assert folder.hash("a") == [digest(b"content")]
    assert folder.read == 0


def test_an_edit_of_the_same_size_with_the_same_time_is_seen(folder: Folder) -> None:
    folder.write("a", b"content")
    folder.hash("a")
    before = (folder.place / "a").stat()
    folder.write("a", b"another")
    os.utime(folder.place / "a", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert folder.hash("a") == [digest(b"another")]


def test_another_file_under_the_name_is_read(folder: Folder) -> None:
    folder.write("a", b"content")
    folder.hash("a")
    folder.write("b", b"another")
    (folder.place / "b").replace(folder.place / "a")
    assert folder.hash("a") == [digest(b"another")]


def test_what_was_written_a_moment_ago_is_read_again(folder: Folder) -> None:
    folder.ahead_s = 0
    folder.write("a", b"content")
    folder.hash("a")
    assert folder.hash("a") == [digest(b"content")]
    assert folder.read == 7


def test_a_sealed_file_is_read_once_whatever_links_and_looks_do_to_its_inode(folder: Folder) -> None:
    folder.ahead_s = 0
    folder.write("a", b"content")
    seal(folder.place / "a", digest(b"content"))
    folder.hash("a")
    os.link(folder.place / "a", folder.place / "b")  # changes the inode's time
    assert folder.hash("a") == [digest(b"content")]
    assert folder.read == 0
    (folder.place / "a").chmod(0o644)
    folder.write("a", b"another")
    assert folder.hash("a") == [digest(b"another")]


def test_a_record_that_is_damaged_is_none(folder: Folder) -> None:
    folder.write("a", b"content")
    folder.hash("a")
    (record,) = (folder.cache / "hashes").iterdir()
    for content in (b"", b"[]", b'{"a": 3}', b'{"a": []}', b"\xff"):
        record.write_bytes(content)
        assert folder.hash("a") == [digest(b"content")]


def test_a_cache_that_cannot_be_written_is_none(folder: Folder) -> None:
    folder.cache.write_text("a file where the folder would be")
    folder.write("a", b"content")
    assert folder.hash("a") == [digest(b"content")]


def test_several_at_once_agree(folder: Folder) -> None:
    names = [str(number) for number in range(20)]
    for name in names:
        folder.write(name, name.encode())
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: folder.hash(*names), range(8)))
    assert found == [[digest(name.encode()) for name in names]] * 8


def test_a_file_that_is_gone_is_named(folder: Folder) -> None:
    with pytest.raises(InvalidFolder, match="gone cannot be read: No such file"):
        folder.hash("gone")


def test_modes_and_sizes_come_along(folder: Folder) -> None:
    folder.write("run.sh", b"#!/bin/sh\n")
    (folder.place / "run.sh").chmod(0o755)
    (entry,) = hash_files(folder.place, [Path("run.sh")], cache_dir=folder.cache)
    assert entry.is_executable
    assert entry.size_bytes == 10
