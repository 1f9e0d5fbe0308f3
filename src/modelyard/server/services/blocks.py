"""Bodies on their way from the network to the disk: blocks that are worth a thread's time, and who waits for them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractContextManager, asynccontextmanager
from typing import TypeVar

from modelyard.errors import Cancelled, UploadIncomplete
from modelyard.parts.depot import BLOCK_BYTES
from modelyard.server.threads import in_thread, outlast, start_in_thread

_T = TypeVar("_T")


async def next_block(blocks: AsyncIterator[bytes], idle_s: float) -> bytes:
    """The next one; empty at the end. Raises UploadIncomplete where nothing comes for so long."""
    try:
        async with asyncio.timeout(idle_s):
            return await anext(blocks, b"")
    except TimeoutError:
        raise UploadIncomplete(f"nothing came for {idle_s:g} seconds", hint="send the rest") from None


async def gather_blocks(chunks: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    """Chunks as they come from a network, in blocks that are worth a thread's time; those before a break, too."""
    waiting: list[bytes] = []
    size = 0
    try:
        async for chunk in chunks:
            waiting.append(chunk)
            size += len(chunk)
            if size >= BLOCK_BYTES:
                yield b"".join(waiting)
                waiting, size = [], 0
    except Cancelled:
        if waiting:
            yield b"".join(waiting)
        raise
    if waiting:
        yield b"".join(waiting)


@asynccontextmanager
async def in_threads(manager: AbstractContextManager[_T]) -> AsyncIterator[_T]:
    """Enter and leave a context manager that blocks; left in any case, a cancellation while it is entered included."""
    entering = start_in_thread(manager.__enter__)
    try:
        await outlast(entering)
    except asyncio.CancelledError:
        if entering.exception() is None:
            await in_thread(manager.__exit__, None, None, None)
        raise
    try:
        yield entering.result()
    except BaseException as error:
        leaving = start_in_thread(manager.__exit__, type(error), error, error.__traceback__)
        await outlast(leaving)
        raise
    await in_thread(manager.__exit__, None, None, None)
