"""Requests that doors answer without a task: nothing of it may change an answer."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from google.protobuf import json_format

from modelyard import errors
from modelyard.server.api.access import Access
from modelyard.server.api.asgi import make_app
from modelyard.server.api.v2.call import Envelope, Incoming, Reply
from modelyard.server.api.v2.dispatch import V2
from modelyard.server.api.v2.errand import Errand
from modelyard.server.api.v2.outputs import OutputsV2
from modelyard.server.backends.base import Taker
from modelyard.server.carriers.inloop import InLoopCarrier
from modelyard.server.records import Page
from modelyard.server.routing.router import Router
from modelyard.server.services.predict import MAX_INPUTS, Predict
from modelyard.server.services.targets import Targets
from modelyard.server.telemetry.telemetry import Telemetry
from modelyard.server.telemetry.tracing import Trace, Tracing, Verdict
from modelyard.wire.messages import (
    Data,
    Image,
    Model,
    MultiOutputResponse,
    PostModelOutputsRequest,
    StatusCode,
    Text,
    UserAppIDSet,
)
from modelyard.wire.notes import read_note
from modelyard.wire.pieces import Payload
from modelyard.wire.status import codes_of
from modelyard.worker.answers import encode_answer
from support.doors import make_stub
from support.house import House, open_house
from support.replicas import ALL_METHODS, EchoLink
from support.stores import add_model, add_version, make_deployment

REST = "/v2/users/me/apps/main/models/m/outputs"
LARGE = "x" * 200_000
FAULTS = {
    "fails": errors.PredictionFailed("division by zero (model.py:3)", details="Traceback"),
    "crashes": errors.WorkerCrashed("the model's process died"),
    "is busy": errors.ModelBusy("the model is busy", retry_after_s=7),
    "is late": errors.DeadlineExceeded("the deadline of the request passed"),
    "is wrong": errors.InternalError("the worker ended a request without an answer"),
}


LATE = str(codes_of(FAULTS["is late"]).v2)


class Link(EchoLink):
    """Answers as a worker does; fails, or says nothing, where the text says so."""

    def __init__(self) -> None:
        super().__init__()
        self.silent: list[int] = []
        self.times_left: list[float | None] = []
        self.recalled: list[int] = []
        self.has_one = asyncio.Event()

    async def call(self, payload: Payload, *, time_left_s: float | None = None, is_express: bool = False) -> bytes:
        answer = self._answer_one(payload)
        if isinstance(answer, errors.ModelyardError):
            raise answer
        return answer or await asyncio.get_running_loop().create_future()

    def send(
        self, payload: Payload, taker: Taker, *, time_left_s: float | None = None, is_express: bool = False
    ) -> int:
        self.times_left.append(time_left_s)
        answer = self._answer_one(payload)
        loop = asyncio.get_running_loop()
        if isinstance(answer, errors.ModelyardError):
            loop.call_soon(taker.fail, answer)
        elif answer:
            loop.call_soon(taker.take, answer)
        else:
            self.silent.append(len(self.payloads))
            self.has_one.set()
        return len(self.payloads)

    def recall(self, number: int) -> bool:
        self.recalled.append(number)
        return number in self.silent

    def _answer_one(self, payload: Payload) -> bytes | errors.ModelyardError:
        answer = MultiOutputResponse.FromString(self.take(payload)[0])
        output = answer.outputs[0].data.text
        if output.raw in FAULTS:
            return FAULTS[output.raw]
        if output.raw == "silent":
            return b""
        output.raw = LARGE if output.raw == "large" else output.raw
        return encode_answer(answer, "predict", read_note(self.payloads[-1]).request_id).payload


class CountingV2(V2):
    """Counts by which way requests came."""

    asked = sent = 0

    async def unary(self, name: str, incoming: Incoming, envelope: Envelope) -> Reply:
        self.asked += 1
        return await super().unary(name, incoming, envelope)

    def send(self, name: str, incoming: Incoming, envelope: Envelope, errand: Errand) -> bool:
        is_sent = super().send(name, incoming, envelope, errand)
        self.sent += is_sent
        return is_sent


class Recorder:
    """Keeps the traces of all requests, while it is on."""

    def __init__(self) -> None:
        self.is_on = False
        self.traces: list[Trace] = []
        ids = itertools.count(1)
        self.tracing = Tracing(
            sample=lambda caller, trace_id, method: Verdict(is_sampled=self.is_on),
            make_trace_id=lambda: next(ids),
            make_span_id=lambda: next(ids),
            finish=self.traces.append,
        )

    def tell(self) -> list[Any]:
        """What was noted of each, but for numbers and times."""
        names = ("method", "model", "version_id", "code", "caller", "is_grpc", "waited")
        return [[getattr(one, name) for name in names] + [one.worked is not None] for one in self.traces]


class Served:
    """A served model `m` of `ada`."""

    def __init__(
        self, house: House, v2: CountingV2, link: Link, router: Router, telemetry: Telemetry, recorder: Recorder
    ) -> None:
        self.house, self.v2, self.link, self.router, self.telemetry = house, v2, link, router, telemetry
        self.recorder = recorder
        self.url = self.token = ""

    @property
    def ways(self) -> tuple[int, int]:
        """How many were asked, and how many were sent."""
        return self.v2.asked, self.v2.sent


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    async with open_house(tmp_path) as house:
        await add_model(house.store)
        version = await add_version(house.store, "v1")
        await house.store.deployments.put(make_deployment(version))
        link, recorder = Link(), Recorder()
        telemetry = Telemetry(recorder.tracing)
        router = Router(telemetry=telemetry)
        router.add("r", "v1", link, 4, ALL_METHODS)
        targets = Targets(house.versions, house.store.watch())
        outputs = OutputsV2(Predict(house.store, targets, router, NoFetcher(), hold_s=0.05, now=house.clock))
        v2 = CountingV2(Access(house.tokens), outputs.handlers(), telemetry, outputs.senders())
        carrier = InLoopCarrier()
        found = Served(house, v2, link, router, telemetry, recorder)
        found.url = await carrier.start(make_app(v2))
        _, found.token = await house.tokens.create_bootstrap("ada")
        yield found
        await carrier.stop(grace_s=1)


class NoFetcher:
    async def fetch(self, url: str, *, where: str, tenant: str) -> bytes:
        raise errors.InvalidInput(f"{where}: {tenant} fetches nothing from {url}")


def make_request(text: str = "hello", model: str = "m") -> PostModelOutputsRequest:
    request = PostModelOutputsRequest(model_id=model)
    request.user_app_id.app_id = "main"
    request.inputs.add().data.text.raw = text
    return request


class Grpc:
    """A client of one connection; what it hears is an answer and its trailers, or an error."""

    def __init__(self, served: Served) -> None:
        self._channel = grpc.aio.insecure_channel(served.url.removeprefix("http://"))
        self._stub = make_stub(self._channel)
        self.metadata = (("authorization", f"Key {served.token}"), ("x-clarifai-request-id-prefix", "mine"))

    async def ask(self, text: str, *, model: str = "m", **options: Any) -> Any:
        return await self.ask_for(make_request(text, model), **options)

    async def ask_for(self, request: PostModelOutputsRequest, **options: Any) -> Any:
        call = self._stub.PostModelOutputs(request, **{"metadata": self.metadata, **options})
        try:
            answer = await call
        except grpc.aio.AioRpcError as error:
            return error.code(), error.details()
        assert dict(await call.initial_metadata())["x-request-id"] == answer.status.req_id
        retry = dict(await call.trailing_metadata()).get("retry-after")
        return _without_id(answer), retry

    async def aclose(self) -> None:
        await self._channel.close()


class Rest:
    """The same over REST."""

    def __init__(self, served: Served, *, is_http2: bool) -> None:
        headers = {"authorization": f"Key {served.token}", "x-clarifai-request-id-prefix": "mine"}
        limits = httpx.Limits(max_connections=8)  # the first request of each is asked
        self._client = httpx.AsyncClient(
            base_url=served.url, headers=headers, http1=not is_http2, http2=is_http2, limits=limits
        )

    async def ask(self, text: str, *, model: str = "m", **options: Any) -> Any:
        body = {"inputs": [{"data": {"text": {"raw": text}}}]}
        return await self._post(REST.replace("/m/", f"/{model}/"), body, **options)

    async def ask_for(self, request: PostModelOutputsRequest) -> Any:
        return await self._post(REST, json_format.MessageToDict(request, preserving_proto_field_name=True))

    async def _post(self, path: str, body: object, **options: Any) -> Any:
        answer = await self._client.post(path, json=body, **options)
        told = answer.json()
        assert told["status"].pop("req_id") == answer.headers["x-request-id"]
        assert answer.headers["x-request-id"].startswith("mine-")
        return answer.status_code, told, answer.headers.get("retry-after"), sorted(answer.headers)

    async def aclose(self) -> None:
        await self._client.aclose()


@pytest.fixture(params=["grpc", "rest 1.1", "rest 2"])
async def clients(request: pytest.FixtureRequest, served: Served) -> AsyncIterator[list[Grpc | Rest]]:
    """Two, with a connection each."""
    made: list[Grpc | Rest] = [
        Grpc(served) if request.param == "grpc" else Rest(served, is_http2=request.param == "rest 2") for _ in range(2)
    ]
    yield made
    for one in made:
        await one.aclose()


def _without_note(payload: Payload) -> PostModelOutputsRequest:
    """What the worker reads of a request, but for its id."""
    request = PostModelOutputsRequest.FromString(bytes(payload))
    request.DiscardUnknownFields()
    return request


def _without_id(answer: MultiOutputResponse) -> MultiOutputResponse:
    assert answer.status.req_id.startswith("mine-")
    answer.status.req_id = ""
    return answer


def new_head_for(client: Grpc | Rest) -> dict[str, Any]:
    """What makes a request take more: a header that did not come before."""
    once = ("x-once", str(next(_numbers)))
    return {"metadata": (*client.metadata, once)} if isinstance(client, Grpc) else {"headers": dict([once])}


def deadline_for(client: Grpc | Rest, seconds: float) -> dict[str, Any]:
    return {"timeout": seconds} if isinstance(client, Grpc) else {"headers": {"request-timeout": str(seconds)}}


_numbers = itertools.count()


def _count_requests(served: Served) -> dict[str, float]:
    """How many requests of the model ended with each code."""
    (family,) = [one for one in served.telemetry.list_families() if one.name == "modelyard_model_requests_total"]
    return {dict(labels)["code"]: value for _, labels, value in family.samples()}


async def go_straight(client: Grpc | Rest, served: Served, **options: Any) -> None:
    """Ask until requests are sent: HPACK's first blocks differ."""
    for _ in range(5):
        before = served.v2.sent
        await client.ask("hello", **options)
        if served.v2.sent > before:
            return
    raise AssertionError("it never goes straight")


