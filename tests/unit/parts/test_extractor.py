"""The extractor: the same answers as the reader, from a process of its own."""

from __future__ import annotations

import subprocess
import sys
import tarfile
from io import BytesIO
from pathlib import Path

import pytest

from modelyard.errors import InternalError, InvalidArchive
from modelyard.parts.archive import ArchiveLimits, extract_archive
from modelyard.parts.extractor import extract_in_child


def write_archive(path: Path, name: str = "1/model.py") -> Path:
    with tarfile.open(path, "w:gz") as tar:
        info = tarfile.TarInfo(name)
        info.size = 4
        tar.addfile(info, BytesIO(b"code"))
    return path


def test_child_gives_the_files_that_the_reader_gives(tmp_path: Path) -> None:
    archive = write_archive(tmp_path / "a.tar.gz")
    assert extract_in_child(archive, tmp_path / "one") == extract_archive(archive, tmp_path / "two")
    assert (tmp_path / "one" / "1" / "model.py").read_bytes() == b"code"


def test_refusal_of_the_child_is_told_as_it_is(tmp_path: Path) -> None:
    archive = write_archive(tmp_path / "a.tar.gz", "../evil")
    with pytest.raises(InvalidArchive, match=r"archive member '\.\./evil': a path may not contain"):
        extract_in_child(archive, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_limits_reach_the_child(tmp_path: Path) -> None:
    archive = write_archive(tmp_path / "a.tar.gz")
    with pytest.raises(InvalidArchive, match="larger than 3 bytes"):
        extract_in_child(archive, tmp_path / "out", ArchiveLimits(max_total_bytes=3))


def test_missing_archive_is_our_fault(tmp_path: Path) -> None:
    with pytest.raises(InternalError, match="cannot be read"):
        extract_in_child(tmp_path / "none.tar.gz", tmp_path / "out")


def test_a_folder_that_cannot_be_written_is_our_fault(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InternalError, match="could not be unpacked"):
        extract_in_child(write_archive(tmp_path / "a.tar.gz"), tmp_path / "file" / "out")


def test_the_child_loads_nothing_that_it_does_not_need() -> None:
    code = "import sys, modelyard.parts.extractor as e; print([m for m in sys.modules if m in %r])"
    heavy = ["clarifai_grpc", "google.protobuf", "pathspec", "uv", "yaml", "asyncio", "tarfile"]
    done = subprocess.run([sys.executable, "-c", code % heavy], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"
