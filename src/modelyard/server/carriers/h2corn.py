"""h2corn carries the application: the default."""

from __future__ import annotations

import asyncio
import logging
import socket
from pathlib import Path
from typing import Any

from h2corn import Config, RequestPolicy, Server

from modelyard.server.carriers.base import (
    BODY_IDLE_S,
    CONNECTIONS,
    FRAME_BYTES,
    HEADER_BYTES,
    HEADERS_S,
    KEEP_ALIVE_S,
    STALL_S,
    STREAMS_PER_CONNECTION,
    WINDOW_BYTES,
    address_of,
    explain_refusal,
)

log = logging.getLogger(__name__)

DRAIN_LIMIT_S = 24 * 3600.0
"""The server's own limit of a graceful stop. Ours is `stop(grace_s)`, which cancels what is left."""
STREAM_PATHS = ("/v2/models/outputs/stream", "/v2/models/versions/upload")
CANCEL_S = 5.0
RUNTIME_THREADS = 1
"""The application has one thread, so the server's own need not be more: two wake each other for nothing."""


class H2CornCarrier:
    """HTTP/1.1, HTTP/2 and gRPC on one port by h2corn, inside this process and event loop.

    Args:
        host: Address to listen on.
        port: 0 takes a free one.
        certfile: PEM certificate chain; with `keyfile`, the port speaks TLS.
        keyfile: PEM private key.
        listener: A socket that listens already, instead of `host` and `port`. It stays its owner's.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        certfile: Path | None = None,
        keyfile: Path | None = None,
        listener: socket.socket | None = None,
    ) -> None:
        self._host = host
        self._port = port
        self._listener = listener
        self._certfile = certfile
        self._keyfile = keyfile
        self._server: Server | None = None
        self._serving: asyncio.Task[None] | None = None
        self._requests: set[asyncio.Task[Any]] = set()

    async def start(self, app: Any) -> str:
        """See `Carrier`."""
        server = Server(self._track(app), self._make_config())
        self._server = server
        self._serving = asyncio.create_task(server.serve(), name="carrier")
        try:
            await server.wait_started()
        except Exception as error:
            await asyncio.gather(self._serving, return_exceptions=True)
            self._serving = None
            if isinstance(error, OSError):
                raise explain_refusal(error, self._host, self._port) from error
            raise
        scheme = "https" if self._certfile else "http"
        where = server.addresses[0] if self._listener is None else address_of(self._listener)
        return f"{scheme}://{where}"

    async def stop(self, grace_s: float) -> None:
        """See `Carrier`."""
        serving, self._serving = self._serving, None
        if self._server is None or serving is None:
            return
        self._server.shutdown()
        done, _ = await asyncio.wait({serving}, timeout=grace_s)
        if not done:
            log.warning("carrier.cut requests=%d grace_s=%s", len(self._requests), grace_s)
            for task in list(self._requests):
                task.cancel()
            done, _ = await asyncio.wait({serving}, timeout=CANCEL_S)
        if not done:
            serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)

    def _track(self, app: Any) -> Any:
        """Know the tasks of the requests in flight, to cancel them when the grace is over."""
        requests = self._requests
        loop = asyncio.get_running_loop()

        async def tracked(scope: Any, receive: Any, send: Any) -> None:
            task = asyncio.current_task(loop)
            if scope["type"] != "lifespan" and task is not None:
                requests.add(task)
            try:
                await app(scope, receive, send)
            finally:
                requests.discard(task)

        return tracked

    def _make_config(self) -> Config:
        bind = f"[{self._host}]:{self._port}" if ":" in self._host else f"{self._host}:{self._port}"
        if self._listener is not None:
            bind = f"fd://{self._listener.fileno()}"
        silent = tuple(
            RequestPolicy(
                path=path,
                max_request_body_size=0,
                timeout_request_body_idle=0,
                h2_timeout_response_stall=STALL_S,
            )
            for path in STREAM_PATHS
        )
        return Config(
            bind=(bind,),
            certfile=self._certfile,
            keyfile=self._keyfile,
            grpc=True,
            runtime_threads=RUNTIME_THREADS,
            access_log=False,
            lifespan="on",
            limit_connections=CONNECTIONS,
            max_concurrent_streams=STREAMS_PER_CONNECTION,
            limit_request_head_size=HEADER_BYTES,
            limit_request_field_size=HEADER_BYTES,
            limit_request_line=HEADER_BYTES,
            h2_max_header_list_size=HEADER_BYTES,
            h2_max_header_block_size=HEADER_BYTES,
            h2_max_inbound_frame_size=FRAME_BYTES,
            h2_initial_stream_window_size=WINDOW_BYTES,
            h2_initial_connection_window_size=2 * WINDOW_BYTES,
            max_request_body_size=0,  # the REST door has a limit a route
            request_policies=silent,
            timeout_request_body_idle=BODY_IDLE_S,
            timeout_request_header=HEADERS_S,
            timeout_keep_alive=KEEP_ALIVE_S,
            h2_timeout_response_stall=STALL_S,
            h2_timeout_write=STALL_S,
            timeout_graceful_shutdown=DRAIN_LIMIT_S,
        )
