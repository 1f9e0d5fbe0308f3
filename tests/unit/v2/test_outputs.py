"""Predictions behind the real checks, down to a link that echoes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from modelyard.errors import InvalidInput
from modelyard.server.api.access import Access
from modelyard.server.api.v2.call import Envelope, Incoming
from modelyard.server.api.v2.dispatch import V2
from modelyard.server.api.v2.outputs import OutputsV2
from modelyard.server.routing.router import Router
from modelyard.server.services.predict import Predict
from modelyard.server.services.targets import Targets
from modelyard.wire.messages import MultiOutputResponse, PostModelOutputsRequest, StatusCode
from support.house import House
from support.replicas import ALL_METHODS, EchoLink
from support.stores import add_model, add_version, make_deployment


class NoFetcher:
    async def fetch(self, url: str, *, where: str, tenant: str) -> bytes:
        raise InvalidInput(f"{where}: {tenant} fetches nothing from {url}")


class Client:
    """Asks the model `m` of `ada`, which echoes."""

    def __init__(self, v2: V2, token: str, link: EchoLink) -> None:
        self._v2 = v2
        self._envelope = Envelope(authorization=f"Key {token}", request_id="r1", deadline=None)
        self.link = link

    async def post(self, request: PostModelOutputsRequest, raw: bytes | None = None) -> MultiOutputResponse:
        return parse(await self._v2.unary("PostModelOutputs", Incoming(request, raw), self._envelope))

    async def stream(self, method: str, *requests: PostModelOutputsRequest) -> list[MultiOutputResponse]:
        return [parse(one) async for one in self._v2.stream(method, _stream(requests), self._envelope)]


@pytest.fixture
async def client(house: House) -> Client:
    await add_model(house.store)
    link, router = EchoLink(), Router()
    for version_id in ("v1", "v2"):
        version = await add_version(house.store, version_id)
        await house.store.deployments.put(make_deployment(version))
        router.add(version_id, version_id, link, 4, ALL_METHODS)
    predict = Predict(
        house.store, Targets(house.versions, house.store.watch()), router, NoFetcher(), hold_s=0.05, now=house.clock
    )
    _, token = await house.tokens.create_bootstrap("ada")
    return Client(V2(Access(house.tokens), OutputsV2(predict).handlers()), token, link)


async def _stream(requests: Sequence[PostModelOutputsRequest]) -> AsyncIterator[Incoming]:
    for one in requests:
        yield Incoming(one, one.SerializeToString())


def parse(reply: Any) -> MultiOutputResponse:
    return MultiOutputResponse.FromString(reply) if isinstance(reply, bytes) else reply


def say(word: str = "hello", *, model: str = "m", app: str = "main", **fields: str) -> PostModelOutputsRequest:
    request = PostModelOutputsRequest(model_id=model, **fields)
    request.user_app_id.user_id, request.user_app_id.app_id = "me", app
    request.inputs.add().data.text.raw = word
    return request


def texts(answers: Sequence[MultiOutputResponse]) -> list[str]:
    return [one.data.text.raw for answer in answers for one in answer.outputs]


async def test_post_answers_with_the_default_version(client: Client) -> None:
    request = say()
    assert texts([await client.post(request, request.SerializeToString())]) == ["hello"]
    assert client.link.requests[0].model.model_version.id == "v2"


async def test_generate_and_stream_answer_one_by_one(client: Client) -> None:
    request = say("a")
    request.inputs.add().data.text.raw = "b"
    assert texts(await client.stream("GenerateModelOutputs", request)) == ["a", "b"]
    assert texts(await client.stream("StreamModelOutputs", say("a"), say("b"))) == ["a", "b"]
    assert [one.method for one in client.link.exchanges] == ["generate", "stream"]


async def test_the_model_may_be_named_in_short_forms(client: Client) -> None:
    by_model = say(model="", app="")
    by_model.model.id, by_model.model.app_id, by_model.model.user_id = "m", "main", "me"
    by_model.model.model_version.id = "v1"
    for request, version_id in ((say(app=""), "v2"), (say(version_id="v1"), "v1"), (by_model, "v1")):
        assert texts([await client.post(request)]) == ["hello"]
        assert client.link.requests[-1].model.model_version.id == version_id


async def test_later_messages_of_a_stream_may_leave_the_model_out(client: Client) -> None:
    bare = PostModelOutputsRequest()
    bare.inputs.add().data.text.raw = "b"
    assert texts(await client.stream("StreamModelOutputs", say("a"), bare)) == ["a", "b"]


@pytest.mark.parametrize(("model", "version"), [("other", ""), ("m", "v1")])
async def test_a_stream_that_changes_its_model_ends(client: Client, model: str, version: str) -> None:
    answers = await client.stream("StreamModelOutputs", say("a"), say("b", model=model, version_id=version))
    assert texts(answers[:-1]) in ([], ["a"])
    assert answers[-1].status.code == StatusCode.CONN_BAD_REQUEST_FORMAT
    assert "later message" in answers[-1].status.description


async def test_names_that_contradict_each_other_are_refused(client: Client) -> None:
    user, app = say(), say()
    user.model.user_id, app.model.app_id = "eve", "other"
    for request in (user, app):
        answer = await client.post(request)
        assert answer.status.code == StatusCode.CONN_BAD_REQUEST_FORMAT
    assert client.link.payloads == []


async def test_what_is_not_there_is_answered_in_the_status(client: Client) -> None:
    deployment = say()
    deployment.runner_selector.deployment.id = "d"
    no_inputs = say()
    del no_inputs.inputs[:]
    by_url = say()
    by_url.inputs[0].data.image.url = "http://x/"
    for request, words in (
        (say(model="nothing"), "Model does not exist"),
        (say(version_id="v9"), "v9"),
        (say(model=""), "model_id is empty"),
        (deployment, "deployment 'd' does not exist"),
        (no_inputs, "has none"),
        (by_url, "inputs[0].data.image.url: ada fetches nothing"),
    ):
        for answer in (
            await client.post(request),
            (await client.stream("GenerateModelOutputs", request))[-1],
            (await client.stream("StreamModelOutputs", request))[-1],
        ):
            assert words in answer.status.description
            assert answer.status.code not in (0, StatusCode.SUCCESS)
            assert answer.status.req_id == "r1"
    assert client.link.payloads == []
