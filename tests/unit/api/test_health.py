"""Health at both doors: of the server for anybody, of a model for tokens that may see it."""

from __future__ import annotations

import asyncio
import json

import pytest
from google.protobuf import descriptor_pb2

from modelyard.errors import ModelNotFound
from modelyard.server.api.access import Access
from modelyard.server.api.asgi import make_app
from modelyard.server.api.v2.health import HealthV2
from modelyard.server.records import Caller
from modelyard.server.services.readiness import Readiness
from modelyard.wire import health as messages
from support.doors import (
    AsgiExchange,
    EchoHandlers,
    FakeTokens,
    eventually,
    frame,
    grpc_exchange,
    http_exchange,
    make_v2,
    split_frames,
)

MODEL = "users/ann/apps/main/models/m"
SERVING, NOT_SERVING, UNKNOWN = (messages.encode_status(one) for one in (1, 2, 3))


class FakeReadiness:
    is_ready = True

    async def check(self) -> Readiness:
        return Readiness(is_ready=self.is_ready, models=2, models_ready=2 if self.is_ready else 1)

    async def check_model(self, user_id: str, app_id: str, model_id: str) -> bool:
        if (user_id, app_id, model_id) != ("ann", "main", "m"):
            raise ModelNotFound("Model does not exist")
        return self.is_ready


@pytest.fixture
def readiness() -> FakeReadiness:
    return FakeReadiness()


@pytest.fixture
def app(readiness: FakeReadiness):
    bound = Caller(user_id="ann", token_id="t2", app_ids=frozenset({"other"}))
    access = Access(FakeTokens(bound=bound))
    return make_app(make_v2(EchoHandlers()), health=HealthV2(readiness, access))  # type: ignore[arg-type]


def check_of(service: str, method: str = "Check", token: str = "Key all") -> AsgiExchange:
    payload = b"" if not service else b"\x0a" + bytes([len(service)]) + service.encode()
    return grpc_exchange(method, [frame(payload)], {"authorization": token}, service=messages.SERVICE)


async def test_readyz_says_how_many_models_answer(app, readiness: FakeReadiness) -> None:
    exchange = await http_exchange("GET", "/readyz", headers={"authorization": ""}).run(app)
    assert (exchange.status, json.loads(exchange.body)) == (200, {"is_ready": True, "models": 2, "models_ready": 2})
    readiness.is_ready = False
    exchange = await http_exchange("GET", "/readyz").run(app)
    assert (exchange.status, json.loads(exchange.body)["models_ready"]) == (503, 1)
    assert (await http_exchange("GET", "/healthz").run(app)).status == 200


async def test_readiness_of_a_model_needs_a_token_that_may_see_it(app, readiness: FakeReadiness) -> None:
    async def ask(name: str, token: str) -> int:
        return (await http_exchange("GET", f"/readyz/{name}", headers={"authorization": token}).run(app)).status

    assert await ask(MODEL, "Key all") == 200
    assert await ask(MODEL, "Key wrong") == 401
    assert await ask(MODEL, "Key bound") == 403
    assert await ask(MODEL + "x", "Key all") == 404
    assert await ask("users/ann/apps/main", "Key all") == 404
    readiness.is_ready = False
    assert await ask(MODEL, "Key all") == 503


@pytest.mark.parametrize("service", ["", "clarifai.api.V2", MODEL])
async def test_grpc_check_tells_what_readyz_tells(app, readiness: FakeReadiness, service: str) -> None:
    for is_ready, told in ((True, SERVING), (False, NOT_SERVING)):
        readiness.is_ready = is_ready
        exchange = await check_of(service).run(app)
        assert split_frames(exchange.body) == [told]
        assert exchange.trailers[b"grpc-status"] == b"0"


@pytest.mark.parametrize(
    ("exchange", "status"),
    [
        (check_of("nothing.of.ours"), b"5"),
        (check_of(MODEL, token="Key wrong"), b"5"),
        (check_of(MODEL, token="Key bound"), b"5"),
        (check_of("", method="List"), b"12"),
        (grpc_exchange("Check", [frame(b"\xff")], service=messages.SERVICE), b"3"),
        (grpc_exchange("Check", [frame(b"")], {"grpc-timeout": "x"}, service=messages.SERVICE), b"3"),
    ],
)
async def test_grpc_check_of_what_is_not_there_is_not_found(exchange: AsgiExchange, status: bytes) -> None:
    bound = Caller(user_id="ann", token_id="t2", app_ids=frozenset({"other"}))
    access = Access(FakeTokens(bound=bound))
    app = make_app(make_v2(EchoHandlers()), health=HealthV2(FakeReadiness(), access))  # type: ignore[arg-type]
    await exchange.run(app)
    assert exchange.trailers[b"grpc-status"] == status


async def test_grpc_watch_tells_each_change_until_the_caller_leaves(
    app, readiness: FakeReadiness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("modelyard.server.api.grpc.health.LOOK_S", 0.01)
    exchange = check_of("", method="Watch")
    task = asyncio.create_task(exchange.run(app))
    await eventually(lambda: split_frames(exchange.body) == [SERVING])
    readiness.is_ready = False
    await eventually(lambda: split_frames(exchange.body) == [SERVING, NOT_SERVING])
    exchange.disconnect()
    await asyncio.wait_for(task, 5)


async def test_grpc_watch_of_an_unknown_service_says_so_and_goes_on(app) -> None:
    exchange = check_of("later", method="Watch")
    task = asyncio.create_task(exchange.run(app))
    await eventually(lambda: split_frames(exchange.body) == [UNKNOWN])
    assert not task.done()
    exchange.disconnect()
    await asyncio.wait_for(task, 5)


def test_the_messages_are_those_of_the_protocol() -> None:
    assert (SERVING, NOT_SERVING) == (b"\x08\x01", b"\x08\x02")
    assert messages.decode_service(b"\x0a\x03abc") == "abc"
    assert messages.decode_service(b"") == ""
    assert messages.decode_service(b"\xff") is None
    assert descriptor_pb2.FileDescriptorProto is not None
