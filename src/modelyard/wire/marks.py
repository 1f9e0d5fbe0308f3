"""Marks, that stand in a message for its large values while it is something else than bytes.

What makes JSON of a message, or a message of JSON, copies each value several times on the way. So it is given a message
with a mark for each large one; the values are put where their marks came out.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from typing import Any

from modelyard.wire.nesting import BYTES_FIELD, MESSAGE_FIELD, encode_varint, list_fields
from modelyard.wire.outline import make_outline
from modelyard.wire.pieces import Part, Pieces

SECRET = secrets.token_bytes(9)
"""What all marks of this process begin with. Nobody outside knows it, so that no value looks like one."""
MARK_BYTES = 12
"""A number follows. In base64 that is sixteen characters, of which four are the number's."""


def make_mark(number: int) -> bytes:
    """The mark of a value."""
    return SECRET + number.to_bytes(MARK_BYTES - len(SECRET), "big")


def read_mark(value: bytes) -> int:
    """The number of a mark."""
    return int.from_bytes(value[len(SECRET) :], "big")


def take_values(message_type: Any, raw: bytes) -> tuple[bytes, list[memoryview]]:
    """A message with marks for its large values, and these, by the numbers of their marks. A message that has no
    outline (`outline.py`) keeps them.

    Args:
        message_type: The message's descriptor.
        raw: It, serialised.
    """
    values: list[memoryview] = []
    view = memoryview(raw)

    def leave(start: int, end: int) -> bytes:
        values.append(view[start:end])
        return make_mark(len(values) - 1)

    marked = make_outline(message_type, Pieces((raw,)), leave)
    return (raw, []) if marked is None else (marked, values)


def put_values(message_type: Any, marked: bytes, values: Sequence[bytes]) -> Pieces | None:
    """The message with its large values, not copied; None where they are not all there to be put.

    Args:
        message_type: The message's descriptor.
        marked: It, serialised, with marks in fields of bytes.
        values: By the numbers of their marks.
    """
    filling = _Filling(marked, values)
    parts = [part for part in filling.fill(message_type, 0, len(marked)) if part]
    return Pieces(parts) if filling.filled == set(range(len(values))) else None


class _Filling:
    """One walk through a message."""

    def __init__(self, marked: bytes, values: Sequence[bytes]) -> None:
        self._marked = marked
        self._values = values
        self.filled: set[int] = set()

    def fill(self, message_type: Any, at: int, end: int) -> Iterator[Part]:
        """The parts of the message that lies between two places."""
        kept_from, fields = at, message_type.fields_by_number
        for tag, start, body, after in list_fields(self._marked, at, end):
            field = fields.get(tag >> 3)
            if field is None or self._marked.find(SECRET, body, after) < 0:
                continue
            if field.type == MESSAGE_FIELD:
                inside = list(self.fill(field.message_type, body, after))
            elif field.type == BYTES_FIELD and after - body == MARK_BYTES:
                inside = [self._take(self._marked[body:after])]
            else:
                continue
            yield self._marked[kept_from:start] + encode_varint(tag) + encode_varint(sum(map(len, inside)))
            yield from inside
            kept_from = after
        yield self._marked[kept_from:end]

    def _take(self, mark: bytes) -> bytes:
        number = read_mark(mark)
        self.filled.add(number)
        return self._values[number]