@pytest.mark.parametrize("text", ["hello", "", '\u00e4\u00f6\u00fc \U0001f600 "quoted"', "large", *FAULTS])
async def test_what_is_sent_is_answered_as_what_is_asked(served: Served, clients: list[Grpc | Rest], text: str) -> None:
    ordinary = await clients[0].ask(text)
    assert served.ways == (1, 0)
    await go_straight(clients[1], served)
    asked, sent = served.ways
    assert await clients[1].ask(text) == ordinary
    assert served.ways == (asked, sent + 1)
    assert served.router.in_flight("r") == 0


SENT: dict[str, Callable[[PostModelOutputsRequest], object]] = {
    "as published clients write it": lambda one: one.model.MergeFrom(Model(id="m", app_id="main", model_type_id="t")),
    "parameters": lambda one: one.model.model_version.output_info.params.update({"temperature": 0.5}),
    "concepts of its own": lambda one: one.model.model_version.output_info.data.concepts.add(id="cat"),
    "a version": lambda one: one.MergeFrom(PostModelOutputsRequest(version_id="v1")),
    "parts": lambda one: one.inputs[0].data.parts.add().data.text.MergeFrom(Text(raw="part")),
    "arguments": lambda one: one.inputs[0].data.parts.add(id="n").data.MergeFrom(Data(int_value=3, string_value="x")),
    "an image": lambda one: one.inputs[0].data.image.MergeFrom(Image(base64=b"image")),
    "two inputs": lambda one: one.inputs.add().data.text.MergeFrom(Text(raw="second")),
    "another user's name for it": lambda one: one.user_app_id.MergeFrom(UserAppIDSet(user_id="ada")),
}
ASKED: dict[str, Callable[[PostModelOutputsRequest], object]] = {
    "a URL": lambda one: one.inputs[0].data.image.MergeFrom(Image(url="http://127.0.0.1/x.png")),
    "a URL in a part": lambda one: (
        one.inputs[0].data.parts.add().data.image.MergeFrom(Image(url="http://127.0.0.1/x.png"))
    ),
    "no input": lambda one: one.ClearField("inputs"),
    "too many inputs": lambda one: one.inputs.extend([one.inputs[0]] * MAX_INPUTS),
    "another app": lambda one: one.model.MergeFrom(Model(app_id="other")),
    "another user": lambda one: one.user_app_id.MergeFrom(UserAppIDSet(user_id="bob")),
    "a version that there is not": lambda one: one.MergeFrom(PostModelOutputsRequest(version_id="v9")),
    "a model that there is not": lambda one: one.MergeFrom(PostModelOutputsRequest(model_id="n")),
}


