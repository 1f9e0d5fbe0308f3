"""Each request is told once, when it is over: its method, its times, and how it ended."""

from __future__ import annotations

import asyncio

import pytest

from modelyard.server.api.access import Access
from modelyard.server.api.asgi import make_app
from modelyard.server.api.v2.observed import ObservedV2, Seen
from modelyard.wire.messages import PostModelOutputsRequest, StatusCode
from support.doors import AsgiExchange, EchoHandlers, FakeTokens, eventually, frame, grpc_exchange


def request_of(*texts: str) -> bytes:
    request = PostModelOutputsRequest(model_id="m")
    request.user_app_id.app_id = "main"
    for text in texts:
        request.inputs.add().data.text.raw = text
    return frame(request)


class House:
    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self.echo = EchoHandlers()
        self.app = make_app(
            ObservedV2(Access(FakeTokens()), self.echo.handlers(), self.seen.append), is_ready=lambda: True
        )

    async def ask(self, method: str, *messages: bytes, headers: dict[str, str] | None = None) -> AsgiExchange:
        return await grpc_exchange(method, list(messages), headers or {"authorization": "Key all"}).run(self.app)


@pytest.mark.parametrize(
    ("method", "texts", "answers"),
    [("PostModelOutputs", ["a"], 1), ("GenerateModelOutputs", ["a", "b"], 2), ("StreamModelOutputs", ["a"], 1)],
)
async def test_a_request_that_succeeds(method: str, texts: list[str], answers: int) -> None:
    house = House()
    await house.ask(method, request_of(*texts))

    [seen] = house.seen
    assert (seen.method, seen.answers, seen.is_fine) == (method, answers, True)
    assert seen.first_s is not None
    assert 0 < seen.first_s <= seen.latency_s


@pytest.mark.parametrize("method", ["PostModelOutputs", "GenerateModelOutputs"])
async def test_a_request_that_fails_has_the_status_of_its_answer(method: str) -> None:
    house = House()
    await house.ask(method, request_of("missing"))

    [seen] = house.seen
    assert (seen.is_fine, seen.status.code) == (False, StatusCode.MODEL_DOES_NOT_EXIST)
    assert "Model does not exist" in seen.status.details + seen.status.description


async def test_a_request_without_a_token_is_told_too() -> None:
    house = House()
    await house.ask("PostModelOutputs", request_of("a"), headers={"authorization": "Key wrong"})

    assert [(seen.method, seen.is_fine) for seen in house.seen] == [("PostModelOutputs", False)]
    assert house.echo.calls == []


async def test_a_caller_who_leaves_is_told_as_such() -> None:
    house = House()
    asking = asyncio.create_task(house.ask("PostModelOutputs", request_of("hang")))
    await eventually(house.echo.entered.is_set)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)

    await eventually(lambda: len(house.seen) == 1)
    assert (house.seen[0].status.code, house.seen[0].answers) == (0, 0)
