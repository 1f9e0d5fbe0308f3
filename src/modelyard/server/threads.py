"""Work in threads that is never left behind: a thread cannot be stopped, so whoever asked for its work waits for its
end, however often that wait is cancelled. What the work writes to is closed, moved or removed only then."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from functools import partial
from typing import ParamSpec, TypeVar

_P = ParamSpec("_P")
_T = TypeVar("_T")


def start_in_thread(function: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> asyncio.Future[_T]:
    """Begin it; `finish` or `outlast` waits for it. The future itself is not to be awaited: a cancellation would mark
    it as done while its thread goes on. It is no task: a loop that ends, and cancels its tasks, leaves it alone."""
    run = partial(contextvars.copy_context().run, function, *args, **kwargs)
    return asyncio.get_running_loop().run_in_executor(None, run)


async def outlast(work: asyncio.Future[_T]) -> None:
    """Wait for the end of work, whatever it ends with; a cancellation that comes meanwhile is raised after it."""
    cancelled: asyncio.CancelledError | None = None
    while not work.done():
        try:
            await asyncio.wait({work})
        except asyncio.CancelledError as error:  # noqa: PERF203
            cancelled = error
    if not work.cancelled():
        work.exception()  # looked at, so that nobody is told of an error that a cancellation outruns
    if cancelled is not None:
        raise cancelled


async def finish(work: asyncio.Future[_T]) -> _T:
    """What work results in, or raises; a cancellation that comes meanwhile is raised when it has ended."""
    await outlast(work)
    return work.result()


async def in_thread(function: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
    """Run it in a thread. Unlike `asyncio.to_thread`, a cancellation is raised only when the thread has ended."""
    return await finish(start_in_thread(function, *args, **kwargs))