OF_THE_PATH = {"another user", "a model that there is not"}
"""What a body says of these is not looked at over REST."""


@pytest.mark.parametrize("what", [*SENT, *ASKED])
async def test_messages_are_sent_where_there_is_nothing_to_wait_for(
    served: Served, clients: list[Grpc | Rest], what: str
) -> None:
    request = make_request()
    (SENT.get(what) or ASKED[what])(request)
    ordinary = await clients[0].ask_for(request)
    assert served.ways == (1, 0)
    asked_for = served.link.payloads[:]
    await go_straight(clients[1], served)
    served.link.payloads.clear()
    asked, sent = served.ways
    assert await clients[1].ask_for(request) == ordinary
    is_sent = what in SENT or (what in OF_THE_PATH and isinstance(clients[1], Rest))
    assert served.ways == ((asked, sent + 1) if is_sent else (asked + 1, sent))
    assert [_without_note(one) for one in served.link.payloads] == [_without_note(one) for one in asked_for]
    assert len(served.link.payloads) == is_sent


async def test_what_takes_more_is_asked(served: Served, clients: list[Grpc | Rest]) -> None:
    await go_straight(clients[0], served)
    sent = served.v2.sent
    for model in ("m", "unknown"):
        await clients[0].ask("hello", model=model, **new_head_for(clients[0]))
    assert served.v2.sent == sent


