"""What the strict reader refuses: each hostile or damaged archive with the rule that it breaks, and nothing on disk."""

from __future__ import annotations

import gzip
import tarfile
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest

from modelyard.errors import InvalidArchive
from modelyard.parts.archive import ArchiveLimits, extract_archive

END = bytes(1024)


def member(name: str, content: bytes = b"", **fields: object) -> bytes:
    """One header with its content, made by hand where tarfile would not."""
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for key, value in fields.items():
        setattr(info, key, value)
    padding = bytes(-len(content) % 512)
    return info.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape") + content + padding


def patched(block: bytes, start: int, value: bytes) -> bytes:
    """A header with other bytes and the checksum that fits them."""
    buffer = bytearray(block)
    buffer[start : start + len(value)] = value
    buffer[148:156] = b" " * 8
    buffer[148:156] = b"%06o\0 " % sum(buffer[:512])
    return bytes(buffer)


def pax(**records: str) -> bytes:
    """An extended header."""
    content = b""
    for key, value in records.items():
        rest = f" {key.replace('__', '.')}={value}\n".encode()
        length = len(rest) + 1
        while len(str(length)) + len(rest) != length:
            length += 1
        content += str(length).encode() + rest
    return member("pax", content, type=b"x")


FILE = member("ok.txt", b"content")

TARS: dict[str, tuple[bytes, str]] = {
    "symbolic link": (member("a", type=tarfile.SYMTYPE, linkname="/etc") + END, "symbolic link"),
    "hard link": (FILE + member("a", type=tarfile.LNKTYPE, linkname="ok.txt") + END, "hard link"),
    "character device": (member("a", type=tarfile.CHRTYPE) + END, "character device"),
    "block device": (member("a", type=tarfile.BLKTYPE) + END, "block device"),
    "pipe": (member("a", type=tarfile.FIFOTYPE) + END, "named pipe"),
    "sparse": (member("a", type=b"S") + END, "sparse"),
    "pax sparse": (pax(GNU__sparse__major="1") + FILE + END, "sparse"),
    "unknown kind": (member("a", type=b"Q") + END, "unknown kind"),
    "parent": (member("../a", b"x") + END, "'..'"),
    "parent inside": (member("a/../../b", b"x") + END, "'..'"),
    "parent by pax": (pax(path="../../evil") + FILE + END, "'..'"),
    "absolute": (member("/etc/passwd", b"x") + END, "absolute"),
    "absolute after dot": (member(".//etc/passwd", b"x") + END, "absolute"),
    "empty name": (member("", b"x") + END, "empty names"),
    "dot name inside": (member("a/./b", b"x") + END, "empty names"),
    "file named like a folder": (member("a/", b"x") + END, "empty names"),
    "backslash": (member("a\\b", b"x") + END, "backslash"),
    "control character": (member("a\nb", b"x") + END, "control characters"),
    "direction mark": (member("a\u202egnp.py", b"x") + END, "direction"),
    "decomposed name": (member(unicodedata.normalize("NFD", "é.txt"), b"x") + END, "NFC"),
    "not UTF-8": (member("a\udcff", b"x") + END, "UTF-8"),
    "twice": (FILE + FILE + END, "there twice"),
    "case only": (FILE + member("OK.txt", b"x") + END, "upper and lower case"),
    "case of a folder": (member("a/b", b"x") + member("A/c", b"x") + END, "upper and lower case"),
    "file then folder": (member("a", b"x") + member("a/b", b"x") + END, "there twice"),
    "folder then file": (member("a/b", b"x") + member("a", b"x") + END, "there twice"),
    "top twice": (member("./", type=b"5") * 2 + END, "there twice"),
    "too deep": (member("/".join("a" * 21), b"x") + END, "deeper than 20"),
    "long name": (pax(path="n" * 256) + FILE + END, "longer than 255"),
    "long path": (pax(path="/".join(["n" * 200] * 6)) + FILE + END, "longer than 1024"),
    "negative size": (patched(member("a"), 124, b"\xff" * 12) + END, "negative"),
    "huge size": (patched(member("a"), 124, b"\x80" + b"\x7f" * 11) + END, "too large"),
    "size not octal": (patched(member("a"), 124, b"0000000009x\0") + END, "not a number"),
    "negative pax size": (pax(size="-1") + FILE + END, "not a number"),
    "underscore in pax size": (pax(size="1_0") + FILE + END, "not a number"),
    "beyond the end": (member("a", b"x" * 600)[:1024], "cut off"),
    "folder with content": (patched(member("a", type=b"5"), 124, b"00000001000\0") + bytes(512) + END, "content"),
    "wrong checksum": (b"b" + FILE[1:] + END, "checksum"),
    "old format": (patched(FILE, 257, bytes(8)) + END, "old or unknown"),
    "no end": (FILE, "no end mark"),
    "half an end": (FILE + bytes(512), "incomplete"),
    "data after the end": (FILE + END + FILE + END, "after the archive's end"),
    "one zero block between": (FILE + bytes(512) + member("b") + END, "after the archive's end"),
    "only an extension": (pax(path="a") + END, "before its member"),
    "two extensions": (pax(path="a") + pax(path="b") + FILE + END, "two extension headers"),
    "malformed pax": (member("p", b"99999999 path=a\n", type=b"x") + FILE + END, "malformed"),
    "zero pax length": (member("p", b"0 path=a\n", type=b"x") + FILE + END, "malformed"),
    "pax path twice": (member("p", b"9 path=a\n" * 2, type=b"x") + FILE + END, "twice"),
    "global path": (member("p", b"9 path=a\n", type=b"g") + FILE + END, "for all members"),
    "binary names": (pax(hdrcharset="BINARY") + FILE + END, "UTF-8"),
    "giant extension": (member("p", b"x" * 70_000, type=b"x") + FILE + END, "larger than"),
}


