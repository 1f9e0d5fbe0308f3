"""What a large request says, without the images in it: for that they need be neither joined nor parsed.

An outline is the request as it is serialised, with each large value of bytes left out: there, and empty. Such a
request goes to the worker in the pieces that it came in, of which no byte but these few is looked at here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from modelyard.wire.messages import Message
from modelyard.wire.nesting import BYTES_FIELD, MESSAGE_FIELD, encode_varint, list_fields
from modelyard.wire.pieces import Payload, Pieces

LARGE_BYTES = 1 << 16
"""What is smaller is copied sooner than looked into."""
MAX_FIELDS = 512
MAX_DEPTH = 16
"""A request with more fields than this around its large ones, or deeper, is parsed sooner than walked through."""

AnyMessage = TypeVar("AnyMessage", bound=Message)


def _leave_nothing(start: int, end: int) -> bytes:  # noqa: ARG001 - see `make_outline`
    return b""


def make_outline(
    message_type: Any, pieces: Pieces, leave: Callable[[int, int], bytes] = _leave_nothing
) -> bytes | None:
    """The outline of a serialised message; None where it has none: too many fields, or no fields at all.

    What parses as an outline is not proven to parse whole: whoever reads the large values finds out.

    Args:
        message_type: The message's descriptor.
        pieces: It, serialised.
        leave: What is left instead of the large value that lies between these two places.
    """
    try:
        return _Walk(pieces, leave).walk(message_type, 0, len(pieces), MAX_DEPTH)
    except (_NoOutline, ValueError, IndexError):
        return None


def parse_outline(message_class: type[AnyMessage], pieces: Pieces) -> AnyMessage:
    """The message, or its outline where it has one. Raises `DecodeError`."""
    outline = make_outline(message_class.DESCRIPTOR, pieces)
    return message_class.FromString(pieces.join() if outline is None else outline)


def complete(message: AnyMessage, raw: Payload | None) -> AnyMessage:
    """A message with its large values.

    Args:
        message: It, or its outline.
        raw: The same, serialised: in pieces, where `message` may be an outline.
    """
    return type(message).FromString(raw.join()) if isinstance(raw, Pieces) else message


class _NoOutline(Exception):
    """The message is not worth an outline, or is written strangely: parsing says how."""


class _Walk:
    """One walk through a message."""

    def __init__(self, pieces: Pieces, leave: Callable[[int, int], bytes]) -> None:
        self._pieces = pieces
        self._leave = leave
        self._fields_left = MAX_FIELDS

    def walk(self, message_type: Any, at: int, end: int, depth: int) -> bytes:
        """The outline of the message that lies between two places."""
        kept: list[bytes] = []
        kept_from, fields = at, message_type.fields_by_number
        for tag, start, body, after in list_fields(self._pieces, at, end):
            self._fields_left -= 1
            if not self._fields_left:
                raise _NoOutline
            field = fields.get(tag >> 3) if after - body >= LARGE_BYTES else None
            if field is None or field.type not in (BYTES_FIELD, MESSAGE_FIELD):
                continue
            key = encode_varint(tag)
            if body - start != len(key) + len(encode_varint(after - body)):
                raise _NoOutline  # written longer than it has to be
            if field.type == BYTES_FIELD:
                inside = self._leave(body, after)
            elif depth:
                inside = self.walk(field.message_type, body, after, depth - 1)
            else:
                raise _NoOutline
            kept += (self._pieces.cut(kept_from, start), key, encode_varint(len(inside)), inside)
            kept_from = after
        kept.append(self._pieces.cut(kept_from, end))
        return b"".join(kept)
