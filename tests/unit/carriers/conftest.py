"""Carriers run on uvloop, and on asyncio's own loop where there is no uvloop: their tests run on both."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import uvloop

from support.h2peer import Client, Dial, Peer


@pytest.hookimpl
def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.fixture
async def dial() -> AsyncIterator[Dial]:
    """Makes published clients of an application over HTTP/2."""
    clients: list[Client] = []

    def make(app: Any, settings: dict[int, int] | None = None, **options: Any) -> Client:
        clients.append(Client(app, settings, **options))
        return clients[-1]

    yield make
    for client in clients:
        await client.close()


@pytest.fixture
async def peers() -> AsyncIterator[Callable[[Any], Peer]]:
    """Makes clients that send whatever they are told to."""
    made: list[Peer] = []

    def make(app: Any) -> Peer:
        made.append(Peer(app))
        return made[-1]

    yield make
    for peer in made:
        await peer.close()
