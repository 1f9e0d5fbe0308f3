"""Links for tests: real objects behind a real router, that answer at once and keep what they were given."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

from modelyard.errors import Cancelled, ModelyardError, WorkerCrashed
from modelyard.server.backends.base import Taker
from modelyard.wire.messages import MultiOutputResponse, PostModelOutputsRequest
from modelyard.wire.pieces import Payload, join
from modelyard.wire.stats import Stats

ALL_METHODS = frozenset({"predict", "generate", "stream"})
Answer = Callable[[PostModelOutputsRequest], list[bytes]]


def echo(request: PostModelOutputsRequest) -> list[bytes]:
    """One answer an input, with its data."""
    answers = []
    for one in request.inputs:
        answer = MultiOutputResponse()
        answer.outputs.add().data.CopyFrom(one.data)
        answers.append(answer.SerializeToString())
    return answers


class EchoLink:
    """Answers what `answer` says to every request."""

    def __init__(self, answer: Answer = echo) -> None:
        self.is_open = True
        self.payloads: list[bytes] = []
        self.exchanges: list[EchoExchange] = []
        self._answer = answer
        self._takers: dict[int, Taker] = {}
        self._last_number = 0

    @property
    def requests(self) -> list[PostModelOutputsRequest]:
        """What arrived, as the worker would parse it."""
        return [PostModelOutputsRequest.FromString(one) for one in self.payloads]

    async def call(self, payload: Payload, *, time_left_s: float | None = None, is_express: bool = False) -> bytes:
        del time_left_s, is_express
        if not self.is_open:
            raise WorkerCrashed("gone")
        return b"".join(self.take(payload))

    def send(
        self, payload: Payload, taker: Taker, *, time_left_s: float | None = None, is_express: bool = False
    ) -> int:
        del time_left_s, is_express
        if not self.is_open:
            raise WorkerCrashed("gone")
        self._last_number += 1
        self._takers[self._last_number] = taker
        asyncio.get_running_loop().call_soon(self._answer_sent, self._last_number, payload)
        return self._last_number

    def recall(self, number: int) -> bool:
        return self._takers.pop(number, None) is not None

    async def stats(self) -> bytes:
        return Stats().encode()

    def open(
        self, method: str, payload: Payload | None, *, time_left_s: float | None = None, is_express: bool = False
    ) -> EchoExchange:
        del time_left_s, is_express
        self.exchanges.append(EchoExchange(self, method))
        if payload is not None:
            self.exchanges[-1].give(payload)
            self.exchanges[-1].end()
        return self.exchanges[-1]

    def take(self, payload: Payload) -> list[bytes]:
        self.payloads.append(join(payload))
        return self._answer(PostModelOutputsRequest.FromString(self.payloads[-1]))

    def _answer_sent(self, number: int, payload: Payload) -> None:
        taker = self._takers.pop(number, None)
        if taker is None:
            return
        try:
            answer = b"".join(self.take(payload))
        except ModelyardError as error:
            taker.fail(error)
        else:
            taker.take(answer)


class EchoExchange:
    """Answers come as soon as their request has."""

    def __init__(self, link: EchoLink, method: str) -> None:
        self.method = method
        self.cancelled_by: ModelyardError | None = None
        self.is_cancelled = False
        self._link = link
        self._answers: asyncio.Queue[bytes | ModelyardError | None] = asyncio.Queue()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while (answer := await self._answers.get()) is not None:
            if isinstance(answer, ModelyardError):
                raise answer
            yield answer

    async def send(self, payload: bytes) -> None:
        self.give(payload)

    def give(self, payload: bytes) -> None:
        for answer in self._link.take(payload):
            self._answers.put_nowait(answer)

    def end(self) -> None:
        self._answers.put_nowait(None)

    def cancel(self, error: ModelyardError | None = None) -> None:
        if not self.is_cancelled:
            self.is_cancelled = True
            self.cancelled_by = error
            self._answers.put_nowait(error or Cancelled("the caller went away"))
