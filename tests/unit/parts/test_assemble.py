"""Three parts become a folder."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from modelyard.errors import InternalError
from modelyard.parts.assemble import assemble
from modelyard.parts.depot import Depot
from modelyard.parts.files import FileEntry, Part


@pytest.fixture
def depot(tmp_path: Path) -> Depot:
    return Depot(tmp_path / "depot")


def add(depot: Depot, **files: bytes) -> str:
    entries = [
        FileEntry(
            path=name.replace("__", "/"),
            digest=depot.add_bytes(content),
            size_bytes=len(content),
            is_executable=content.startswith(b"#!"),
        )
        for name, content in files.items()
    ]
    return depot.add_part(Part(entries))


def test_code_is_copied_and_weights_are_linked(depot: Depot, tmp_path: Path) -> None:
    code = add(depot, **{"1__model.py": b"code", "run.sh": b"#!/bin/sh"})
    weights = add(depot, **{"1__checkpoints__w.bin": b"weights"})
    folder = assemble(depot, code=code, weights=weights, dest=tmp_path / "versions" / "v1")
    model, weight = folder / "1" / "model.py", folder / "1" / "checkpoints" / "w.bin"
    assert (model.read_bytes(), weight.read_bytes()) == (b"code", b"weights")
    assert (model.stat().st_nlink, model.stat().st_mode & 0o777) == (1, 0o644)
    assert (weight.stat().st_nlink, weight.stat().st_mode & 0o777) == (2, 0o444)
    assert (folder / "run.sh").stat().st_mode & 0o777 == 0o755
    model.write_bytes(b"changed by the model itself")
    assert (
        assemble(depot, code=code, weights=weights, dest=tmp_path / "other").joinpath("1/model.py").read_bytes()
        == b"code"
    )


def test_assembling_again_changes_nothing(depot: Depot, tmp_path: Path) -> None:
    code = add(depot, a=b"a")
    folder = assemble(depot, code=code, weights="", dest=tmp_path / "v1")
    inode = folder.stat().st_ino
    assert assemble(depot, code=code, weights="", dest=tmp_path / "v1").stat().st_ino == inode


def test_weights_are_copied_where_they_cannot_be_linked(
    depot: Depot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr("os.link", refuse)
    weights = add(depot, w=b"weights")
    folder = assemble(depot, code=add(depot), weights=weights, dest=tmp_path / "v1")
    assert (folder / "w").read_bytes() == b"weights"
    assert (folder / "w").stat().st_nlink == 1


def test_nothing_appears_when_a_file_is_missing_or_damaged(depot: Depot, tmp_path: Path) -> None:
    code, weights = add(depot, a=b"a"), add(depot, w=b"weights")
    for entry, content in ((depot.get_part(weights).files[0], b"short"), (depot.get_part(code).files[0], b"b")):
        depot.path_of(entry.digest).chmod(0o644)
        depot.path_of(entry.digest).write_bytes(content)
        with pytest.raises(InternalError):
            assemble(depot, code=code, weights=weights, dest=tmp_path / "versions" / "v1")
        assert list((tmp_path / "versions").iterdir()) == []


def test_two_at_once_make_one_folder(depot: Depot, tmp_path: Path) -> None:
    code = add(depot, **{f"f{number}": b"x" * number for number in range(50)})
    with ThreadPoolExecutor(4) as pool:
        tasks = [pool.submit(assemble, depot, code=code, weights="", dest=tmp_path / "v" / "v1") for _ in range(4)]
        assert {task.result() for task in tasks} == {tmp_path / "v" / "v1"}
    assert [path.name for path in (tmp_path / "v").iterdir()] == ["v1"]


def test_leftovers_of_a_killed_process_are_removed(depot: Depot, tmp_path: Path) -> None:
    left = tmp_path / "v" / ".v1.999999999-abc"
    left.mkdir(parents=True)
    assemble(depot, code=add(depot, a=b"a"), weights="", dest=tmp_path / "v" / "v1")
    assert not left.exists()


def test_weights_that_were_written_to_are_not_used_again(depot: Depot, tmp_path: Path) -> None:
    code, weights = add(depot, a=b"a"), add(depot, w=b"weights")
    folder = assemble(depot, code=code, weights=weights, dest=tmp_path / "v" / "v1")
    (folder / "w").chmod(0o644)
    (folder / "w").write_bytes(b"changed")  # and with it the depot's file, which is the same one
    with pytest.raises(InternalError, match="missing or damaged"):
        assemble(depot, code=code, weights=weights, dest=folder)
    depot.add_bytes(b"weights")
    assert (assemble(depot, code=code, weights=weights, dest=folder) / "w").read_bytes() == b"weights"


def test_a_file_that_a_scrub_put_aside_is_not_served_from_an_old_folder(depot: Depot, tmp_path: Path) -> None:
    code, weights = add(depot, a=b"a"), add(depot, w=b"weights")
    folder = assemble(depot, code=code, weights=weights, dest=tmp_path / "v" / "v1")
    entry = depot.get_part(weights).files[0]
    before = (folder / "w").stat()
    (folder / "w").chmod(0o644)
    (folder / "w").write_bytes(b"weightz")
    os.utime(folder / "w", ns=(before.st_atime_ns, before.st_mtime_ns))  # as a disk does it: the time tells nothing
    assert not depot.scrub(entry.digest)
    depot.add_bytes(b"weights")
    assert (assemble(depot, code=code, weights=weights, dest=folder) / "w").read_bytes() == b"weights"


def test_copied_weights_are_used_again(depot: Depot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr("os.link", refuse)
    weights = add(depot, w=b"weights")
    folder = assemble(depot, code=add(depot), weights=weights, dest=tmp_path / "v1")
    inode = folder.stat().st_ino
    assert assemble(depot, code=add(depot), weights=weights, dest=folder).stat().st_ino == inode
