"""What the strict reader accepts: everything that GNU tar and Python's tarfile make of files and folders."""

from __future__ import annotations

import gzip
import hashlib
import io
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from modelyard.errors import InternalError, InvalidFolder
from modelyard.parts.archive import ArchiveLimits, extract_archive, pack_folder
from modelyard.parts.files import FileEntry

FORMATS = {"ustar": tarfile.USTAR_FORMAT, "gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    (folder / "1" / "checkpoints").mkdir(parents=True)
    (folder / "1" / "model.py").write_text("class M: ...\n")
    (folder / "1" / "checkpoints" / "weights.bin").write_bytes(bytes(range(256)) * 5000)
    (folder / "config.yaml").write_text("model: {}\n")
    (folder / "requirements.txt").write_bytes(b"")
    (folder / ".hidden").write_text("kept")
    (folder / "run.sh").write_text("#!/bin/sh\n")
    (folder / "run.sh").chmod(0o775)
    return folder


def expect(folder: Path) -> tuple[FileEntry, ...]:
    entries = [
        FileEntry(
            path=path.relative_to(folder).as_posix(),
            digest=hashlib.sha256(path.read_bytes()).hexdigest(),
            size_bytes=path.stat().st_size,
            is_executable=bool(path.stat().st_mode & 0o100),
        )
        for path in folder.rglob("*")
        if path.is_file()
    ]
    return tuple(sorted(entries))


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("arcname", [".", "./", ""])
def test_archives_of_tarfile_in_every_format_are_unpacked(
    folder: Path, tmp_path: Path, form: str, arcname: str
) -> None:
    archive = tmp_path / "model.tar.gz"
    with tarfile.open(archive, "w:gz", format=FORMATS[form]) as tar:
        if arcname:
            tar.add(folder, arcname=arcname)
        else:
            for path in sorted(folder.iterdir()):
                tar.add(path, arcname=f"./{path.name}")
    assert extract_archive(archive, tmp_path / "out") == expect(folder)
    assert expect(tmp_path / "out") == expect(folder)


@pytest.mark.parametrize("form", ["ustar", "gnu", "pax", "posix"])
@pytest.mark.skipif(shutil.which("tar") is None, reason="needs GNU tar")
def test_archives_of_gnu_tar_are_unpacked(folder: Path, tmp_path: Path, form: str) -> None:
    archive = tmp_path / "model.tar.gz"
    (folder / ("d" * 90) / ("e" * 90)).mkdir(parents=True)
    (folder / ("d" * 90) / ("e" * 90) / "deep.txt").write_text("deep")
    subprocess.run(["tar", "--exclude=*~", f"--format={form}", "-czf", archive, "-C", folder, "."], check=True)
    assert extract_archive(archive, tmp_path / "out") == expect(folder)


@pytest.mark.parametrize("form", ["gnu", "pax"])
def test_long_and_foreign_names_are_kept(tmp_path: Path, form: str) -> None:
    names = ["a/" + "n" * 200 + ".txt", "größe-模型-🙂.bin", "x/" * 15 + "deep", "sp ace"]
    archive = tmp_path / "model.tar.gz"
    with tarfile.open(archive, "w:gz", format=FORMATS[form]) as tar:
        for name in names:
            member = tarfile.TarInfo(f"./{name}")
            member.size = 3
            tar.addfile(member, io.BytesIO(b"abc"))
    assert [entry.path for entry in extract_archive(archive, tmp_path / "out")] == sorted(names)
    assert all((tmp_path / "out" / name).read_bytes() == b"abc" for name in names)


def test_modes_are_forced_whatever_the_archive_says(tmp_path: Path) -> None:
    archive = tmp_path / "model.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        for name, mode in (("plain", 0o666), ("script", 0o4777), ("closed", 0o000)):
            member = tarfile.TarInfo(name)
            member.mode = mode
            tar.addfile(member)
        folder = tarfile.TarInfo("folder")
        folder.type, folder.mode = tarfile.DIRTYPE, 0o000
        tar.addfile(folder)
    entries = extract_archive(archive, tmp_path / "out")
    modes = {path.name: path.stat().st_mode & 0o7777 for path in (tmp_path / "out").iterdir()}
    assert modes == {"plain": 0o644, "script": 0o755, "closed": 0o644, "folder": 0o755}
    assert [entry.path for entry in entries if entry.is_executable] == ["script"]


def test_a_size_in_base_256_is_read(tmp_path: Path) -> None:
    buffer = bytearray(tarfile.TarInfo("file").tobuf(tarfile.GNU_FORMAT))
    buffer[124:136] = b"\x80" + (5).to_bytes(11, "big")
    buffer[148:156] = b" " * 8
    buffer[148:156] = b"%06o\0 " % sum(buffer)
    archive = tmp_path / "model.tar.gz"
    archive.write_bytes(gzip.compress(bytes(buffer) + b"hello".ljust(512, b"\0") + bytes(1024)))
    assert extract_archive(archive, tmp_path / "out")[0].size_bytes == 5


def test_what_our_client_packs_is_what_the_reader_unpacks(folder: Path, tmp_path: Path) -> None:
    pack_folder(folder, tmp_path / "model.tar.gz")
    assert extract_archive(tmp_path / "model.tar.gz", tmp_path / "out") == expect(folder)


def test_packing_the_same_files_makes_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "other")
    (tmp_path / "other" / "config.yaml").touch()
    pack_folder(folder, tmp_path / "one.tar.gz")
    pack_folder(tmp_path / "other", tmp_path / "two.tar.gz")
    assert (tmp_path / "one.tar.gz").read_bytes() == (tmp_path / "two.tar.gz").read_bytes()


def test_packing_refuses_what_a_server_would_refuse_all_at_once(folder: Path, tmp_path: Path) -> None:
    (folder / "Config.yaml").write_text("")
    (folder / "a\\b").write_text("")
    with pytest.raises(InvalidFolder) as caught:
        pack_folder(folder, tmp_path / "model.tar.gz", ArchiveLimits(max_total_bytes=1000))
    assert "differ only in upper and lower case" in caught.value.message
    assert "backslash" in caught.value.message
    assert "at most 1000 are allowed" in caught.value.message


def test_a_destination_that_is_not_empty_is_left_alone(folder: Path, tmp_path: Path) -> None:
    pack_folder(folder, tmp_path / "model.tar.gz")
    with pytest.raises(InternalError, match="not empty"):
        extract_archive(tmp_path / "model.tar.gz", folder)
    assert (folder / "config.yaml").exists()
