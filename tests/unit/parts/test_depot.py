"""The depot: content under its digest, verified, whoever puts it there."""

from __future__ import annotations

import hashlib
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from modelyard.errors import InternalError
from modelyard.parts.depot import Depot, Swept, has_seal, seal
from modelyard.parts.files import FileEntry, Part


@pytest.fixture
def depot(tmp_path: Path) -> Depot:
    return Depot(tmp_path / "depot")


def write(path: Path, content: bytes) -> tuple[Path, str]:
    path.write_bytes(content)
    return path, hashlib.sha256(content).hexdigest()


def damage(depot: Depot, digest: str) -> None:
    depot.path_of(digest).chmod(0o644)
    depot.path_of(digest).write_bytes(b"other")


def test_what_is_added_can_be_read(depot: Depot) -> None:
    digest = depot.add_bytes(b"hello")
    assert depot.has(digest)
    assert depot.read(digest) == b"hello"
    assert depot.path_of(digest).parts[-4:] == ("blobs", "sha256", digest[:2], digest)


def test_adopted_file_moves_in_and_is_read_only(depot: Depot, tmp_path: Path) -> None:
    path, digest = write(tmp_path / "f", b"content")
    depot.adopt(path, digest)
    assert not path.exists()
    assert depot.path_of(digest).stat().st_mode & 0o777 == 0o444


def test_adopting_twice_keeps_one_file(depot: Depot, tmp_path: Path) -> None:
    for _ in range(2):
        path, digest = write(tmp_path / "f", b"content")
        inode = depot.path_of(digest).stat().st_ino if depot.has(digest) else None
        depot.adopt(path, digest)
        assert inode in (None, depot.path_of(digest).stat().st_ino)
    assert not path.exists()


def test_many_threads_may_adopt_the_same_content(depot: Depot, tmp_path: Path) -> None:
    content = os.urandom(200_000)
    files = [write(tmp_path / str(number), content) for number in range(16)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda one: depot.adopt(*one), files))
    assert depot.read(files[0][1]) == content


def test_wrong_digest_is_refused_and_nothing_is_kept(depot: Depot, tmp_path: Path) -> None:
    path, _ = write(tmp_path / "f", b"content")
    other = hashlib.sha256(b"other").hexdigest()
    with pytest.raises(InternalError, match=other):
        depot.adopt(path, other)
    assert path.exists()
    assert not depot.has(other)


def test_damaged_file_is_never_handed_out(depot: Depot, tmp_path: Path) -> None:
    digest = depot.add_bytes(b"hello")
    damage(depot, digest)
    with pytest.raises(InternalError, match=digest):
        depot.read(digest)
    with pytest.raises(InternalError, match=digest):
        depot.verify(digest)
    with pytest.raises(InternalError, match=digest):
        depot.copy_out(digest, tmp_path / "copy", mode=0o644)
    assert not (tmp_path / "copy").exists()


def test_uploading_again_heals_a_damaged_file(depot: Depot, tmp_path: Path) -> None:
    digest = depot.add_bytes(b"hello")
    damage(depot, digest)
    depot.adopt(*write(tmp_path / "f", b"hello"))
    assert depot.read(digest) == b"hello"


def test_missing_file_is_named(depot: Depot) -> None:
    digest = "0" * 64
    with pytest.raises(InternalError, match=f"no file sha256:{digest}"):
        depot.read(digest)


@pytest.mark.parametrize("digest", ["", "../../etc/passwd", "A" * 64, "0" * 63])
def test_what_is_no_digest_never_becomes_a_path(depot: Depot, digest: str) -> None:
    with pytest.raises(InternalError, match="not a sha256"):
        depot.path_of(digest)


def test_parts_come_back_as_they_went_in(depot: Depot) -> None:
    part = Part([FileEntry(path="ö", digest="1" * 64, size_bytes=1, is_executable=True)])
    assert depot.get_part(depot.add_part(part)) == part


def test_leftovers_of_a_crash_are_removed_at_the_next_start(depot: Depot, tmp_path: Path) -> None:
    folder, now = tmp_path / "depot" / "tmp", int(time.time())
    old, older, new = folder / f"{now - 7200}-a", folder / "of an earlier release", folder / f"{now - 60}-b"
    for path in (old, older, new):
        path.write_text("")
        seal(path, "0" * 64)
    Depot(tmp_path / "depot")
    assert not old.exists()
    assert not older.exists()
    assert new.exists()


def test_a_sound_file_is_kept_by_one_look_and_a_changed_one_is_read_again(depot: Depot) -> None:
    digest = depot.add_bytes(b"hello")
    depot.path_of(digest).chmod(0)  # whoever read it through would fail, were it not root
    assert depot.keep(digest, 5)
    assert not depot.keep(digest, 6)
    damage(depot, digest)
    assert not depot.keep(digest, 5)
    assert not depot.keep("0" * 64, 5)


def test_a_broken_seal_is_mended_where_the_content_is_right(depot: Depot) -> None:
    digest = depot.add_bytes(b"hello")
    os.utime(depot.path_of(digest))
    assert not has_seal(depot.path_of(digest), digest)
    assert depot.keep(digest, 5)
    assert has_seal(depot.path_of(digest), digest)


def test_two_contents_of_one_size_have_two_times(depot: Depot) -> None:
    times = {depot.path_of(depot.add_bytes(bytes([one]))).stat().st_mtime_ns for one in range(50)}
    assert len(times) == 50


def test_what_was_not_hashed_as_it_came_is_read_whatever_the_caller_says(depot: Depot, tmp_path: Path) -> None:
    path, _ = write(tmp_path / "f", b"content")
    with pytest.raises(InternalError, match="does not have the content"):
        depot.adopt_all([(path, "0" * 64)], is_verified=True)


def test_a_sweep_removes_what_nothing_uses_and_nobody_took_lately(depot: Depot) -> None:
    live, dead, taken = (depot.add_bytes(one) for one in (b"live", b"dead", b"taken"))
    before = time.time() + 0.01
    assert depot.sweep({live}, before=before - 3600) == Swept()
    while time.time() <= before + 0.01:
        time.sleep(0.005)
    assert depot.keep(taken, 5)
    assert depot.sweep({live}, before=before) == Swept(files=1, size_bytes=4)
    assert [depot.has(one) for one in (live, dead, taken)] == [True, False, True]


def test_a_scrub_puts_a_damaged_file_aside_and_an_upload_heals_it(depot: Depot, tmp_path: Path) -> None:
    digest = depot.add_bytes(b"hello")
    path = depot.path_of(digest)
    seal_time = path.stat().st_mtime_ns
    damage(depot, digest)
    path.write_bytes(b"hellp")
    os.utime(path, ns=(seal_time, seal_time))  # as a disk does it: the time tells nothing
    assert depot.keep(digest, 5)
    assert not depot.scrub(digest)
    assert not depot.has(digest)
    assert (depot.root / "damaged" / digest).read_bytes() == b"hellp"
    assert depot.scrub(digest)
    depot.adopt(*write(tmp_path / "f", b"hello"))
    assert depot.read(digest) == b"hello"
