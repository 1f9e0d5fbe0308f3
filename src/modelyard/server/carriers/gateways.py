"""Several processes on one port: this one has the application, the others are fronts of it."""

from __future__ import annotations

import asyncio
import socket
import sys
from pathlib import Path
from typing import Any

from modelyard.errors import InternalError
from modelyard.server.carriers.base import open_listener
from modelyard.server.carriers.fronts import FrontProcess, Process, end_process, make_environ
from modelyard.server.carriers.inloop import InLoopCarrier
from modelyard.server.carriers.relay.house import RelayHouse

START_S = 30.0


class GatewaysCarrier:
    """A `Carrier` of several processes. They accept from one socket, so nobody else can have the port.

    Args:
        run_dir: A private folder (0700) with a short path.
        gateways: How many processes, this one included.
        host: Address to listen on.
        port: 0 takes a free one.
    """

    def __init__(self, *, run_dir: Path, gateways: int, host: str = "127.0.0.1", port: int = 0) -> None:
        self._path = run_dir / "relay"
        self._gateways = gateways
        self._host = host
        self._port = port
        self._listener: socket.socket | None = None
        self._house: RelayHouse | None = None
        self._own: InLoopCarrier | None = None
        self._fronts: list[FrontProcess] = []

    async def start(self, app: Any) -> str:
        """See `Carrier`."""
        self._listener = open_listener(self._host, self._port)
        self._house = RelayHouse(app, self._path)
        await self._house.open()
        self._fronts = [
            FrontProcess(f"front-{number}", lambda number=number: self._start_front(number))  # type: ignore[misc]
            for number in range(1, self._gateways)
        ]
        try:
            await asyncio.gather(*(front.start() for front in self._fronts))
            self._own = InLoopCarrier(listener=self._listener)
            return await self._own.start(app)
        except BaseException:
            await self.stop(grace_s=0)
            raise

    async def stop(self, grace_s: float) -> None:
        """See `Carrier`."""
        house, self._house = self._house, None
        if house is None:
            return
        for front in self._fronts:
            front.leave()
        house.ask_to_stop()
        if self._listener is not None:
            self._listener.close()
        own = self._own.stop(grace_s) if self._own is not None else asyncio.sleep(0)
        await asyncio.gather(own, *(front.stop(grace_s) for front in self._fronts))
        await house.close()

    async def _start_front(self, number: int) -> Process:
        house, listener = self._house, self._listener
        if house is None or listener is None:
            raise InternalError("the server stops")
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "modelyard.server.carriers.front"),
            *(str(self._path), str(number), str(listener.fileno())),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            pass_fds=[listener.fileno()],
            env=make_environ(),
            start_new_session=True,  # Ctrl-C in a terminal is the house's to hear
        )
        try:
            is_there = await house.wait_until(
                lambda: house.has_front(number) or process.returncode is not None, START_S
            )
        except BaseException:
            await end_process(process, grace_s=0)
            raise
        if not is_there or not house.has_front(number):
            await end_process(process, grace_s=0)
            raise InternalError(f"gateway process {number} did not start", hint="the server's log says why")
        return process
