"""The members of a tar stream, one header after the other, each with what its extension headers say about it."""

from __future__ import annotations

from collections.abc import Iterator

from modelyard.errors import InvalidArchive
from modelyard.parts import tar_header
from modelyard.parts.inflate import Inflater
from modelyard.parts.tar_header import BLOCK_BYTES, Header

MEBIBYTE = 1024 * 1024
MAX_EXTENSION_BYTES = 64 * 1024
MAX_GLOBAL_HEADERS = 16
_EXTENSIONS = frozenset({tar_header.GNU_NAME_KIND, tar_header.PAX_KIND, tar_header.PAX_GLOBAL_KIND})


def list_headers(source: Inflater) -> Iterator[Header]:
    """Every header of a file or folder, with its long name and pax records already applied."""
    name, pax, global_headers = b"", None, 0
    while (header := _read_header(source)) is not None:
        if header.kind == tar_header.GNU_NAME_KIND and not name and pax is None:
            name = _read_extension(source, header).rstrip(b"\0")
        elif header.kind == tar_header.PAX_KIND and not name and pax is None:
            pax = tar_header.read_pax(_read_extension(source, header), is_global=False)
        elif header.kind == tar_header.PAX_GLOBAL_KIND and not name and pax is None:
            global_headers += 1
            if global_headers > MAX_GLOBAL_HEADERS:
                raise InvalidArchive("the archive has too many global pax headers")
            tar_header.read_pax(_read_extension(source, header), is_global=True)
        elif header.kind in _EXTENSIONS:
            raise InvalidArchive("the archive has two extension headers for one member")
        else:
            yield _apply_extensions(header, name, pax or {})
            name, pax = b"", None
    if name or pax is not None:
        raise InvalidArchive("the archive ends after an extension header, before its member")


def _read_header(source: Inflater) -> Header | None:
    block = source.read_exactly(BLOCK_BYTES)
    if len(block) < BLOCK_BYTES:
        raise InvalidArchive("the archive is cut off: it has no end mark")
    if block.strip(b"\0"):
        return tar_header.read_header(block)
    _check_end(source)
    return None


def _check_end(source: Inflater) -> None:
    """A second block of zeros, then zeros only, and a sound end of the gzip stream."""
    if len(rest := source.read_exactly(BLOCK_BYTES)) < BLOCK_BYTES:
        raise InvalidArchive("the archive is cut off: its end mark is incomplete")
    block: bytes | memoryview = rest
    while block:
        if bytes(block).strip(b"\0"):
            raise InvalidArchive("there is data after the archive's end mark")
        block = source.read(MEBIBYTE)


def _read_extension(source: Inflater, header: Header) -> bytes:
    if header.size_bytes > MAX_EXTENSION_BYTES:
        raise InvalidArchive(f"an extension header of the archive is larger than {MAX_EXTENSION_BYTES} bytes")
    content = source.read_exactly(header.size_bytes)
    if len(content) < header.size_bytes:
        raise InvalidArchive("the archive is cut off in the middle of a header")
    skip(source, -header.size_bytes % BLOCK_BYTES)
    return content


def skip(source: Inflater, size: int) -> None:
    """Pass over padding."""
    if len(source.read_exactly(size)) < size:
        raise InvalidArchive("the archive is cut off in the middle of a member")


def _apply_extensions(header: Header, name: bytes, pax: dict[str, str]) -> Header:
    return Header(
        kind=header.kind,
        name=pax["path"].encode() if "path" in pax else name or header.name,
        size_bytes=tar_header.read_pax_size(pax["size"]) if "size" in pax else header.size_bytes,
        mode=header.mode,
    )
