"""Predictions over a real router, a real store and links that echo."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

import pytest

from modelyard.errors import (
    InvalidInput,
    InvalidRequest,
    ModelDeploying,
    ModelNotDeployed,
    ModelNotFound,
    ModelyardError,
    VersionNotFound,
)
from modelyard.server.records import VersionState
from modelyard.server.routing.router import Router
from modelyard.server.services.predict import Predict
from modelyard.server.services.renewals import Freshness
from modelyard.server.services.targets import Address, Targets
from modelyard.wire.messages import ModelVersion, MultiOutputResponse, PostModelOutputsRequest
from modelyard.wire.pieces import Payload, Pieces
from support.house import House
from support.replicas import ALL_METHODS, EchoLink
from support.stores import add_model, add_version, make_deployment, make_version

ADDRESS = Address(user_id="ada", app_id="main", model_id="m", version_id="")


class OnePage:
    async def fetch(self, url: str, *, where: str, tenant: str) -> bytes:
        assert tenant == "ada"
        if url != "u":
            raise InvalidInput(f"{where}: not there")
        return b"page"


@dataclass
class Message:
    message: PostModelOutputsRequest
    raw: Payload | None = None


class Desk:
    """Predictions, and all that they stand on."""

    def __init__(self, house: House) -> None:
        self.store = house.store
        self.router = Router()
        self.link = EchoLink()
        self.targets = Targets(house.versions, house.store.watch(), freshness=Freshness(clock=house.clock.monotonic))
        self.predict = Predict(house.store, self.targets, self.router, OnePage(), hold_s=0.05, now=house.clock)

    def serve(self, version_id: str = "v1") -> None:
        self.router.add("r", version_id, self.link, 4, ALL_METHODS)

    async def ask(self, request: PostModelOutputsRequest, raw: Payload | None = None) -> list[str]:
        return texts(await self.predict.predict(ADDRESS, request, raw, deadline=None))

    async def stream(
        self, *messages: PostModelOutputsRequest, deadline: float | None = None, raw: Payload | None = None
    ) -> list[str]:
        answers = self.predict.stream(ADDRESS, stream(*messages, raw=raw), deadline=deadline)
        return [text async for one in answers for text in texts(one)]


@pytest.fixture
async def desk(house: House) -> Desk:
    await add_model(house.store)
    return Desk(house)


@pytest.fixture
async def serving(desk: Desk) -> Desk:
    version = await add_version(desk.store, "v1")
    await desk.store.deployments.put(make_deployment(version))
    desk.serve()
    return desk


def say(*words: str) -> PostModelOutputsRequest:
    request = PostModelOutputsRequest()
    for word in words:
        request.inputs.add().data.text.raw = word
    return request


def texts(answer: bytes) -> list[str]:
    return [one.data.text.raw for one in MultiOutputResponse.FromString(answer).outputs]


async def stream(*messages: PostModelOutputsRequest, raw: Payload | None = None) -> AsyncIterator[Message]:
    for one in messages:
        yield Message(one, raw)


async def test_predict_answers(serving: Desk) -> None:
    assert await serving.ask(say("a", "b")) == ["a", "b"]
    seen = serving.link.requests[0]
    assert (seen.model.model_version.id, seen.user_app_id.user_id) == ("v1", "ada")


async def test_bytes_as_they_came_are_passed_on(serving: Desk) -> None:
    request = say("a")
    raw = request.SerializeToString() + b"\xfa\xff\x7f\x01x"  # a field that this release does not know
    await serving.ask(request, raw)
    assert serving.link.payloads[0].endswith(raw)


async def test_the_callers_values_win(serving: Desk) -> None:
    request = say("a")
    request.model.model_version.output_info.params.update({"temperature": 0.5})
    request.model.name = "mine"
    await serving.ask(request, request.SerializeToString())
    seen = serving.link.requests[0].model
    assert seen.model_version.output_info.params["temperature"] == 0.5
    assert (seen.name, seen.id) == ("mine", "m")


@pytest.mark.parametrize("is_raw", [True, False])
async def test_the_callers_concepts_replace_the_versions(desk: Desk, is_raw: bool) -> None:
    spec = ModelVersion()
    spec.output_info.data.concepts.add(id="cat")
    await desk.store.versions.add(make_version("v1", state=VersionState.READY, spec=spec.SerializeToString()))
    desk.serve()
    mine = say("a")
    mine.model.model_version.output_info.data.concepts.add(id="dog")
    await desk.ask(say("a"))
    await desk.ask(mine, mine.SerializeToString() if is_raw else None)
    seen = [[concept.id for concept in one.model.model_version.output_info.data.concepts] for one in desk.link.requests]
    assert seen == [["cat"], ["dog"]]


@pytest.mark.parametrize(("count", "words"), [(0, "has none"), (129, "has 129; at most 128")])
async def test_the_number_of_inputs_is_checked(serving: Desk, count: int, words: str) -> None:
    with pytest.raises(InvalidRequest, match=words):
        await serving.ask(say(*["x"] * count))
    with pytest.raises(InvalidRequest, match=words):
        await serving.stream(say(*["x"] * count))
    assert serving.link.payloads == []


async def test_urls_are_fetched_and_the_bytes_that_came_are_not_used(serving: Desk) -> None:
    request = PostModelOutputsRequest()
    request.inputs.add().data.image.url = "u"
    await serving.ask(request, request.SerializeToString())
    image = serving.link.requests[0].inputs[0].data.image
    assert (image.base64, image.url) == (b"page", "u")
    assert len(serving.link.requests[0].inputs) == 1


async def test_a_large_request_is_passed_on_in_its_pieces(serving: Desk) -> None:
    whole, outline = say("a"), say("a")
    whole.inputs[0].data.image.base64 = b"x" * 100_000
    raw = whole.SerializeToString()
    await serving.ask(outline, Pieces([raw[:70_000], raw[70_000:]]))
    assert serving.link.payloads[0].endswith(raw)
    await serving.ask(whole)
    assert serving.link.payloads[1] == serving.link.payloads[0]


@pytest.mark.parametrize("method", ["predict", "stream"])
async def test_what_needs_the_large_values_gets_them(serving: Desk, method: str) -> None:
    """An outline says that there is an image, and has none: its URL is not fetched for that."""
    whole, outline = say(), say()
    for request, content in ((whole, b"x" * 100_000), (outline, b"")):
        image = request.inputs.add().data.image
        image.url, image.base64 = "not there", content
        request.model.model_version.output_info.data.concepts.add(id="dog")
        request.inputs.add().data.image.url = "u"
    pieces = Pieces([whole.SerializeToString()])
    if method == "predict":
        await serving.ask(outline, pieces)
    else:
        await serving.stream(outline, raw=pieces)
    seen = serving.link.requests[0]
    assert [one.data.image.base64 for one in seen.inputs] == [b"x" * 100_000, b"page"]
    assert [one.id for one in seen.model.model_version.output_info.data.concepts] == ["dog"]


async def test_a_url_that_cannot_be_fetched_reaches_no_model(serving: Desk) -> None:
    request = PostModelOutputsRequest()
    request.inputs.add().data.image.url = "x"
    with pytest.raises(InvalidInput, match=r"inputs\[0\]\.data\.image\.url"):
        await serving.ask(request)
    assert serving.link.payloads == []


async def test_generate_answers_one_by_one(serving: Desk) -> None:
    answers = serving.predict.generate(ADDRESS, say("a", "b"), None, deadline=None)
    assert [texts(one) async for one in answers] == [["a"], ["b"]]
    assert serving.router.in_flight("r") == 0


async def test_a_generation_that_is_left_is_cancelled(serving: Desk) -> None:
    answers = serving.predict.generate(ADDRESS, say("a", "b"), None, deadline=None)
    await anext(answers)
    await answers.aclose()
    assert serving.link.exchanges[0].is_cancelled
    assert serving.router.in_flight("r") == 0


async def test_stream_answers_while_requests_come(serving: Desk) -> None:
    go = asyncio.Event()

    async def messages() -> AsyncIterator[Message]:
        yield Message(say("a"))
        await go.wait()
        yield Message(say("b"))

    answers = serving.predict.stream(ADDRESS, messages(), deadline=None)
    assert texts(await anext(answers)) == ["a"]
    go.set()
    assert [texts(one) async for one in answers] == [["b"]]
    assert serving.router.in_flight("r") == 0


async def test_a_wrong_message_ends_the_stream_with_what_is_wrong(serving: Desk) -> None:
    with pytest.raises(InvalidRequest, match="has none"):
        await serving.stream(say("a"), say())


async def test_a_fault_while_reading_the_stream_is_logged_and_ends_it(
    serving: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    async def messages() -> AsyncIterator[Message]:
        yield Message(say("a"))
        raise OSError("no more")

    answers = serving.predict.stream(ADDRESS, messages(), deadline=None)
    assert texts(await anext(answers)) == ["a"]
    with pytest.raises(ModelyardError, match="fault of the server"):
        await anext(answers)
    assert "stream.crashed" in caplog.text


async def test_a_stream_that_is_left_stops_reading(serving: Desk) -> None:
    ended = asyncio.Event()

    async def messages() -> AsyncIterator[Message]:
        try:
            yield Message(say("a"))
            await asyncio.Event().wait()
        finally:
            ended.set()

    answers = serving.predict.stream(ADDRESS, messages(), deadline=None)
    await anext(answers)
    await answers.aclose()
    assert ended.is_set()
    assert serving.link.exchanges[0].is_cancelled


async def test_a_stream_waits_for_its_build_and_its_replica(desk: Desk) -> None:
    version = await add_version(desk.store, "v1", state=VersionState.BUILDING)
    task = asyncio.create_task(desk.stream(say("a")))
    await asyncio.sleep(0.1)
    assert not task.done()
    await desk.store.versions.update(replace(version, state=VersionState.READY))
    await desk.store.deployments.put(make_deployment(version))
    await asyncio.sleep(0.1)
    assert not task.done()
    desk.serve()
    assert await task == ["a"]


async def test_a_stream_waits_no_longer_than_its_deadline(desk: Desk) -> None:
    await add_version(desk.store, "v1", state=VersionState.BUILDING)
    with pytest.raises(ModelDeploying):
        await desk.stream(say("a"), deadline=time.monotonic() + 0.05)


async def test_a_stream_whose_build_fails_is_told(desk: Desk) -> None:
    version = await add_version(desk.store, "v1", state=VersionState.BUILDING)
    task = asyncio.create_task(desk.stream(say("a"), deadline=time.monotonic() + 5))
    await asyncio.sleep(0.02)
    await desk.store.versions.update(replace(version, state=VersionState.BUILD_FAILED, state_message="no torch"))
    with pytest.raises(ModelNotDeployed, match="no torch"):
        await task


async def test_predict_waits_a_while_for_a_replica(desk: Desk) -> None:
    await add_version(desk.store, "v1")
    began = time.monotonic()
    with pytest.raises(ModelDeploying, match="no replica that is ready: it is still loading"):
        await desk.ask(say("a"))
    assert time.monotonic() - began >= 0.05
    task = asyncio.create_task(desk.ask(say("a")))
    await asyncio.sleep(0.01)
    desk.serve()
    assert await task == ["a"]


async def test_why_there_is_no_replica_is_said(desk: Desk) -> None:
    await desk.store.versions.add(
        replace(make_version("v1", state=VersionState.READY), state_message="its replica ran out of memory")
    )
    with pytest.raises(ModelDeploying, match="ran out of memory"):
        await desk.ask(say("a"))


async def test_a_version_nobody_runs_is_wanted_once_it_is_asked_for(desk: Desk) -> None:
    await add_version(desk.store, "v1")
    with pytest.raises(ModelDeploying):
        await desk.ask(say("a"))
    wanted = await desk.store.deployments.get("v1")
    assert wanted is not None
    assert (wanted.replicas, wanted.is_default) == (1, False)


@pytest.mark.parametrize(("replicas", "wanted"), [(0, 1), (1, 1), (3, 3)])
async def test_a_deployment_is_woken_and_nothing_else_of_it_changes(desk: Desk, replicas: int, wanted: int) -> None:
    version = await add_version(desk.store, "v1")
    before = make_deployment(version, replicas=replicas)
    await desk.store.deployments.put(before)
    with pytest.raises(ModelDeploying):
        await desk.ask(say("a"))
    after = await desk.store.deployments.get("v1")
    assert after is not None
    assert (after.replicas, after.is_default) == (wanted, True)


async def test_a_version_that_was_deleted_a_moment_ago_is_not_found(desk: Desk) -> None:
    version = await add_version(desk.store, "v1")
    with pytest.raises(ModelDeploying):
        await desk.ask(say("a"))
    await desk.store.versions.delete(version.key, "v1")
    with pytest.raises(VersionNotFound, match="has no versions"):
        await desk.ask(say("a"))


async def test_a_model_that_is_not_there_is_named(desk: Desk) -> None:
    await desk.store.models.delete(await add_model(desk.store))
    with pytest.raises(ModelNotFound, match="Model does not exist"):
        await desk.ask(say("a"))
