"""Work in threads is waited for, however often whoever asked for it is cancelled."""

from __future__ import annotations

import asyncio
import threading

import pytest

from modelyard.server.threads import finish, in_thread, outlast, start_in_thread


async def test_it_gives_what_the_work_gives_or_raises() -> None:
    assert await in_thread(sorted, [2, 1], reverse=False) == [1, 2]
    with pytest.raises(ZeroDivisionError):
        await in_thread(divmod, 1, 0)


@pytest.mark.parametrize("cancels", [1, 2, 5])
async def test_a_cancellation_is_raised_when_the_thread_has_ended(cancels: int) -> None:
    has_begun, may_end, ended = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        has_begun.set()
        may_end.wait(10)
        ended.set()

    task = asyncio.create_task(in_thread(work))
    await asyncio.to_thread(has_begun.wait, 10)
    for _ in range(cancels):
        task.cancel()
        await asyncio.sleep(0)
        assert not task.done()
    may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()


async def test_outlasting_raises_no_error_of_the_work() -> None:
    work = start_in_thread(divmod, 1, 0)
    await outlast(work)
    with pytest.raises(ZeroDivisionError):
        await finish(work)
