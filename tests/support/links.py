"""Links for tests of the router: they answer when they are told to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from typing import NamedTuple

from modelyard.errors import Cancelled, ModelyardError, WorkerCrashed
from modelyard.server.backends.base import Taker
from modelyard.server.routing.passage import Passage
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


class FakeTaker:
    """Keeps what it hears."""

    def __init__(self) -> None:
        self.heard: list[bytes | ModelyardError] = []
        self._has_heard = asyncio.Event()

    async def hear(self) -> bytes | ModelyardError:
        await asyncio.wait_for(self._has_heard.wait(), 5)
        return self.heard[-1]

    def take(self, answer: bytes) -> None:
        self.heard.append(answer)
        self._has_heard.set()

    def fail(self, error: ModelyardError) -> None:
        self.heard.append(error)
        self._has_heard.set()


class FakeLink:
    """Answers when it is told to."""

    def __init__(self) -> None:
        self.is_open = True
        self.calls: list[asyncio.Future[bytes]] = []
        """Requests, awaited or sent, as they came; cancelled is what nobody waits for any more."""
        self.payloads: list[bytes] = []
        self.exchanges: list[FakeExchange] = []
        self.told: list[tuple[float | None, bool]] = []
        """What came with each request: the time left, and whether it may overtake."""
        self._sent: list[asyncio.Future[bytes]] = []

    async def call(self, payload: bytes, *, time_left_s: float | None = None, is_express: bool = False) -> bytes:
        return await self._begin(payload, time_left_s, is_express)

    def send(self, payload: bytes, taker: Taker, *, time_left_s: float | None = None, is_express: bool = False) -> int:
        request = self._begin(payload, time_left_s, is_express)
        request.add_done_callback(partial(_tell, taker))
        self._sent.append(request)
        return len(self._sent)

    def recall(self, number: int) -> bool:
        return number > 0 and self._sent[number - 1].cancel()

    def open(
        self, method: str, payload: bytes | None, *, time_left_s: float | None = None, is_express: bool = False
    ) -> FakeExchange:
        self.told.append((time_left_s, is_express))
        self.exchanges.append(FakeExchange())
        return self.exchanges[-1]

    def answer(self, index: int = 0) -> None:
        self.calls.pop(index).set_result(b"answer")

    def fail(self, error: ModelyardError, index: int = 0) -> None:
        self.calls.pop(index).set_exception(error)

    def crash(self) -> None:
        self.is_open = False
        for future in self.calls:
            future.set_exception(WorkerCrashed("gone"))
        self.calls.clear()

    def _begin(self, payload: bytes, time_left_s: float | None, is_express: bool) -> asyncio.Future[bytes]:
        if not self.is_open:
            raise WorkerCrashed("gone")
        self.payloads.append(payload)
        self.told.append((time_left_s, is_express))
        self.calls.append(asyncio.get_running_loop().create_future())
        return self.calls[-1]


def _tell(taker: Taker, request: asyncio.Future[bytes]) -> None:
    if request.cancelled():
        return
    error = request.exception()
    if isinstance(error, ModelyardError):
        taker.fail(error)
    else:
        taker.take(request.result())


def call(
    router: Router, *, caller: str = "one", payload: bytes = b"", deadline: float | None = None
) -> asyncio.Task[bytes]:
    return asyncio.create_task(router.call("v", payload, caller=caller, deadline=deadline))


class Sent(NamedTuple):
    passage: Passage
    taker: FakeTaker

    @property
    def heard(self) -> list[bytes | ModelyardError]:
        return self.taker.heard

    def cancel(self) -> bool:
        return self.passage.cancel()


def send(router: Router, *, caller: str = "one", payload: bytes = b"", deadline: float | None = None) -> Sent:
    taker = FakeTaker()
    passage = router.send("v", payload, taker, caller=caller, deadline=deadline)
    assert passage is not None
    return Sent(passage, taker)


async def answer_all(link: FakeLink) -> None:
    while link.calls:
        link.answer()
        await settle()


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)
