"""Plain HTTP to a server, for what is ours beside the V2 methods: one connection a thread, kept open."""

from __future__ import annotations

import http.client
import json
import ssl
import threading
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from google.protobuf import json_format

from modelyard.client.auth import Context
from modelyard.errors import MethodNotImplemented, ModelyardError, NotFound
from modelyard.wire.messages import BaseResponse
from modelyard.wire.status import error_of

TIMEOUT_S = 120.0
BLOCK_BYTES = 1024 * 1024
BROKEN = (OSError, http.client.HTTPException)
"""What a connection that breaks raises: the same request may be sent again."""


class Rest:
    """Requests to one server. Any number of threads; `close` ends the connections of all."""

    def __init__(self, context: Context) -> None:
        self._parts = urlsplit(context.base if "://" in context.base else f"http://{context.base}")
        self._headers = {"Authorization": f"Key {context.token}"}
        self._mine = threading.local()
        self._all: list[http.client.HTTPConnection] = []
        self._lock = threading.Lock()

    def send(
        self,
        verb: str,
        path: str,
        body: bytes | Iterable[bytes] = b"",
        *,
        size_bytes: int | None = None,
        headers: dict[str, str] | None = None,
    ) -> dict[str, Any]:
        """One request; the JSON object of its answer.

        Args:
            verb: Such as `POST`.
            path: With its query.
            body: All of it, or blocks of it.
            size_bytes: Of a body in blocks.
            headers: More of them.

        Raises:
            OSError, HTTPException: the connection broke.
            MethodNotImplemented: the server has no such path.
            ModelyardError: what the answer's status tells.
        """
        connection = self._connection()
        length = len(body) if isinstance(body, bytes) else size_bytes
        told = {**self._headers, **(headers or {}), "Content-Length": str(length)}
        try:
            try:
                connection.request(verb, self._target(path), body, told)
            except (BrokenPipeError, ConnectionResetError):
                # A server that refuses a body may answer before it has read all of it.
                if connection.sock is None:
                    raise
            response = connection.getresponse()
            content = response.read()
        except BROKEN:
            connection.close()
            raise
        return _read(response, content)

    def close(self) -> None:
        """Close all connections."""
        with self._lock:
            for connection in self._all:
                connection.close()
            self._all.clear()

    def _connection(self) -> http.client.HTTPConnection:
        found: http.client.HTTPConnection | None = getattr(self._mine, "connection", None)
        if found is None:
            found = self._mine.connection = self._open()
            with self._lock:
                self._all.append(found)
        return found

    def _open(self) -> http.client.HTTPConnection:
        scheme, host, port = self._parts.scheme, self._parts.hostname or "", self._parts.port
        proxy = self._find_proxy()
        if scheme == "https":
            context = ssl.create_default_context()
            if proxy is None:
                return http.client.HTTPSConnection(
                    host, port, timeout=TIMEOUT_S, context=context, blocksize=BLOCK_BYTES
                )
            secure = http.client.HTTPSConnection(
                proxy[0], proxy[1], timeout=TIMEOUT_S, context=context, blocksize=BLOCK_BYTES
            )
            secure.set_tunnel(host, port or 443)
            return secure
        at = proxy or (host, port or 80)
        return http.client.HTTPConnection(at[0], at[1], timeout=TIMEOUT_S, blocksize=BLOCK_BYTES)

    def _target(self, path: str) -> str:
        """A proxy of plain HTTP is told the whole address."""
        is_passed_on = self._parts.scheme == "http" and self._find_proxy() is not None
        return f"http://{self._parts.netloc}{path}" if is_passed_on else path

    def _find_proxy(self) -> tuple[str, int] | None:
        """The environment's proxy; none for this machine, which a proxy cannot reach."""
        host = self._parts.hostname or ""
        found = getproxies().get(self._parts.scheme, "")
        if not found or host == "localhost" or host.startswith("127.") or host == "::1" or proxy_bypass(host):
            return None
        parts = urlsplit(found if "://" in found else f"http://{found}")
        return (parts.hostname, parts.port or 8080) if parts.hostname else None


def _read(response: http.client.HTTPResponse, content: bytes) -> dict[str, Any]:
    try:
        value = json.loads(content)
    except ValueError:
        value = None
    if response.status == 200 and isinstance(value, dict):
        return value
    error = _find_error(value)
    if error is None or type(error) is NotFound:  # a path that nobody answers; a model that is not there says so
        raise MethodNotImplemented(f"the server answers {response.status} to a request of the delta protocol")
    raise error


def _find_error(value: object) -> ModelyardError | None:
    if not isinstance(value, dict) or "status" not in value:
        return None
    told = BaseResponse()
    try:
        json_format.ParseDict(value, told, ignore_unknown_fields=True)
    except json_format.ParseError:
        return None
    return error_of(told.status) if told.status.code else None
