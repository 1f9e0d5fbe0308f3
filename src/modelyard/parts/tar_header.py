"""One 512-byte header of a tar archive, and the pax records that may stand before it. Pure: bytes in, values out."""

from __future__ import annotations

from dataclasses import dataclass

from modelyard.errors import InvalidArchive

BLOCK_BYTES = 512
MAX_SIZE_BYTES = 2**62

POSIX_MAGIC = b"ustar\x0000"
GNU_MAGIC = b"ustar  \x00"

FILE_KINDS = frozenset({b"0", b"\0"})
FOLDER_KIND = b"5"
PAX_KIND, PAX_GLOBAL_KIND, GNU_NAME_KIND = b"x", b"g", b"L"
REFUSED_KINDS = {
    b"1": "is a hard link",
    b"2": "is a symbolic link",
    b"3": "is a character device",
    b"4": "is a block device",
    b"6": "is a named pipe",
    b"7": "is a contiguous file",
    b"K": "is a link with a long target",
    b"S": "is a sparse file",
    b"M": "goes on from another archive",
    b"V": "is a volume label",
    b"D": "is a dumped directory",
}
_PAX_CHARSETS = frozenset({"ISO-IR 10646 2000 UTF-8"})


@dataclass(frozen=True, kw_only=True)
class Header:
    """What a header says."""

    kind: bytes
    name: bytes
    size_bytes: int
    mode: int


def read_header(block: bytes) -> Header:
    """Read one header block.

    Raises:
        InvalidArchive: The checksum, the format or a number is wrong.
    """
    _check_sum(block)
    magic = block[257:265]
    if magic not in (POSIX_MAGIC, GNU_MAGIC):
        raise InvalidArchive("a header of the archive is in an old or unknown tar format; use ustar, GNU or pax")
    name = _read_text(block[0:100])
    prefix = _read_text(block[345:500]) if magic == POSIX_MAGIC else b""
    return Header(
        kind=block[156:157],
        name=prefix + b"/" + name if prefix else name,
        size_bytes=_read_number(block[124:136], "size"),
        mode=_read_number(block[100:108], "mode"),
    )


def read_pax(content: bytes, *, is_global: bool) -> dict[str, str]:
    """The records that matter: `path` and `size`. Others (times, owners, comments) say nothing about content.

    Raises:
        InvalidArchive: A record is malformed, or describes something that is neither file nor directory.
    """
    found: dict[str, str] = {}
    rest = content
    while rest:
        key, value, rest = _take_record(rest)
        if key.startswith("GNU.sparse") or key == "linkpath":
            raise InvalidArchive(f"a pax header of the archive has {key!r}: links and sparse files are not allowed")
        if key == "hdrcharset" and value not in _PAX_CHARSETS:
            raise InvalidArchive("names in the archive must be UTF-8")
        if key in ("path", "size"):
            if key in found or is_global:
                raise InvalidArchive(f"a pax header of the archive sets {key!r} twice, or for all members")
            found[key] = value
    return found


def read_pax_size(value: str) -> int:
    """The `size` of a pax header, bytes."""
    if not (value.isascii() and value.isdigit() and len(value) < 20):
        raise InvalidArchive(f"a pax header of the archive has a size that is not a number: {value[:40]!r}")
    return int(value)


def _check_sum(block: bytes) -> None:
    expected = sum(block) - sum(block[148:156]) + 8 * ord(" ")
    if _read_number(block[148:156], "checksum") != expected:
        raise InvalidArchive("a header of the archive has a wrong checksum: it is damaged, or not a tar archive")


def _read_text(field: bytes) -> bytes:
    return field.split(b"\0", 1)[0]


def _read_number(field: bytes, name: str) -> int:
    """Octal digits, or GNU's base-256 for what does not fit; never negative."""
    if field[0] == 0x80:
        number = int.from_bytes(field[1:], "big")
    elif field[0] & 0x80:
        raise InvalidArchive(f"a header of the archive has a negative or malformed {name}")
    else:
        digits = field.split(b"\0", 1)[0].strip(b" ")
        if digits.strip(b"01234567"):
            raise InvalidArchive(f"a header of the archive has a {name} that is not a number")
        number = int(digits, 8) if digits else 0
    if number > MAX_SIZE_BYTES:
        raise InvalidArchive(f"a header of the archive has a {name} that is too large")
    return number


def _take_record(rest: bytes) -> tuple[str, str, bytes]:
    """`LENGTH KEY=VALUE\\n`, where the length counts the whole record."""
    digits, space, _ = rest[:20].partition(b" ")
    length = int(digits) if space and digits.isdigit() and len(digits) < 8 else 0
    record = rest[:length]
    if length <= len(digits) + 1 or len(record) != length or not record.endswith(b"\n"):
        raise InvalidArchive("a pax header of the archive is malformed")
    key, equals, value = record[len(digits) + 1 : -1].partition(b"=")
    try:
        decoded = key.decode(), value.decode()
    except UnicodeDecodeError:
        raise InvalidArchive("names in the archive must be UTF-8") from None
    if not equals or not key:
        raise InvalidArchive("a pax header of the archive is malformed")
    return *decoded, rest[length:]
