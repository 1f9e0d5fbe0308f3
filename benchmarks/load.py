"""Load for a gRPC server: one request in flight on each of many connections, each answer checked.

It writes HTTP/2 frames by hand, and so takes a small part of what a server spends on a request: a load made with a
gRPC library would measure itself. It knows just enough of HTTP/2 for this: no Huffman coding, no table of headers.
"""

from __future__ import annotations

import asyncio
import struct
import time
from dataclasses import dataclass, field

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
ACK = END_STREAM = 1
END_HEADERS = 4
WIDE_WINDOW = 2**31 - 1 - 65535  # bytes: answers never wait for us
MAX_STREAM_ID = 2**31 - 1


@dataclass(frozen=True)
class Target:
    """A gRPC method of a server, what to send it, and what its answer must hold."""

    host: str
    port: int
    path: str
    token: str
    message: bytes
    wanted: bytes


@dataclass
class Tally:
    """What one measurement saw: the seconds that each answer took, and the load's own use of its core."""

    latencies_s: list[float] = field(default_factory=list)
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    is_over: bool = False
    """Set by whoever has seen enough: no more is sent."""


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return struct.pack(">I", len(payload))[1:] + bytes((kind, flags)) + struct.pack(">I", stream) + payload


def encode_text(text: str) -> bytes:
    """A string of a header, as it is; its length in HPACK's 7-bit prefix form."""
    data = text.encode()
    if len(data) < 127:
        return bytes((len(data),)) + data
    rest, more = len(data) - 127, b""
    while rest >= 128:
        more += bytes((rest % 128 + 128,))
        rest //= 128
    return b"\x7f" + more + bytes((rest,)) + data


def encode_headers(target: Target) -> bytes:
    """:method POST and :scheme http by their numbers in the static table, all others as plain literals."""
    authority = f"{target.host}:{target.port}"
    block = b"\x83\x86\x04" + encode_text(target.path) + b"\x01" + encode_text(authority)
    others = {"content-type": "application/grpc", "te": "trailers", "authorization": f"Key {target.token}"}
    return block + b"".join(b"\x00" + encode_text(name) + encode_text(value) for name, value in others.items())


class Client(asyncio.Protocol):
    """One connection, which sends its next request when it has an answer."""

    def __init__(self, target: Target, tally: Tally, end: float) -> None:
        self.tally, self.end, self.wanted = tally, end, target.wanted
        message = b"\x00" + struct.pack(">I", len(target.message)) + target.message
        block = encode_headers(target)
        self.headers_start = frame(HEADERS, END_HEADERS, 0, block)[:5]
        self.data_start = frame(DATA, END_STREAM, 0, message)[:5]
        self.block, self.message = block, message
        self.stream = -1
        self.answer = b""
        self.buffer = b""
        self.window = 65535
        self.is_waiting_for_window = False
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        update = struct.pack(">I", WIDE_WINDOW)
        self._write(PREFACE + frame(SETTINGS, 0, 0) + frame(WINDOW_UPDATE, 0, 0, update))
        self._send_request()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(exc or ConnectionError("the server closed the connection"))

    def data_received(self, data: bytes) -> None:
        buffer = self.buffer + data if self.buffer else data
        start, size = 0, len(buffer)
        while size - start >= 9:
            end = start + 9 + int.from_bytes(buffer[start : start + 3], "big")
            if end > size:
                break
            self._on_frame(buffer[start + 3], buffer[start + 4], buffer[start + 9 : end])
            start = end
        self.buffer = buffer[start:]

    def _on_frame(self, kind: int, flags: int, payload: bytes) -> None:
        if kind == DATA:
            self.answer += payload
        if kind in (DATA, HEADERS) and flags & END_STREAM:
            self._on_answer()
        elif kind in (SETTINGS, PING) and not flags & ACK:
            self._write(frame(kind, ACK, 0, payload if kind == PING else b""))
        elif kind == WINDOW_UPDATE:
            self._on_window(int.from_bytes(payload, "big"))
        elif kind in (RST_STREAM, GOAWAY):
            self._fail(f"the server sent {'RST_STREAM' if kind == RST_STREAM else 'GOAWAY'} {payload!r}")

    def _on_window(self, increment: int) -> None:
        """Updates of streams are counted too: a request is far smaller than what a stream may always send."""
        self.window += increment
        if self.is_waiting_for_window and self.window >= len(self.message):
            self.is_waiting_for_window = False
            self._send_request()

    def _on_answer(self) -> None:
        now = time.perf_counter()
        if self.wanted not in self.answer:
            self._fail(f"the answer {self.answer!r} does not hold {self.wanted!r}")
            return
        self.tally.latencies_s.append(now - self.sent_at)
        if now < self.end and not self.tally.is_over:
            self._send_request()
        elif not self.done.done():
            self.done.set_result(None)

    def _send_request(self) -> None:
        if self.window < len(self.message):
            self.is_waiting_for_window = True
            return
        self.window -= len(self.message)
        self.stream += 2
        self.answer = b""
        number = struct.pack(">I", self.stream)
        self.sent_at = time.perf_counter()
        self._write(self.headers_start + number + self.block + self.data_start + number + self.message)

    def _write(self, data: bytes) -> None:
        self.transport.write(data)  # type: ignore[attr-defined]

    def _fail(self, reason: str) -> None:
        if not self.done.done():
            self.done.set_exception(RuntimeError(reason))


async def measure(target: Target, *, clients: int, seconds: float, tally: Tally | None = None) -> Tally:
    """Load from that many clients for that long. Raises when any answer is not the wanted one. `tally` can be looked at
    meanwhile."""
    loop = asyncio.get_running_loop()
    tally = tally or Tally()
    start, cpu_start = time.perf_counter(), time.process_time()
    made = [
        await loop.create_connection(lambda: Client(target, tally, start + seconds), target.host, target.port)
        for _ in range(clients)
    ]
    try:
        await asyncio.wait_for(asyncio.gather(*(client.done for _, client in made)), seconds + 30)
    finally:
        for transport, _ in made:
            transport.close()
    tally.seconds, tally.cpu_seconds = time.perf_counter() - start, time.process_time() - cpu_start
    return tally
