"""Authors may write `async def`: each author thread has an event loop of its own on which such code runs to the end."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import AsyncIterator, Iterator
from types import CoroutineType

_of_thread = threading.local()
_END = object()


def finish_coroutine(result: object) -> object:
    """The result itself, or what it comes to where it is a coroutine."""
    return _loop().run_until_complete(result) if isinstance(result, CoroutineType) else result


def iterate_async(answers: AsyncIterator[object]) -> Iterator[object]:
    """Iterate an async generator from sync code; closing this closes it."""
    loop = _loop()
    try:
        while (found := loop.run_until_complete(_next(answers))) is not _END:
            yield found
    finally:
        if inspect.isasyncgen(answers):
            loop.run_until_complete(answers.aclose())


async def _next(answers: AsyncIterator[object]) -> object:
    async for answer in answers:
        return answer
    return _END


def _loop() -> asyncio.AbstractEventLoop:
    loop: asyncio.AbstractEventLoop | None = getattr(_of_thread, "loop", None)
    if loop is None:
        loop = _of_thread.loop = asyncio.new_event_loop()
    return loop
