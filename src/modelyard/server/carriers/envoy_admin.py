"""Questions to Envoy's administration, which listens on a private unix socket."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
from pathlib import Path

from modelyard.errors import InternalError

TIMEOUT_S = 5.0
PAUSE_S = 0.05


async def drain_listeners(path: Path) -> None:
    """Close the ports; what is connected stays. Raises `OSError` where Envoy is not there, `InternalError`."""
    await asyncio.to_thread(_ask, path, "POST", "/drain_listeners")


async def find_port(path: Path) -> int:
    """The port that Envoy listens on, once it does. Raises as `drain_listeners`, and `TimeoutError`."""
    async with asyncio.timeout(TIMEOUT_S):
        while True:
            answer = json.loads(await asyncio.to_thread(_ask, path, "GET", "/listeners?format=json"))
            for listener in answer.get("listener_statuses", ()):
                if port := listener["local_address"]["socket_address"].get("port_value"):
                    return int(port)
            await asyncio.sleep(PAUSE_S)


def _ask(path: Path, verb: str, target: str) -> bytes:
    connection = _UnixConnection(path)
    try:
        connection.request(verb, target)
        answer = connection.getresponse()
        body = answer.read()
    finally:
        connection.close()
    if answer.status != http.client.OK:
        raise InternalError(f"Envoy refused {target}: {answer.status}")
    return body


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("envoy", timeout=TIMEOUT_S)
        self._path = path

    def connect(self) -> None:
        """Over a unix socket."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(TIMEOUT_S)
        self.sock.connect(str(self._path))