async def test_a_token_that_is_revoked_is_refused(served: Served, clients: list[Grpc | Rest]) -> None:
    await go_straight(clients[0], served)
    for token in await served.house.tokens.list("ada", Page()):
        await served.house.tokens.revoke("ada", token.token_id)
    answer = await clients[0].ask("hello")
    code = answer[0].status.code if isinstance(clients[0], Grpc) else answer[1]["status"]["code"]
    assert code == StatusCode.CONN_KEY_INVALID


async def test_a_version_that_has_gone_is_not_sent_to(served: Served, clients: list[Grpc | Rest]) -> None:
    await go_straight(clients[0], served)
    served.router.remove("r")
    answer = await clients[0].ask("hello")
    code = answer[0].status.code if isinstance(clients[0], Grpc) else answer[1]["status"]["code"]
    assert code == StatusCode.MODEL_DEPLOYING


async def test_who_leaves_has_the_request_taken_back(served: Served, clients: list[Grpc | Rest]) -> None:
    await go_straight(clients[0], served)
    asking = asyncio.create_task(clients[0].ask("silent"))
    await served.link.has_one.wait()
    assert served.router.in_flight("r") == 1
    served.router.remove("r")
    asking.cancel()
    await clients[0].aclose()
    await asyncio.wait_for(served.router.drained("r"), 5)
    assert served.link.recalled == served.link.silent
    assert "gone" in _count_requests(served)


async def test_both_ways_are_counted_alike(served: Served, clients: list[Grpc | Rest]) -> None:
    await go_straight(clients[0], served)
    for text in ("hello", "fails"):
        await clients[0].ask(text)
    counts = _count_requests(served)
    assert sum(counts.values()) == sum(served.ways)
    assert counts[str(codes_of(FAULTS["fails"]).v2)] == 1


