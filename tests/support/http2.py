"""HTTP/2 frame by frame over a raw socket: what well-behaved clients never send, too."""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass, field
from types import TracebackType

from hpack import Decoder, Encoder

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 2, 3, 4, 6, 7, 8, 9
END_STREAM = ACK = 1
END_HEADERS = 4
CANCEL = 8
WINDOW_BYTES = (1 << 31) - 1


@dataclass
class Answer:
    """What came for one stream."""

    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    trailers: dict[str, str] = field(default_factory=dict)
    reset: int | None = None
    """The error code of RST_STREAM."""
    is_whole: bool = False

    @property
    def grpc_status(self) -> str | None:
        return {**self.headers, **self.trailers}.get("grpc-status")


class RawHttp2:
    """One connection. It grants all the window there is, and answers settings and pings."""

    def __init__(self, address: str, *, timeout_s: float = 60, window_bytes: int = WINDOW_BYTES) -> None:
        host, _, port = address.rpartition(":")
        self.authority = address
        self.socket = socket.create_connection((host, int(port)), timeout=timeout_s)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._encoder, self._decoder = Encoder(), Decoder()
        self._received = b""
        self.answers: dict[int, Answer] = {}
        self.goaway: int | None = None
        """The error code of GOAWAY."""
        self.is_closed = False
        self.pongs: list[bytes] = []
        self.socket.sendall(PREFACE)
        self.send(SETTINGS, payload=struct.pack(">HI", 4, window_bytes))
        if window_bytes == WINDOW_BYTES:
            self.send(WINDOW_UPDATE, payload=struct.pack(">I", WINDOW_BYTES - 65535))

    def __enter__(self) -> RawHttp2:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.socket.close()

    def send(self, kind: int, flags: int = 0, stream: int = 0, payload: bytes = b"") -> None:
        """One frame."""
        head = struct.pack(">I", len(payload))[1:] + bytes((kind, flags)) + struct.pack(">I", stream)
        self.socket.sendall(head + payload)

    def encode_headers(self, path: str, token: str, *extra: tuple[str, str], grpc: bool = True) -> bytes:
        """The headers of a POST."""
        kind = [("content-type", "application/grpc"), ("te", "trailers")] if grpc else []
        return self._encoder.encode([
            (":method", "POST"), (":scheme", "http"), (":authority", self.authority), (":path", path),
            ("authorization", f"Key {token}"), *kind, *extra,
        ])  # fmt: skip

    def post(self, stream: int, path: str, token: str, body: bytes | None, *extra: tuple[str, str]) -> None:
        """Headers, and a body that ends the request; None leaves it open."""
        self.send(HEADERS, END_HEADERS, stream, self.encode_headers(path, token, *extra))
        if body is not None:
            self.send(DATA, END_STREAM, stream, body)

    def wait(self, stream: int) -> Answer:
        """Read until this stream, or the connection, is over."""
        answer = self.answers.setdefault(stream, Answer())
        while not (answer.is_whole or answer.reset is not None or self.is_closed):
            self.read()
        return answer

    def wait_closed(self) -> None:
        """Read until the server hangs up."""
        while not self.is_closed:
            self.read()

    def read(self) -> None:
        """Take in one frame, or the end of the connection."""
        head = self._take(9)
        if head is None:
            return
        size, kind, flags = int.from_bytes(head[:3], "big"), head[3], head[4]
        stream = int.from_bytes(head[5:9], "big")
        payload = self._take(size)
        if payload is not None:
            self._on_frame(kind, flags, stream, payload)

    def _take(self, size: int) -> bytes | None:
        while len(self._received) < size:
            try:
                piece = self.socket.recv(1 << 16)
            except ConnectionResetError:
                piece = b""
            if not piece:
                self.is_closed = True
                return None
            self._received += piece
        taken, self._received = self._received[:size], self._received[size:]
        return taken

    def _on_frame(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        answer = self.answers.setdefault(stream, Answer())
        if kind == HEADERS:
            found = {str(name): str(value) for name, value in self._decoder.decode(payload)}
            target = answer.trailers if answer.headers else answer.headers
            target.update(found)
        elif kind == DATA:
            answer.body += payload
        elif kind == RST_STREAM:
            answer.reset = int.from_bytes(payload, "big")
        elif kind == GOAWAY:
            self.goaway = int.from_bytes(payload[4:8], "big")
        elif kind == PING and flags & ACK:
            self.pongs.append(payload)
        elif kind in (SETTINGS, PING) and not flags & ACK:
            self.send(kind, ACK, payload=payload if kind == PING else b"")
        if kind in (HEADERS, DATA) and flags & END_STREAM:
            answer.is_whole = True
