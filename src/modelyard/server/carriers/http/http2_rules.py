"""What a frame may look like, whatever the connection is about."""

from __future__ import annotations

from modelyard.server.carriers.base import FRAME_BYTES, HEADER_BYTES, STREAMS_PER_CONNECTION, WINDOW_BYTES
from modelyard.server.carriers.http.http2_frames import (
    ACK,
    DEFAULT_FRAME_BYTES,
    ENABLE_PUSH,
    FLOW_CONTROL_ERROR,
    FRAME_SIZE_ERROR,
    GOAWAY,
    INITIAL_WINDOW_SIZE,
    MAX_CONCURRENT_STREAMS,
    MAX_FRAME_BYTES,
    MAX_FRAME_SIZE,
    MAX_HEADER_LIST_SIZE,
    MAX_WINDOW_BYTES,
    NUMBER,
    PING,
    PING_BYTES,
    PRIORITY,
    PRIORITY_BYTES,
    PROTOCOL_ERROR,
    PUSH_PROMISE,
    RST_STREAM,
    SETTING,
    SETTINGS,
    WINDOW_UPDATE,
    Http2Error,
)

OUR_SETTINGS = {
    MAX_CONCURRENT_STREAMS: STREAMS_PER_CONNECTION,
    INITIAL_WINDOW_SIZE: WINDOW_BYTES,
    MAX_FRAME_SIZE: FRAME_BYTES,
    MAX_HEADER_LIST_SIZE: HEADER_BYTES,
}
"""What clients are told."""
_SIZES = {PING: PING_BYTES, RST_STREAM: NUMBER.size, WINDOW_UPDATE: NUMBER.size, PRIORITY: PRIORITY_BYTES}
_OF_CONNECTION = frozenset({SETTINGS, PING, GOAWAY})
_OF_STREAM = frozenset({RST_STREAM, PRIORITY})


def check_frame(kind: int, flags: int, number: int, payload: bytes) -> None:
    """A frame that is neither data nor headers; raises `Http2Error`."""
    if kind == PUSH_PROMISE:
        raise Http2Error(PROTOCOL_ERROR, "a client may not push")
    if len(payload) != _SIZES.get(kind, len(payload)):
        raise Http2Error(FRAME_SIZE_ERROR, f"a frame of kind {kind} of {len(payload)} bytes")
    if kind in (_OF_CONNECTION if number else _OF_STREAM):
        raise Http2Error(PROTOCOL_ERROR, f"a frame of kind {kind} on stream {number}")
    if kind == SETTINGS and (len(payload) % SETTING.size or (flags & ACK and payload)):
        raise Http2Error(FRAME_SIZE_ERROR, f"SETTINGS of {len(payload)} bytes")


def read_settings(payload: bytes) -> dict[int, int]:
    """What the client wants, by setting; raises `Http2Error`."""
    settings = dict(SETTING.iter_unpack(payload))
    if settings.get(INITIAL_WINDOW_SIZE, 0) > MAX_WINDOW_BYTES:
        raise Http2Error(FLOW_CONTROL_ERROR, f"a window of {settings[INITIAL_WINDOW_SIZE]} bytes")
    if not DEFAULT_FRAME_BYTES <= settings.get(MAX_FRAME_SIZE, DEFAULT_FRAME_BYTES) <= MAX_FRAME_BYTES:
        raise Http2Error(PROTOCOL_ERROR, f"frames of {settings[MAX_FRAME_SIZE]} bytes")
    if settings.get(ENABLE_PUSH, 0) > 1:
        raise Http2Error(PROTOCOL_ERROR, "ENABLE_PUSH is neither 0 nor 1")
    return settings


def check_growth(more: int, window: int, stream: int) -> None:
    """A window that a client lets grow by `more`, to `window`; raises `Http2Error`."""
    if not more:
        raise Http2Error(PROTOCOL_ERROR, "a window that grows by nothing", stream)
    if window > MAX_WINDOW_BYTES:
        raise Http2Error(FLOW_CONTROL_ERROR, f"a window of {window} bytes", stream)
