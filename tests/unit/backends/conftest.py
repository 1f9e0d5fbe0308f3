"""What the tests of links share."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator

import pytest

from modelyard.server.backends.link import WorkerLink
from support.link_peer import Owner, Pair, Sharing, Worker


@pytest.fixture
async def pair() -> AsyncIterator[Pair]:
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    owner = Owner()
    loop = asyncio.get_running_loop()
    _, link = await loop.create_connection(lambda: WorkerLink(owner, max_payload_bytes=1 << 20), sock=ours)
    yield Pair(link, Worker(theirs), owner)
    link.abort()
    await link.closed.wait()
    theirs.close()


@pytest.fixture
async def sharing(pair: Pair) -> AsyncIterator[Sharing]:
    found = Sharing(pair)
    await found.begin()
    yield found
    os.close(found.file)
