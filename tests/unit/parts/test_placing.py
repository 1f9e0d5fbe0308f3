from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from modelyard.errors import CheckpointsFailed
from modelyard.parts.checkpoint import MARKER, Checkpoint
from modelyard.parts.code import list_files
from modelyard.parts.depot import Depot
from modelyard.parts.files import FileEntry, Part
from modelyard.parts.weights import is_weight, place
from support.checkpoints import make_weights

WEIGHTS = make_weights(10_000)
FILES = {"config.json": b"{}", "sub/model.safetensors": WEIGHTS}


@pytest.fixture
def depot(tmp_path: Path) -> Depot:
    return Depot(tmp_path / "depot")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "model" / "1").mkdir(parents=True)
    (tmp_path / "model" / "1" / "model.py").write_text("")
    return tmp_path / "model"


def make(depot: Depot, files: dict[str, bytes], revision: str = "a" * 40) -> Checkpoint:
    entries = [
        FileEntry(path=f"1/checkpoints/{path}", digest=depot.add_bytes(content), size_bytes=len(content))
        for path, content in files.items()
    ]
    return Checkpoint(repo_id="owner/name", revision=revision, part=Part(entries))


def read(folder: Path) -> dict[str, bytes]:
    top = folder / "1" / "checkpoints"
    return {
        str(path.relative_to(top)): path.read_bytes()
        for path in top.rglob("*")
        if path.is_file() and path.name != ".modelyard.json"
    }


def test_files_are_read_only_links_to_the_depot(depot: Depot, folder: Path) -> None:
    checkpoint = make(depot, FILES)
    place(depot, checkpoint, folder)
    assert read(folder) == FILES
    for entry in checkpoint.part.files:
        placed = folder / entry.path
        assert placed.samefile(depot.path_of(entry.digest))
        assert placed.stat().st_mode & 0o777 == 0o444


def test_a_marker_names_the_commit_and_is_no_part_of_the_model(depot: Depot, folder: Path) -> None:
    place(depot, make(depot, FILES), folder)
    told = json.loads((folder / MARKER).read_bytes())
    assert (told["repo_id"], told["revision"]) == ("owner/name", "a" * 40)
    listed = [path.as_posix() for path in list_files(folder)]
    assert listed == ["1/checkpoints/config.json", "1/checkpoints/sub/model.safetensors", "1/model.py"]
    assert [path for path in listed if not is_weight(path)] == ["1/model.py"]


def test_placing_again_changes_nothing(depot: Depot, folder: Path) -> None:
    checkpoint = make(depot, FILES)
    place(depot, checkpoint, folder)
    before = {path: path.stat().st_ctime_ns for path in sorted(folder.rglob("*"))}
    place(depot, checkpoint, folder)
    assert {path: path.stat().st_ctime_ns for path in sorted(folder.rglob("*"))} == before


def test_a_deleted_file_comes_back(depot: Depot, folder: Path) -> None:
    checkpoint = make(depot, FILES)
    place(depot, checkpoint, folder)
    (folder / "1/checkpoints/config.json").unlink()
    place(depot, checkpoint, folder)
    assert read(folder) == FILES


def test_another_commit_takes_the_place_of_the_one_before(depot: Depot, folder: Path) -> None:
    place(depot, make(depot, FILES), folder)
    place(depot, make(depot, {"config.json": b"[]", "new.txt": b"n"}, "b" * 40), folder)
    assert read(folder) == {"config.json": b"[]", "new.txt": b"n"}
    assert not (folder / "1/checkpoints/sub").exists()


def test_an_authors_own_files_stay_and_are_told(depot: Depot, folder: Path) -> None:
    own = folder / "1/checkpoints"
    own.mkdir()
    (own / "config.json").write_bytes(b"mine")
    (own / "notes.txt").write_bytes(b"my notes")
    lines: list[str] = []
    place(depot, make(depot, FILES), folder, lines.append)
    place(depot, make(depot, {"other": b"o"}, "b" * 40), folder, lines.append)
    assert read(folder) == {"config.json": b"mine", "notes.txt": b"my notes", "other": b"o"}
    assert len(lines) == 1
    assert lines[0].startswith("Warning: your own 1/checkpoints/config.json stayed as they are")


def test_a_placed_file_that_was_replaced_is_the_authors(depot: Depot, folder: Path) -> None:
    place(depot, make(depot, FILES), folder)
    changed = folder / "1/checkpoints/config.json"
    changed.unlink()
    changed.write_bytes(b"tuned")
    lines: list[str] = []
    place(depot, make(depot, FILES), folder, lines.append)
    place(depot, make(depot, {}, "b" * 40), folder, lines.append)
    assert read(folder) == {"config.json": b"tuned"}
    assert len(lines) >= 1


def test_a_file_that_was_changed_in_place_is_found_out_and_fetched_anew(depot: Depot, folder: Path) -> None:
    checkpoint = make(depot, FILES)
    place(depot, checkpoint, folder)
    changed = folder / "1/checkpoints/sub/model.safetensors"
    changed.chmod(0o644)
    changed.write_bytes(b"\0" * len(WEIGHTS))
    with pytest.raises(CheckpointsFailed, match="was changed in place") as caught:
        place(depot, checkpoint, folder)
    assert "run the command again" in caught.value.hint
    assert not depot.has(checkpoint.part.files[1].digest)


