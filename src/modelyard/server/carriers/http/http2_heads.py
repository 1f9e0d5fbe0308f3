"""The headers of HTTP/2: of requests, decoded and checked; of answers, encoded (RFC 7541)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from hpack import Decoder, HPACKError, OversizedHeaderListError
from hpack.table import HeaderTable

from modelyard.server.carriers.base import HEADER_BYTES
from modelyard.server.carriers.http.exchange import Headers, Scope
from modelyard.server.carriers.http.heads import are_alike, may_be_silent, read_length, split_target
from modelyard.server.carriers.http.http2_frames import (
    COMPRESSION_ERROR,
    ENHANCE_YOUR_CALM,
    PROTOCOL_ERROR,
    Http2Error,
)

KEPT_BLOCKS, KEPT_BLOCK_BYTES = 16, 2048
"""A connection's requests are much alike: so many different blocks of headers, of such a size, are known again."""
PSEUDO = frozenset({b":method", b":scheme", b":authority", b":path"})
HOP_BY_HOP = frozenset({b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"})
_NOT_IN_NAMES = bytes([*range(0x21), 0x3A, *range(0x41, 0x5B), *range(0x7F, 0x100)])
_NOT_IN_VALUES = b"\x00\r\n"
_SIZE_UPDATES = frozenset(bytes([first]) for first in range(0x20, 0x40))
"""How a block begins that changes the size of the table."""


@dataclass(frozen=True, slots=True)
class Head:
    """A request without its body."""

    scope: Scope
    """What ASGI's scope has of it. Whoever starts a request copies it."""
    length: int | None
    """`content-length`."""
    may_be_silent: bool
    """Is it a stream, whose client may say nothing for as long as it likes?"""
    expects_continue: bool
    is_head: bool
    """Does it want an answer without its body?"""
    memo: dict[str, Any] = field(default_factory=dict)
    """See `Shortcuts`."""


class _Table(HeaderTable):
    """Knows when it has changed: a block of headers means the same only while the table is the same."""

    def __init__(self) -> None:
        super().__init__()
        self.changes = 0

    def add(self, name: bytes, value: bytes) -> None:
        self.changes += 1
        super().add(name, value)

    def _shrink(self) -> None:
        self.changes += 1
        super()._shrink()


class RequestHeads:
    """Decodes the blocks of headers of one connection, in their order.

    Args:
        base: What the scopes of all its requests have in common.
    """

    def __init__(self, base: Scope) -> None:
        self._base = base | {"extensions": {"http.response.trailers": {}}}
        self._table = _Table()
        self._decoder = Decoder(max_header_list_size=HEADER_BYTES)
        self._decoder.header_table = self._table
        self.known: dict[bytes, Head] = {}
        """The heads of blocks that came before and still mean the same."""
        self._last: Head | None = None

    def read(self, block: bytes, stream: int) -> Head:
        """The head of a new request; raises `Http2Error`."""
        changes = self._table.changes
        head, last = _make_head(self._base, self.decode(block), stream), self._last
        if last and are_alike(head.scope, last.scope, head.scope["headers"], last.scope["headers"]):
            head = replace(head, memo=last.memo)
        self._last = head
        if self._table.changes == changes and len(block) <= KEPT_BLOCK_BYTES:
            if len(self.known) >= KEPT_BLOCKS:
                self.known.clear()
            self.known[block] = head
        return head

    def decode(self, block: bytes) -> Headers:
        """The headers in a block; raises `Http2Error`. Each block has to be decoded, for the table."""
        changes = self._table.changes
        if block[:1] in _SIZE_UPDATES:
            self._table.changes += 1
        try:
            headers: Any = self._decoder.decode(block, raw=True)
        except OversizedHeaderListError:
            raise Http2Error(ENHANCE_YOUR_CALM, f"headers of more than {HEADER_BYTES} bytes") from None
        except (HPACKError, IndexError) as error:
            kind = type(error).__name__  # its text may quote headers
            raise Http2Error(COMPRESSION_ERROR, f"headers that are not HPACK: {kind}") from None
        if self._table.changes != changes:
            self.known.clear()
        return [(name, value) for name, value in headers]


def _make_head(base: Scope, fields: Headers, stream: int) -> Head:
    pseudo, headers, cookies = _sort(fields, stream)
    method, path, authority = pseudo.get(b":method"), pseudo.get(b":path"), pseudo.get(b":authority")
    if method is None or b":scheme" not in pseudo or not path:
        raise Http2Error(PROTOCOL_ERROR, "a request needs :method, :scheme and :path", stream)
    if not path.startswith(b"/") and not (path == b"*" and method == b"OPTIONS"):
        raise Http2Error(PROTOCOL_ERROR, ":path has to begin with a slash", stream)
    if authority is not None:
        headers = [(b"host", authority), *[one for one in headers if one[0] != b"host"]]
    if cookies:
        headers.append((b"cookie", b"; ".join(cookies)))
    scope = base | split_target(path) | {"method": method.decode("latin-1"), "headers": headers}
    return Head(
        scope=scope,
        length=_read_length(headers, stream),
        may_be_silent=may_be_silent(scope["path"], headers),
        expects_continue=dict(headers).get(b"expect", b"").lower() == b"100-continue",
        is_head=method == b"HEAD",
    )


def _sort(fields: Headers, stream: int) -> tuple[dict[bytes, bytes], Headers, list[bytes]]:
    """Pseudo-headers, headers, and the crumbs of the cookie; raises `Http2Error`."""
    pseudo: dict[bytes, bytes] = {}
    headers: Headers = []
    cookies: list[bytes] = []
    for name, value in fields:
        if value.translate(None, _NOT_IN_VALUES) != value:
            raise Http2Error(PROTOCOL_ERROR, f"a value of {name!r} that no header may have", stream)
        if name.startswith(b":"):
            if headers or cookies or name not in PSEUDO or name in pseudo:
                raise Http2Error(PROTOCOL_ERROR, f"{name!r} twice, behind other headers, or not of a request", stream)
            pseudo[name] = value
        elif not name or name.translate(None, _NOT_IN_NAMES) != name:
            raise Http2Error(PROTOCOL_ERROR, f"{name!r} is no name of a header", stream)
        elif name in HOP_BY_HOP or (name == b"te" and value != b"trailers"):
            raise Http2Error(PROTOCOL_ERROR, f"HTTP/2 has no header {name!r}", stream)
        elif name == b"cookie":
            cookies.append(value)
        else:
            headers.append((name, value))
    return pseudo, headers, cookies


def _read_length(headers: Headers, stream: int) -> int | None:
    lengths = {value for name, value in headers if name == b"content-length"}
    if not lengths:
        return None
    (text, *others) = lengths
    length = read_length(text)
    if others or length is None:
        raise Http2Error(PROTOCOL_ERROR, "a content-length that is no number", stream)
    return length


# Answers. Nothing is put into the client's table: their fields are few, and one of them is new each time.

_INDEXED_STATUS = {200: b"\x88", 204: b"\x89", 206: b"\x8a", 304: b"\x8b", 400: b"\x8c", 404: b"\x8d", 500: b"\x8e"}
_SHORT = tuple(bytes([length]) for length in range(127))
_names: dict[bytes, bytes] = dict.fromkeys(HOP_BY_HOP, b"")
"""Names as they are encoded; empty for those that do not travel."""
_NAMES_KEPT = 256
_FEW_VALUES = frozenset({b"content-type", b"grpc-status"})
"""Fields of nearly all answers, with a value of few: kept as they are encoded."""
_fields: dict[tuple[bytes, bytes], bytes] = {}


def encode_block(status: int, headers: Headers) -> bytes:
    """The headers of an answer."""
    first = _INDEXED_STATUS.get(status) or b"\x08\x03%03d" % status
    return first + encode_fields(headers)


def encode_fields(headers: Headers) -> bytes:
    """Headers without a status: trailers, for one."""
    encoded = b""
    for one in headers:
        encoded += _fields.get(one) or _encode_field(*one)
    return encoded


def _encode_field(name: bytes, value: bytes) -> bytes:
    prefix = _names.get(name)
    if prefix is None:
        prefix = _encode_name(name)
    if not prefix:
        return b""
    size = len(value)
    if not value.isalnum() and len(value.translate(None, _NOT_IN_VALUES)) != size:  # `in` makes an exception each time
        raise ValueError(f"the header {name!r} of an answer has a line break or a NUL in it")
    encoded = prefix + (_SHORT[size] if size < 127 else _encode_length(size)) + value
    if name in _FEW_VALUES and len(_fields) < _NAMES_KEPT:
        _fields[name, value] = encoded
    return encoded


def _encode_name(name: bytes) -> bytes:
    if not name or name.lower().translate(None, _NOT_IN_NAMES) != name.lower():
        raise ValueError(f"{name!r} is no name of a header")
    prefix = b"" if name.lower() in HOP_BY_HOP else b"\x00" + _encode_length(len(name)) + name.lower()
    if len(_names) < _NAMES_KEPT:
        _names[name] = prefix
    return prefix


def _encode_length(length: int) -> bytes:
    """A number with a prefix of seven bits, its first bit unset: no Huffman code follows."""
    if length < 127:
        return _SHORT[length]
    encoded = bytearray(b"\x7f")
    length -= 127
    while length >= 128:
        encoded.append(length & 0x7F | 0x80)
        length >>= 7
    encoded.append(length)
    return bytes(encoded)
