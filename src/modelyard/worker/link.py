"""The worker's end of the socket: any thread sends, one thread reads. Blocking, without an event loop."""

from __future__ import annotations

import select
import socket
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from modelyard.wire.frames import (
    MAX_PAYLOAD_BYTES,
    SEND_BUFFER_BYTES,
    Frame,
    FrameDecoder,
    Kind,
    Put,
    encode_credit,
    encode_frame,
    encode_parts,
)
from modelyard.wire.pieces import Part
from modelyard.wire.shared import SharedMemory

LINGER_S = 0.000_2
"""How long an item of a stream waits for the next one, where the last one left that short a while ago."""
LINGERING = 64
"""So many do not wait any longer."""
HOLD_S = 0.001
"""How long an answer waits for the next ones, where they come quickly: one system call, and one waking of the gateway,
for all."""


class Link:
    """A connected stream socket that carries frames."""

    def __init__(self, connection: socket.socket, *, max_payload_bytes: int = MAX_PAYLOAD_BYTES) -> None:
        self._socket = connection
        self._max_payload_bytes = max_payload_bytes
        self._waiting: deque[tuple[Part, ...]] = deque()
        self._sending = threading.Lock()
        self._decoder = FrameDecoder(max_payload_bytes=max_payload_bytes)
        self._incoming = select.poll()
        """What `receive` waits with. Who waits in `recv` of a unix socket is woken for nothing each time that the other
        side has read of what was sent: once for each answer."""
        self._incoming.register(connection, select.POLLIN)
        self.is_held = False
        """May small frames wait for the next ones?"""
        self._held_at = 0.0
        self._left_at = 0.0
        self._is_lingering = False
        self._lingering: threading.Semaphore | None = None
        self._memory: SharedMemory | None = None
        self._put: Put | None = None

    @classmethod
    def connect(cls, path: str) -> Link:
        """Connect to the gateway's unix socket. Raises `OSError` where nobody listens."""
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
            connection.connect(path)
        except OSError:
            connection.close()
            raise
        return cls(connection)

    def share(self, memory: SharedMemory) -> None:
        """Send what is large through this memory, which the gateway has too, and take it from there."""
        self._memory = memory
        self._put = memory.put
        self._decoder.fetch = self._fetch

    def free(self, place: bytes) -> None:
        """The gateway has taken what lay there. Raises `InternalError` where nothing did."""
        if self._memory is not None:
            self._memory.free(place)

    def send(self, kind: Kind, request_id: int = 0, payload: bytes = b"", flags: int = 0) -> None:
        """Send one frame. Waits while the gateway does not read; frames of threads that meet here leave together.

        Where the gateway is gone nothing happens: the reader sees that too, and ends the process.

        Raises:
            TooLarge: The payload is above the limit; nothing was sent.
        """
        limit = self._max_payload_bytes
        self._post(encode_parts(kind, request_id, payload, flags, max_payload_bytes=limit, put=self._put))

    def send_soon(self, kind: Kind, request_id: int, payload: bytes) -> None:
        """As `send`. Where the last frame left a moment ago, this one may wait for the next, `LINGER_S` or a little
        more: what an author yields quickly leaves, and wakes the gateway, many at once. Raises as `send`."""
        limit = self._max_payload_bytes
        parts = encode_parts(kind, request_id, payload, max_payload_bytes=limit, put=self._put)
        self._waiting.append(parts)
        if len(parts) > 1 or len(self._waiting) >= LINGERING or time.monotonic() - self._left_at >= LINGER_S:
            self.send_now()
        elif not self._is_lingering:
            self._is_lingering = True
            self._wake_the_late()

    def send_now(self) -> None:
        """What waits for more leaves."""
        self._send_all()
        self._left_at = time.monotonic()

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
        self._send_all()

    def read_frames(self) -> Iterator[Frame]:
        """Frames as they come, until the gateway closes. Raises as `receive`."""
        while (frames := self.receive()) is not None:
            yield from frames

    def receive(self) -> list[Frame] | None:
        """Wait for what comes next, maybe no whole frame; None when the gateway has closed. One thread at a time.

        Raises:
            ModelyardError: What comes are not frames.
            OSError: The connection broke.
        """
        self._incoming.poll()
        size = self._socket.recv_into(self._decoder.writable())
        return self._decoder.advance(size) if size else None

    def hold(self) -> None:
        """Small frames may wait for the next ones from here on, `HOLD_S` at most where this is called again."""
        now = time.monotonic()
        if not self.is_held:
            self.is_held, self._held_at = True, now
        elif now - self._held_at >= HOLD_S:
            self._held_at = now
            self._send_all()

    def let_go(self) -> None:
        """The next frame leaves at once, and takes along what waited."""
        self.is_held = False

    def flush(self) -> None:
        """Send what waited."""
        self.is_held = False
        if self._waiting:
            self._send_all()

    def close(self) -> None:
        """Close the socket; a reader sees the end."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _fetch(self, place: bytes) -> bytes:
        """The gateway has put a request there. That it is taken is told beside what is sent next."""
        assert self._memory is not None
        payload = self._memory.take(place, self._max_payload_bytes)
        self._waiting.append((encode_frame(Kind.TAKEN, payload=place),))
        return payload

    def _wake_the_late(self) -> None:
        if self._lingering is None:
            self._lingering = threading.Semaphore(0)
            threading.Thread(target=self._send_late, name="late-items", daemon=True).start()
        self._lingering.release()

    def _send_late(self) -> None:
        """Send what waited for a next one that did not come."""
        assert self._lingering is not None
        while True:
            self._lingering.acquire()
            time.sleep(LINGER_S)
            self._is_lingering = False
            self.send_now()

    def _post(self, parts: tuple[Part, ...]) -> None:
        """A small frame that meets no other leaves without having waited in a line."""
        is_large = len(parts) > 1
        if is_large or self.is_held or self._waiting or not self._sending.acquire(blocking=False):
            self._waiting.append(parts)
            if is_large or not self.is_held:
                self._send_all()
            return
        try:
            self._socket.sendall(parts[0])
        except OSError:
            pass  # the gateway is gone
        finally:
            self._sending.release()
        if self._waiting:
            self._send_all()

    def _send_all(self) -> None:
        """Whoever holds the lock sends all that is there. Looked at again after letting go, so that no frame stays
        behind."""
        while self._waiting and self._sending.acquire(blocking=False):
            try:
                self._send_waiting()
            finally:
                self._sending.release()

    def _send_waiting(self) -> None:
        small: list[Part] = []
        try:
            while self._waiting:
                parts = self._waiting.popleft()
                small.append(parts[0])
                if len(parts) > 1:
                    self._socket.sendall(b"".join(small))
                    small.clear()
                    for part in parts[1:]:
                        self._socket.sendall(part)
            if small:
                self._socket.sendall(small[0] if len(small) == 1 else b"".join(small))
        except OSError:
            self._waiting.clear()
