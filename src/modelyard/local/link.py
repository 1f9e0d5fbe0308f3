"""A blocking end of the socket to one worker, for one thread.

`ask` is one request at a time, which is all that a test run needs. `traffic.py` has many in flight, over `post` and
`next_frame`.
"""

from __future__ import annotations

import hmac
import socket
from collections import deque
from collections.abc import Iterable, Iterator

from modelyard.errors import DeadlineExceeded, InternalError, ModelyardError, WorkerCrashed
from modelyard.wire.frames import (
    EMPTY,
    FIRST,
    GENERATE,
    LAST,
    PROTOCOL,
    STREAM,
    WINDOW,
    Frame,
    FrameDecoder,
    Kind,
    cost_of,
    encode_credit,
    encode_parts,
)
from modelyard.wire.handshake import FAILED, READY, Hello, State
from modelyard.wire.pieces import Part
from modelyard.wire.reload import Reloaded, encode_paths
from modelyard.wire.worker_errors import decode_error

MIN_WAIT_S = 0.001
"""A socket that waits for no time at all would be one that does not block."""


class LocalLink:
    """A connected stream socket to a worker.

    Every method raises `WorkerCrashed` where the worker is gone, `DeadlineExceeded` where it says or takes
    nothing for `timeout_s` seconds, and what the worker reports.
    """

    def __init__(self, connection: socket.socket, *, timeout_s: float) -> None:
        connection.settimeout(timeout_s)
        self._socket = connection
        self._timeout_s = timeout_s
        self._decoder = FrameDecoder()
        self._ready: deque[Frame] = deque()
        self._last_id = 0

    def greet(self, token: str) -> None:
        """Hear who it is. Raises InternalError where it is not the worker that was started."""
        frame = self.next_frame()
        if frame.kind is not Kind.HELLO:
            raise InternalError(f"a worker begins with HELLO, not {frame.kind.name}")
        hello = Hello.decode(frame.payload)
        if not hmac.compare_digest(hello.token.encode(), token.encode()) or hello.protocol != PROTOCOL:
            raise InternalError("somebody else connected to the worker's socket")

    def wait_loaded(self) -> State:
        """Wait until the model is loaded, or could not be: the state says which."""
        while True:
            frame = self.next_frame()
            if frame.kind is Kind.STATE:
                state = State.decode(frame.payload)
                if state.state in (READY, FAILED):
                    return state

    def ask(self, method: str, payload: bytes) -> Iterator[bytes]:
        """Send one message to `predict`, `generate` or `stream`; its answers as they come."""
        request_id = self.post(method, payload)
        if method == "stream":
            self.end(request_id)
        return self._read_answers(request_id, is_one=method == "predict")

    def post(self, method: str, payload: bytes) -> int:
        """Send one message to a method, and wait for nothing; the number of the request. A `stream` stays open."""
        self._last_id += 1
        flags = {"predict": LAST, "generate": GENERATE | LAST, "stream": STREAM}[method]
        self._send(encode_parts(Kind.REQUEST, self._last_id, payload, FIRST | flags))
        return self._last_id

    def end(self, request_id: int) -> None:
        """Say that nothing more comes on a stream."""
        self._send(encode_parts(Kind.REQUEST, request_id, b"", LAST | EMPTY))

    def cancel(self, request_id: int) -> None:
        """Give a request up, as the server does for a caller who left or whose time is over."""
        self._send(encode_parts(Kind.CANCEL, request_id, b""))

    def grant(self, request_id: int, credit: int) -> None:
        """Let a stream send so much more."""
        self._send((encode_credit(request_id, credit),))

    def ping(self) -> int:
        """Ask whether everything sent so far has arrived: a PONG of the number returned says so."""
        self._last_id += 1
        self._send(encode_parts(Kind.PING, self._last_id, b""))
        return self._last_id

    def reload(self, paths: Iterable[str]) -> Reloaded:
        """Have a worker that takes edits look at the files that changed. Blocks until it did."""
        self._last_id += 1
        self._send(encode_parts(Kind.RELOAD, self._last_id, encode_paths(paths)))
        return Reloaded.decode(next(self._read_answers(self._last_id, is_one=True)))

    def stop(self) -> None:
        """Ask the worker to leave."""
        self._send(encode_parts(Kind.STOP, 0, b""))

    def next_frame(self, timeout_s: float | None = None) -> Frame:
        """The next frame. The end of them is an error, since a worker leaves only when told to.

        Raises DeadlineExceeded after `timeout_s` seconds without one; None: after those of the link.
        """
        while not self._ready:
            self._socket.settimeout(self._timeout_s if timeout_s is None else max(timeout_s, MIN_WAIT_S))
            try:
                size = self._socket.recv_into(self._decoder.writable())
            except TimeoutError:
                waited_s = self._timeout_s if timeout_s is None else timeout_s
                raise DeadlineExceeded(
                    f"the model said nothing for {waited_s:g} s", hint="give it longer with --timeout"
                ) from None
            except OSError:
                raise _crashed() from None
            finally:
                self._socket.settimeout(self._timeout_s)
            if not size:
                raise _crashed()
            self._ready.extend(self._decoder.advance(size))
        return self._ready.popleft()

    def _read_answers(self, request_id: int, *, is_one: bool) -> Iterator[bytes]:
        consumed = 0
        while True:
            frame = self.next_frame()
            if frame.request_id != request_id:
                continue
            if frame.kind is Kind.ERROR:
                raise decode_error(frame.payload)
            if frame.kind is Kind.END:
                return
            if frame.kind is not Kind.ITEM:
                continue
            yield frame.payload
            if is_one or frame.flags & LAST:
                return
            consumed += cost_of(len(frame.payload))
            if consumed >= WINDOW // 2:
                self.grant(request_id, consumed)
                consumed = 0

    def _send(self, parts: tuple[Part, ...]) -> None:
        try:
            for part in parts:
                self._socket.sendall(part)
        except TimeoutError:
            raise DeadlineExceeded(
                f"the model's process took nothing for {self._timeout_s:g} s", hint="give it longer with --timeout"
            ) from None
        except OSError:
            raise _crashed() from None


def _crashed() -> ModelyardError:
    return WorkerCrashed("the model's process died", hint="its last lines are above")
