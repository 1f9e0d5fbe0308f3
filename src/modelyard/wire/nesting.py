"""Fields within fields of serialised messages, found by their bytes: where most messages are alike, to skip what is
known costs less than to ask a message for it."""

from __future__ import annotations

from collections.abc import Iterator

from modelyard.wire.pieces import Payload

MAX_BYTES = 1 << 14
"""Lengths up to here take two bytes at most. What is larger costs more than its fields do."""
BYTES_FIELD, MESSAGE_FIELD = 12, 11
"""Types of fields, as descriptors number them."""
MANY = 0x80
"""A first byte of a length that goes on in the next one."""


def find_inside(raw: bytes, at: int, tags: bytes, end: int) -> int:
    """Where the innermost of nested fields has its content.

    Args:
        raw: A serialised message.
        at: Where the outermost field begins.
        tags: Theirs, from the outermost to the innermost; each of one byte.
        end: Where all of them have to end.

    Returns:
        The place; -1 where there are other fields, or more.

    Raises:
        IndexError: The bytes end too soon.
    """
    for tag in tags:
        length = raw[at + 1]
        if raw[at] != tag:
            return -1
        at += 2
        if length >= MANY:
            more = raw[at]
            if more >= MANY:
                return -1
            length += (more << 7) - MANY
            at += 1
        if at + length != end:
            return -1
    return at


def wrap(tags: bytes, content: bytes) -> bytes:
    """The nested fields around a content, of less than `MAX_BYTES` with them."""
    for tag in reversed(tags):
        size = len(content)
        head = (tag, size) if size < MANY else (tag, size & 0x7F | MANY, size >> 7)
        content = bytes(head) + content
    return content


def encode_varint(number: int) -> bytes:
    """A number as lengths and tags are written: seven bits a byte, the lowest first."""
    encoded = bytearray()
    while number >= MANY:
        encoded.append(number & 0x7F | MANY)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def list_fields(payload: Payload, at: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """The fields of the message that lies between two places: the tag of each, and where it, its content and what is
    behind it begin. Raises ValueError or IndexError where the bytes are no message."""
    while at < end:
        tag, body = _read_varint(payload, at)
        match tag & 7:
            case 2:
                size, body = _read_varint(payload, body)
                after = body + size
            case 0:
                _, after = _read_varint(payload, body)
            case 1:
                after = body + 8
            case 5:
                after = body + 4
            case other:
                raise ValueError(f"wire type {other}")
        if after > end:
            raise ValueError("a field that ends behind the message")
        yield tag, at, body, after
        at = after


def _read_varint(payload: Payload, at: int) -> tuple[int, int]:
    """The number, and where it ends."""
    value = shift = 0
    while True:
        byte = payload[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < MANY:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError("a number of more than ten bytes")
