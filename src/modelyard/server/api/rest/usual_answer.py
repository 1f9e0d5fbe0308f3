"""The answer that most predictions have: texts, and all went well. It is told by its bytes, and made JSON without
becoming a message. Any other is left to `render`, which says the same of these."""

from __future__ import annotations

from typing import Final

from msgspec.json import encode

from modelyard.wire.nesting import MANY, MAX_BYTES, find_inside

_STATUS, _OUTPUTS, _REQ_ID = 0x0A, 0x12, 0x3A
_SUCCESS: Final = b"\x08\x90\x4e"
"""Code 10000."""
_OK: Final = _SUCCESS + b"\x12\x02Ok"
"""The code and its description."""
_OUTPUT_OK, _OUTPUT_SUCCESS = b"\x12\x07" + _OK, b"\x12\x03" + _SUCCESS
"""The status of an output: the worker's, and the one that authors give."""
_TEXT: Final = b"\x32\x6a\x0a"
"""data, text, raw."""
_HEAD: Final = b'{"status":{"code":10000,"description":"Ok","req_id":'
_WITH_OK: Final = b'{"status":{"code":10000,"description":"Ok"},"data":{"text":{"raw":%b}}}'
_WITH_SUCCESS: Final = b'{"status":{"code":10000},"data":{"text":{"raw":%b}}}'


def render_usual(reply: bytes) -> bytes | None:
    """The JSON of a serialised `MultiOutputResponse`; None where it is another, or none."""
    size = len(reply)
    if size > MAX_BYTES:
        return None
    try:
        begin, at = 4 + len(_OK), 2 + reply[1]
        if reply[0] != _STATUS or reply[2 : begin - 2] != _OK or reply[begin - 2] != _REQ_ID:
            return None
        if reply[1] >= MANY or begin + reply[begin - 1] != at:
            return None
        request_id, outputs = reply[begin:at].decode(), []
        while at < size:
            end, at, form = _open_output(reply, at)
            at = find_inside(reply, at, _TEXT, end) if end <= size else -1
            if at < 0:
                return None
            outputs.append(form % encode(reply[at:end].decode()))
            at = end
    except (IndexError, UnicodeDecodeError):
        return None
    return b'%b%b},"outputs":[%b]}' % (_HEAD, encode(request_id), b",".join(outputs)) if outputs else None


def _open_output(reply: bytes, at: int) -> tuple[int, int, bytes]:
    """Where an output that succeeded ends, where what is behind its status begins, and its JSON around the text. An end
    beyond all where it is no such output."""
    length = reply[at + 1]
    is_output = reply[at] == _OUTPUTS
    at += 2
    if length >= MANY:
        more = reply[at]
        is_output = is_output and more < MANY
        length += (more << 7) - MANY
        at += 1
    if is_output and reply.startswith(_OUTPUT_SUCCESS, at):
        return at + length, at + len(_OUTPUT_SUCCESS), _WITH_SUCCESS
    if is_output and reply.startswith(_OUTPUT_OK, at):
        return at + length, at + len(_OUTPUT_OK), _WITH_OK
    return MAX_BYTES + 1, at, b""