async def test_both_ways_are_recorded_alike(served: Served, clients: list[Grpc | Rest]) -> None:
    await go_straight(clients[0], served)
    served.recorder.is_on = True
    for way in ("sent", "asked"):
        for text in ("hello", "fails"):
            asked, sent = served.ways
            await clients[0].ask(text, **({} if way == "sent" else new_head_for(clients[0])))
            assert served.ways == ((asked, sent + 1) if way == "sent" else (asked + 1, sent))
    hello, fails, *ordinary = served.recorder.tell()
    assert [hello, fails] == ordinary
    assert hello[:6] == ["PostModelOutputs", "ada/main/m", "v1", 10000, "user", isinstance(clients[0], Grpc)]
    notes = [read_note(one) for one in served.link.payloads[-4:]]
    assert [note.traceparent for note in notes] == [one.traceparent for one in served.recorder.traces]


async def test_many_at_once_wait_in_line(served: Served, clients: list[Grpc | Rest]) -> None:
    await go_straight(clients[0], served)
    answers = await asyncio.gather(*(clients[number % 2].ask(f"text {number}") for number in range(100)))
    told = [
        one[0].outputs[0].data.text.raw if isinstance(clients[0], Grpc) else one[1]["outputs"][0]["data"]["text"]["raw"]
        for one in answers
    ]
    assert told == [f"text {number}" for number in range(100)]
    assert served.v2.sent > 20


async def test_a_request_with_a_deadline_is_sent_with_what_is_left_of_it(
    served: Served, clients: list[Grpc | Rest]
) -> None:
    await go_straight(clients[0], served, **deadline_for(clients[0], 9))
    left = served.link.times_left[-1]
    assert left is not None
    assert 8 < left < 9.2


async def test_requests_whose_deadlines_differ_go_straight_each_with_its_own(
    served: Served, clients: list[Grpc | Rest]
) -> None:
    client = clients[0]
    await go_straight(client, served, **deadline_for(client, 9))
    asked = served.v2.asked
    for seconds in (5, 3.25, 60, 1.75, 5):
        await client.ask("hello", **deadline_for(client, seconds))
        left = served.link.times_left[-1]
        assert left is not None
        assert seconds - 1 < left < seconds + 0.2
    began = time.monotonic()
    await client.ask("silent", **deadline_for(client, 0.3))
    assert time.monotonic() - began < 1.7
    assert served.v2.asked == asked


@pytest.mark.parametrize("is_http2", [False, True])
async def test_a_deadline_that_is_none_is_refused_as_ever(served: Served, *, is_http2: bool) -> None:
    client, other = (Rest(served, is_http2=is_http2) for _ in range(2))
    wrong: dict[str, Any] = {"headers": {"request-timeout": "soon"}}
    ordinary = await other.ask("hello", **wrong)
    assert ordinary[0] == 400
    await go_straight(client, served, **deadline_for(client, 9))
    assert await client.ask("hello", **wrong) == ordinary
    await client.aclose()
    await other.aclose()


async def test_a_request_is_given_up_at_its_deadline_as_what_is_asked(
    served: Served, clients: list[Grpc | Rest]
) -> None:
    deadline = deadline_for(clients[0], 0.2)
    ordinary = await clients[0].ask("silent", **deadline)
    assert served.v2.sent == 0
    await go_straight(clients[1], served, **deadline)
    sent, given_up = served.v2.sent, 1
    while served.v2.sent == sent and given_up < 10:  # a client of gRPC writes 200 ms or 201
        answer = await clients[1].ask("silent", **deadline)
        assert answer[0] == ordinary[0] if isinstance(clients[1], Grpc) else answer == ordinary
        given_up += 1
    served.router.remove("r")
    await asyncio.wait_for(served.router.drained("r"), 5)  # such a client ends it, too, and says so where it is first
    assert served.link.recalled == served.link.silent != []
    counts = _count_requests(served)
    assert counts.get(LATE, 0) + (counts.get("gone", 0) if isinstance(clients[0], Grpc) else 0) == given_up
