"""Links for tests of the router: they answer when they are told to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from modelyard.errors import Cancelled, ModelyardError, WorkerCrashed
from modelyard.server.routing.router import Router

PREDICT = frozenset({"predict"})


class FakeExchange:
    def __init__(self) -> None:
        self.is_cancelled = False
        self._answers: asyncio.Queue[bytes | ModelyardError | None] = asyncio.Queue()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while (answer := await self._answers.get()) is not None:
            if isinstance(answer, ModelyardError):
                raise answer
            yield answer

    async def send(self, payload: bytes) -> None:
        self._answers.put_nowait(payload)

    def end(self) -> None:
        self._answers.put_nowait(None)

    def cancel(self, error: ModelyardError | None = None) -> None:
        self.is_cancelled = True
        self._answers.put_nowait(error or Cancelled("x"))


class FakeLink:
    """Answers when it is told to."""

    def __init__(self) -> None:
        self.is_open = True
        self.calls: list[asyncio.Future[bytes]] = []
        self.exchanges: list[FakeExchange] = []
        self.told: list[tuple[float | None, bool]] = []
        """What came with each request: the time left, and whether it may overtake."""

    async def call(self, payload: bytes, *, time_left_s: float | None = None, is_express: bool = False) -> bytes:
        if not self.is_open:
            raise WorkerCrashed("gone")
        self.told.append((time_left_s, is_express))
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self.calls.append(future)
        return await future

    def open(
        self, method: str, payload: bytes | None, *, time_left_s: float | None = None, is_express: bool = False
    ) -> FakeExchange:
        self.told.append((time_left_s, is_express))
        self.exchanges.append(FakeExchange())
        return self.exchanges[-1]

    def answer(self, index: int = 0) -> None:
        self.calls.pop(index).set_result(b"answer")

    def crash(self) -> None:
        self.is_open = False
        for future in self.calls:
            future.set_exception(WorkerCrashed("gone"))
        self.calls.clear()


def call(
    router: Router, *, caller: str = "one", payload: bytes = b"", deadline: float | None = None
) -> asyncio.Task[bytes]:
    return asyncio.create_task(router.call("v", payload, caller=caller, deadline=deadline))


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)
