"""A front, in a process of its own: `python -m modelyard.server.carriers.front SOCKET NUMBER FD`.

It accepts from a socket that the house opened, and passes every request on (`relay/`). It ends with the house.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from pathlib import Path

import uvloop

from modelyard.server.carriers.inloop import InLoopCarrier
from modelyard.server.carriers.relay.front import FrontApp
from modelyard.server.logging_setup import set_up_logging

LAST_S = 24 * 3600.0
"""The house has the clock: it ends a front that takes too long."""


async def run(path: Path, number: int, listener: socket.socket) -> None:
    """Serve until the house says stop, or has gone."""
    stop, lost = asyncio.Event(), asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, lost.set)
    carrier = InLoopCarrier(listener=listener)
    await carrier.start(FrontApp(path, number, on_stop=stop.set, on_lost=lost.set))
    ways = [asyncio.create_task(one.wait()) for one in (stop, lost)]
    await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    listener.close()
    ending = asyncio.create_task(carrier.stop(grace_s=LAST_S))
    await asyncio.wait([ending, ways[1]], return_when=asyncio.FIRST_COMPLETED)
    if not ending.done():
        ending.cancel()
        await carrier.stop(grace_s=0)
    for way in ways:
        way.cancel()


def main() -> None:
    """What `python -m` runs."""
    set_up_logging()
    path, number, descriptor = sys.argv[1:]
    uvloop.run(run(Path(path), int(number), socket.socket(fileno=int(descriptor))))


if __name__ == "__main__":
    main()
