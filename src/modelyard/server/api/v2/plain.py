"""The request that most predictions are: one text, for a model by its name. It is told by its bytes.

    0a .. user_app_id  12 .. model_id  1a .. version_id | 22 .. inputs { 12 .. data { 6a .. text { 0a .. raw } } }

Of such a request all that is asked on its way is known: whom it names, that it has one input, and that no URL has to
be fetched for it. Any other request, and one that is written in another order, is looked through as a message.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from modelyard.wire.messages import DecodeError, PostModelOutputsRequest
from modelyard.wire.nesting import MANY, MAX_BYTES, find_inside, wrap

_NAMES, _INPUTS = b"\x0a\x12\x1a", 0x22
_NESTED = b"\x22\x12\x6a\x0a"
"""inputs, data, text, raw."""
_KEPT = 4096
PASSED_BY = 16


class Named(NamedTuple):
    """What a plain request names, as it says it; empty where it does not."""

    user_id: str
    app_id: str
    model_id: str
    version_id: str


_named: dict[bytes, Named] = {}
_openings: dict[int, bytes] = {}
"""What is in front of the text, by how long it is with that; as protobuf writes it. Less than `MAX_BYTES` of them."""


class PlainReader:
    """Reads requests of one client, which mostly are for the model of the last one: then nothing is looked at but
    whether they begin as that did, and as is usual for a text of their length."""

    __slots__ = ("_named", "_names", "_passed_by")

    def __init__(self) -> None:
        self._names = b""
        self._named: Named | None = None
        self._passed_by = 0
        """So many more are not looked through: who sends other requests mostly goes on with that."""

    def read(self, raw: bytes) -> Named | None:
        """As `read_plain`, or None."""
        names, size = self._names, len(self._names)
        if self._named is not None and raw.startswith(names):
            opening = _openings.get(len(raw) - size)
            if opening is not None and raw.startswith(opening, size):
                return self._named
        if self._passed_by:
            self._passed_by -= 1
            return None
        found = _find_parts(raw)
        if found is None:
            self._passed_by = PASSED_BY
            return None
        at, text_at = found
        named = self._named = _read_names(raw[:at])
        if named is not None:
            self._names = raw[:at]
            opening = _open(len(raw) - text_at)
            if raw.startswith(opening, at):
                _openings[len(raw) - at] = opening
        return named


def read_plain(raw: bytes) -> Named | None:
    """What a serialised request names that is plain; None for any other."""
    found = _find_parts(raw)
    return None if found is None else _read_names(raw[: found[0]])


def _find_parts(raw: bytes) -> tuple[int, int] | None:
    """Where the input begins of a request that is plain, and where its text."""
    size = len(raw)
    if size > MAX_BYTES:
        return None
    try:
        at = 0
        while (tag := raw[at]) != _INPUTS:
            length = raw[at + 1]
            if tag not in _NAMES or length >= MANY:
                return None
            at += 2 + length
        text_at = find_inside(raw, at, _NESTED, size)
    except IndexError:
        return None
    return None if text_at < 0 else (at, text_at)


def make_plain(names: bytes, text: bytes) -> bytes | None:
    """A plain request: what names the model, serialised, and the text. None where it would be too large for one."""
    if len(names) + len(text) > MAX_BYTES - 4 * len(_NESTED):
        return None
    return names + _open(len(text)) + text


@lru_cache(maxsize=1024)
def _open(size: int) -> bytes:
    """What is in front of a text of so many bytes."""
    return wrap(_NESTED, bytes(size))[: -size or None]


def _read_names(names: bytes) -> Named | None:
    """What the fields of a request say that name a model; None where they are no message."""
    found = _named.get(names)
    if found is not None:
        return found
    try:
        message = PostModelOutputsRequest.FromString(names)
    except DecodeError:
        return None
    owner = message.user_app_id
    found = Named(owner.user_id, owner.app_id, message.model_id, message.version_id)
    if len(_named) >= _KEPT:
        _named.clear()
    _named[names] = found
    return found