def test_a_touched_file_is_as_good_as_before(depot: Depot, folder: Path) -> None:
    checkpoint = make(depot, FILES)
    place(depot, checkpoint, folder)
    os.utime(folder / "1/checkpoints/config.json")
    place(depot, checkpoint, folder)
    place(depot, make(depot, {}, "b" * 40), folder)
    assert read(folder) == {}


def test_the_same_file_fetched_by_other_means_is_linked(depot: Depot, folder: Path) -> None:
    own = folder / "1/checkpoints/sub"
    own.mkdir(parents=True)
    (own / "model.safetensors").write_bytes(WEIGHTS)
    lines: list[str] = []
    checkpoint = make(depot, FILES)
    place(depot, checkpoint, folder, lines.append)
    assert (own / "model.safetensors").samefile(depot.path_of(checkpoint.part.files[1].digest))
    assert lines == []


def test_a_crash_in_the_middle_leaves_nothing_that_is_nobodys(
    depot: Depot, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place(depot, make(depot, {"old.txt": b"o"}), folder)

    def crash(*_paths: object, **_options: object) -> None:
        raise KeyboardInterrupt

    checkpoint = make(depot, FILES, "b" * 40)
    with monkeypatch.context() as patch:
        patch.setattr(os, "link", crash)
        with pytest.raises(KeyboardInterrupt):
            place(depot, checkpoint, folder)
    place(depot, checkpoint, folder)
    assert read(folder) == FILES


@pytest.mark.parametrize("name", ["1/checkpoints", "1/checkpoints/sub"])
def test_nothing_is_written_through_a_link(depot: Depot, folder: Path, tmp_path: Path, name: str) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).symlink_to(elsewhere)
    with pytest.raises(CheckpointsFailed, match=f"{name} in the model folder is a link"):
        place(depot, make(depot, FILES), folder)
    assert list(elsewhere.iterdir()) == []


def test_a_link_of_the_authors_to_a_file_stays(depot: Depot, folder: Path, tmp_path: Path) -> None:
    (folder / "1/checkpoints").mkdir()
    (tmp_path / "own.json").write_bytes(b"mine")
    (folder / "1/checkpoints/config.json").symlink_to(tmp_path / "own.json")
    lines: list[str] = []
    place(depot, make(depot, FILES), folder, lines.append)
    assert (tmp_path / "own.json").read_bytes() == b"mine"
    assert (folder / "1/checkpoints/config.json").is_symlink()
    assert len(lines) == 1


def test_a_file_in_the_way_of_a_folder_is_told(depot: Depot, folder: Path) -> None:
    (folder / "1/checkpoints").write_text("")
    with pytest.raises(CheckpointsFailed, match="1/checkpoints in the model folder is a file"):
        place(depot, make(depot, FILES), folder)


def test_other_disks_get_copies(tmp_path: Path, depot: Depot, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_paths: object, **_options: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    checkpoint = make(depot, FILES)
    with monkeypatch.context() as patch:
        patch.setattr(os, "link", refuse)
        place(depot, checkpoint, folder)
        placed = folder / "1/checkpoints/config.json"
        before = placed.stat()
        assert not placed.samefile(depot.path_of(checkpoint.part.files[0].digest))
        assert before.st_mode & 0o777 == 0o444
        place(depot, checkpoint, folder)
        assert placed.stat().st_ino == before.st_ino
        place(depot, make(depot, {"new": b"n"}, "b" * 40), folder)
    assert read(folder) == {"new": b"n"}


def test_a_folder_that_takes_no_files_is_told(depot: Depot, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_paths: object, **_options: object) -> None:
        raise PermissionError(13, "Permission denied", "somewhere")

    monkeypatch.setattr(os, "link", refuse)
    with pytest.raises(CheckpointsFailed, match="cannot be put into 1/checkpoints: Permission denied"):
        place(depot, make(depot, FILES), folder)


def test_a_cache_that_lost_a_file_is_told(depot: Depot, folder: Path) -> None:
    checkpoint = make(depot, FILES)
    depot.path_of(checkpoint.part.files[0].digest).unlink()
    with pytest.raises(CheckpointsFailed, match=r"config\.json is not in the cache"):
        place(depot, checkpoint, folder)


@pytest.mark.parametrize(
    "content", [b"{", b"[]", b'{"files": 3}', b'{"files": {"1/checkpoints/a": 1}, "repo_id": "", "revision": ""}']
)
def test_a_damaged_marker_makes_files_the_authors(depot: Depot, folder: Path, content: bytes) -> None:
    checkpoint = make(depot, FILES)
    place(depot, checkpoint, folder)
    (folder / MARKER).write_bytes(content)
    place(depot, checkpoint, folder)
    assert read(folder) == FILES


def test_a_marker_cannot_make_other_files_go(depot: Depot, folder: Path, tmp_path: Path) -> None:
    place(depot, make(depot, FILES), folder)
    outside = tmp_path / "keep.txt"
    outside.write_bytes(b"k")
    (folder / "1/checkpoints/away").symlink_to(tmp_path)
    status = outside.stat()
    told = json.loads((folder / MARKER).read_bytes())
    for path in ("1/checkpoints/../../../keep.txt", "../keep.txt", "1/checkpoints/away/keep.txt"):
        told["files"][path] = [status.st_size, status.st_mtime_ns]
    (folder / MARKER).write_text(json.dumps(told))
    place(depot, make(depot, {"new": b"n"}, "b" * 40), folder)
    assert outside.exists()
