"""A connection that breaks: passes bytes on to a server, and cuts after so many."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator


class Cutter:
    """Listens on `url`; each connection is cut when `every_bytes` have gone to the server, `cuts` times in all."""

    def __init__(self, address: str, *, every_bytes: int, cuts: int) -> None:
        host, _, port = address.rpartition(":")
        self._target = (host, int(port))
        self._every_bytes = every_bytes
        self.cuts_left = cuts
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._sockets: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def run(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            far = socket.create_connection(self._target)
            for source, target, is_counted in ((far, near, False), (near, far, True)):
                thread = threading.Thread(target=self._pass_on, args=(source, target, is_counted), daemon=True)
                thread.start()
                self._threads.append(thread)
            self._sockets += [near, far]

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(10)
        for one in self._sockets:
            one.close()

    def _pass_on(self, source: socket.socket, target: socket.socket, is_counted: bool) -> None:
        passed = 0
        with contextlib.suppress(OSError):
            while block := source.recv(65536):
                target.sendall(block)
                passed += len(block)
                if is_counted and passed > self._every_bytes and self._may_cut():
                    break
        for one in (source, target):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def _may_cut(self) -> bool:
        with self._lock:
            self.cuts_left -= 1
            return self.cuts_left >= 0


@contextlib.contextmanager
def cutting(address: str, *, every_bytes: int, cuts: int) -> Iterator[Cutter]:
    """A cutter for the length of a block."""
    cutter = Cutter(address, every_bytes=every_bytes, cuts=cuts)
    threading.Thread(target=cutter.run, daemon=True).start()
    try:
        yield cutter
    finally:
        cutter.close()
