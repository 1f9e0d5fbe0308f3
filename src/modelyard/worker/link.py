"""The worker's end of the socket: any thread sends, one thread reads. Blocking, without an event loop."""

from __future__ import annotations

import socket
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from modelyard.wire.frames import MAX_PAYLOAD_BYTES, Frame, FrameDecoder, Kind, encode_credit, encode_parts


class Link:
    """A connected stream socket that carries frames."""

    def __init__(self, connection: socket.socket, *, max_payload_bytes: int = MAX_PAYLOAD_BYTES) -> None:
        self._socket = connection
        self._max_payload_bytes = max_payload_bytes
        self._waiting: deque[tuple[bytes, ...]] = deque()
        self._sending = threading.Lock()

    @classmethod
    def connect(cls, path: str) -> Link:
        """Connect to the gateway's unix socket. Raises `OSError` where nobody listens."""
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.connect(path)
        except OSError:
            connection.close()
            raise
        return cls(connection)

    def send(self, kind: Kind, request_id: int = 0, payload: bytes = b"", flags: int = 0) -> None:
        """Send one frame. Waits while the gateway does not read; frames of threads that meet here leave together.

        Where the gateway is gone nothing happens: the reader sees that too, and ends the process.

        Raises:
            TooLarge: The payload is above the limit; nothing was sent.
        """
        self._post(encode_parts(kind, request_id, payload, flags, max_payload_bytes=self._max_payload_bytes))

    def grant(self, request_id: int, credit: int) -> None:
        """Allow the gateway `credit` more messages of a stream."""
        self._post((encode_credit(request_id, credit),))

    @contextmanager
    def gathering(self) -> Iterator[None]:
        """What is sent in this block, by whichever thread, leaves together at its end."""
        with self._sending:
            try:
                yield
            finally:
                self._send_waiting()
        self._flush()

    def read_frames(self) -> Iterator[Frame]:
        """Frames as they come, until the gateway closes.

        Raises:
            ModelyardError: What comes are not frames.
            OSError: The connection broke.
        """
        decoder = FrameDecoder(max_payload_bytes=self._max_payload_bytes)
        receive, writable, advance = self._socket.recv_into, decoder.writable, decoder.advance
        while True:
            size = receive(writable())
            if not size:
                return
            yield from advance(size)

    def close(self) -> None:
        """Close the socket; a reader sees the end."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _post(self, parts: tuple[bytes, ...]) -> None:
        """Put the frame in line; whoever holds the lock sends all that is there."""
        self._waiting.append(parts)
        self._flush()

    def _flush(self) -> None:
        """Send, unless another thread does. Looked at again after letting go, so that no frame stays behind."""
        while self._waiting and self._sending.acquire(blocking=False):
            try:
                self._send_waiting()
            finally:
                self._sending.release()

    def _send_waiting(self) -> None:
        small: list[bytes] = []
        try:
            while self._waiting:
                parts = self._waiting.popleft()
                small.append(parts[0])
                if len(parts) > 1:
                    self._socket.sendall(b"".join(small))
                    small.clear()
                    self._socket.sendall(parts[1])
            if small:
                self._socket.sendall(small[0] if len(small) == 1 else b"".join(small))
        except OSError:
            self._waiting.clear()
