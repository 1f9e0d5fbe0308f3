"""One GET to addresses that were checked before: no second look at a name, no proxy, no cookie, a cap on what comes."""

from __future__ import annotations

import ssl
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from http import HTTPStatus

import httpcore

from modelyard.errors import InvalidInput
from modelyard.server.services.addresses import Address
from modelyard.server.services.web_place import Place

REDIRECTS = frozenset({301, 302, 303, 307, 308})
USER_AGENT = b"modelyard"
GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS
SocketOption = tuple[int, int, int] | tuple[int, int, bytes | bytearray] | tuple[int, int, None, int]


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one GET may take."""

    max_size_bytes: int
    idle_timeout_s: float


@dataclass(frozen=True, kw_only=True)
class Found:
    """What was there: content, or where to look instead."""

    content: bytes = b""
    location: str | None = None


class PinnedNetwork(httpcore.AsyncNetworkBackend):
    """Connects to these addresses, whatever name it is asked for; the name is for TLS and the Host header only."""

    def __init__(self, addresses: Sequence[Address]) -> None:
        self._addresses = addresses
        self._network = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,  # noqa: ARG002  the interface's
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[SocketOption] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """See httpcore: the first address that answers."""
        failure: Exception = httpcore.ConnectError("the name has no address")
        for address in self._addresses:
            try:
                return await self._network.connect_tcp(str(address), port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:  # noqa: PERF203  a few at most
                failure = error
        raise failure

    async def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[SocketOption] | None = None
    ) -> httpcore.AsyncNetworkStream:
        """Never."""
        raise httpcore.ConnectError(f"unix sockets are not fetched from: {path}, {timeout}, {socket_options}")

    async def sleep(self, seconds: float) -> None:
        """See httpcore."""
        await self._network.sleep(seconds)


async def get(place: Place, addresses: Sequence[Address], limits: Limits, tls: ssl.SSLContext | None) -> Found:
    """Ask for one URL. Raises InvalidInput, which does not name the URL, for every way in which it can fail."""
    idle_s = limits.idle_timeout_s
    try:
        async with (
            httpcore.AsyncConnectionPool(
                ssl_context=tls, max_connections=1, network_backend=PinnedNetwork(addresses)
            ) as pool,
            pool.stream(
                b"GET",
                httpcore.URL(
                    scheme=place.scheme.encode(), host=place.host.encode(), port=place.port, target=place.target
                ),
                headers=[
                    (b"Host", place.authority.encode()),
                    (b"User-Agent", USER_AGENT),
                    (b"Accept", b"*/*"),
                    (b"Accept-Encoding", b"identity"),
                    (b"Connection", b"close"),
                ],
                extensions={"timeout": dict.fromkeys(("connect", "read", "write", "pool"), idle_s)},
            ) as response,
        ):
            return await _read(response, limits.max_size_bytes)
    except httpcore.TimeoutException:
        raise InvalidInput(f"nothing came for {idle_s:g} s") from None
    except httpcore.ConnectError as error:
        raise InvalidInput(f"no connection could be made: {_first_line(error)}") from None
    except (httpcore.NetworkError, httpcore.ProtocolError) as error:
        raise InvalidInput(f"the connection broke off: {_first_line(error)}") from None


async def _read(response: httpcore.Response, max_size_bytes: int) -> Found:
    headers = {name.lower(): value.decode("latin-1") for name, value in response.headers}
    if response.status in REDIRECTS:
        if b"location" not in headers:
            raise InvalidInput(f"it answers {response.status} and does not say where to")
        return Found(location=headers[b"location"])
    if response.status != HTTPStatus.OK:
        raise InvalidInput(f"it answers {response.status}, not 200")
    announced = headers.get(b"content-length", "")
    if announced.isdecimal() and int(announced) > max_size_bytes:
        raise _too_large(max_size_bytes)
    body = _Body(headers.get(b"content-encoding", "identity").strip().lower(), max_size_bytes)
    async for block in response.aiter_stream():
        body.add(block)
    return Found(content=body.finish())


class _Body:
    """Content as it comes, unpacked where the server packed it unasked; never more than the cap in memory."""

    def __init__(self, encoding: str, max_size_bytes: int) -> None:
        if encoding not in ("identity", "", "gzip", "x-gzip", "deflate"):
            raise InvalidInput(f"its content is packed as {encoding[:40]!r}, which was not asked for")
        self._unpacker = None if encoding in ("identity", "") else zlib.decompressobj(GZIP_OR_ZLIB)
        self._max_size_bytes = max_size_bytes
        self._received = 0
        self._content = bytearray()

    def add(self, block: bytes) -> None:
        """More of it. Raises InvalidInput beyond the cap, packed or unpacked, and for broken packing."""
        self._received += len(block)
        room = self._max_size_bytes - len(self._content)
        if self._unpacker is not None:
            try:
                block = self._unpacker.decompress(block, room + 1)
            except zlib.error as error:
                raise InvalidInput(f"its content cannot be unpacked: {error}") from None
            if self._unpacker.unused_data:
                raise InvalidInput("its content cannot be unpacked: something follows its end")
        if len(block) > room or self._received > self._max_size_bytes:
            raise _too_large(self._max_size_bytes)
        self._content += block

    def finish(self) -> bytes:
        """All of it. Raises InvalidInput where packed content ends too early."""
        if self._unpacker is not None and not self._unpacker.eof:
            raise InvalidInput("its content cannot be unpacked: it ends too early")
        return bytes(self._content)


def _too_large(max_size_bytes: int) -> InvalidInput:
    return InvalidInput(f"it has more than {max_size_bytes} bytes, the most that are fetched", hint="send it smaller")


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