@pytest.mark.parametrize("name", TARS)
def test_hostile_tar_is_refused(name: str, tmp_path: Path) -> None:
    content, rule = TARS[name]
    refuse(gzip.compress(content), rule, tmp_path)


GZIPS: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "cut off": (lambda sound: sound[:-12], "cut off"),
    "without its trailer": (lambda sound: sound[:-8], "cut off"),
    "with half a trailer": (lambda sound: sound[:-3], "cut off"),
    "with a wrong CRC": (lambda sound: sound[:-8] + bytes([sound[-8] ^ 1]) + sound[-7:], "damaged"),
    "with a wrong length": (lambda sound: sound[:-4] + bytes([sound[-4] ^ 1]) + sound[-3:], "damaged"),
    "with garbage after it": (lambda sound: sound + b"garbage", "after the end of the gzip data"),
    "with zeros after it": (lambda sound: sound + bytes(512), "after the end of the gzip data"),
    "of two members": (lambda sound: sound + sound, "after the end of the gzip data"),
    "with a flipped byte": (lambda sound: sound[:30] + bytes([sound[30] ^ 0xFF]) + sound[31:], "archive"),
    "that is a plain tar": (gzip.decompress, "plain tar"),
    "that is empty": (lambda _: b"", "empty"),
    "that is a zip": (lambda _: b"PK\x03\x04" + bytes(600), "not gzip"),
}


@pytest.mark.parametrize("name", GZIPS)
def test_damaged_gzip_is_refused(name: str, tmp_path: Path) -> None:
    damage, rule = GZIPS[name]
    refuse(damage(gzip.compress(FILE + END, mtime=0)), rule, tmp_path)


def test_bomb_is_refused_by_its_ratio_before_it_is_on_disk(tmp_path: Path) -> None:
    limits = ArchiveLimits(ratio_free_bytes=1024 * 1024)
    refuse(gzip.compress(member("zeros", bytes(8 * 1024 * 1024)) + END), "100 times its size", tmp_path, limits)


def test_small_archive_may_have_any_ratio(tmp_path: Path) -> None:
    archive = tmp_path / "a.tar.gz"
    archive.write_bytes(gzip.compress(member("zeros", bytes(8 * 1024 * 1024)) + END))
    assert extract_archive(archive, tmp_path / "out")[0].size_bytes == 8 * 1024 * 1024


def test_total_size_is_limited(tmp_path: Path) -> None:
    limits = ArchiveLimits(max_total_bytes=10)
    refuse(gzip.compress(FILE + member("b", b"content") + END), "larger than 10 bytes together", tmp_path, limits)


def test_number_of_members_is_limited(tmp_path: Path) -> None:
    content = b"".join(member(f"f{number}") for number in range(4))
    refuse(gzip.compress(content + END), "more than 3 files", tmp_path, ArchiveLimits(max_members=3))


def test_refusal_names_the_member(tmp_path: Path) -> None:
    archive = tmp_path / "a.tar.gz"
    archive.write_bytes(gzip.compress(FILE + member("1/x\x1b[31m", b"x") + END))
    with pytest.raises(InvalidArchive) as caught:
        extract_archive(archive, tmp_path / "out")
    assert caught.value.message.startswith("archive member '1/x\\x1b[31m': ")


def refuse(packed: bytes, rule: str, tmp_path: Path, limits: ArchiveLimits | None = None) -> None:
    archive, dest = tmp_path / "a.tar.gz", tmp_path / "inner" / "out"
    archive.write_bytes(packed)
    with pytest.raises(InvalidArchive) as caught:
        extract_archive(archive, dest, limits or ArchiveLimits())
    assert rule in caught.value.message
    assert not dest.exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tar.gz", "inner"]
