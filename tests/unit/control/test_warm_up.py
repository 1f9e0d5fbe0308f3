"""A new version answers a first request before it gets traffic, or the one before serves on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from modelyard.config.model_types import MODEL_TYPES
from modelyard.errors import InvalidModelOutput, PredictionFailed, WorkerCrashed
from modelyard.parts.sample_inputs import make_samples
from modelyard.server.control.warm_up import WarmedUp, make_payload, warm_up
from modelyard.server.records import LogType, VersionState, WarmUp
from modelyard.wire.messages import MethodSignature, PostModelOutputsRequest
from support.control import ControlRoom, ScriptedReplica, running, until
from support.replicas import ALL_METHODS, EchoLink
from support.stores import make_key, make_model, make_version

PREDICT = frozenset({"predict"})


class SilentLink(EchoLink):
    """Takes a request and never answers."""

    async def call(self, payload: bytes) -> bytes:
        self.payloads.append(payload)
        await asyncio.Event().wait()
        return b""


def raising(error: Exception):
    def answer(request: PostModelOutputsRequest) -> list[bytes]:
        raise error

    return answer


@pytest.mark.parametrize("model_type_id", sorted(MODEL_TYPES))
def test_every_public_type_has_a_sample_of_what_it_takes(model_type_id: str) -> None:
    for one in make_samples(model_type_id):
        fields = {field.name for field, _ in one.data.ListFields()}
        assert fields
        assert fields <= set(MODEL_TYPES[model_type_id].input_fields)


def test_the_request_says_what_the_class_is_told_otherwise_too() -> None:
    request = PostModelOutputsRequest.FromString(make_payload(make_model(), make_version("v1")))
    assert (request.model_id, request.version_id, request.model.model_version.id) == ("m", "v1", "v1")
    assert request.model.model_type_id == "text-to-text"
    assert request.inputs[0].data.text.raw


def test_a_typed_method_is_asked_by_name_and_with_its_arguments() -> None:
    signature = MethodSignature(
        name="look", method_type="UNARY_UNARY", input_fields=[{"name": "picture", "type": "IMAGE", "required": True}]
    )
    request = PostModelOutputsRequest.FromString(make_payload(make_model(), make_version("v1"), [signature]))
    data = request.inputs[0].data
    assert (data.metadata["_method_name"], data.parts[0].id) == ("look", "picture")
    assert data.parts[0].data.image.base64


@pytest.mark.parametrize("methods", [{"predict"}, {"generate"}, {"stream"}, {"generate", "stream"}, ALL_METHODS])
async def test_any_method_that_the_model_has_will_do(methods: set[str]) -> None:
    link = EchoLink()
    payload = make_payload(make_model(), make_version("v1"))
    assert await warm_up(link, frozenset(methods), payload) == WarmedUp(outcome=WarmUp.ANSWERED)
    assert link.payloads == [payload]
    assert all(one.is_cancelled for one in link.exchanges), "a generator would go on"


async def test_a_class_without_methods_is_asked_nothing() -> None:
    link = EchoLink()
    assert (await warm_up(link, frozenset(), b"")).outcome is WarmUp.NONE
    assert link.payloads == []


@pytest.mark.parametrize("error", [PredictionFailed("no", details="line 3"), InvalidModelOutput("gave nothing")])
async def test_what_the_author_raises_is_told(error: PredictionFailed | InvalidModelOutput) -> None:
    warmed = await warm_up(EchoLink(raising(error)), PREDICT, b"")
    assert (warmed.outcome, warmed.message, warmed.details) == (WarmUp.RAISED, error.message, error.details)


async def test_a_model_that_does_not_answer_in_time_is_silent() -> None:
    warmed = await warm_up(SilentLink(), PREDICT, b"", limit_s=0.01)
    assert (warmed.outcome, warmed.message) == (WarmUp.SILENT, "there was no answer within 0.01 s")


async def test_a_crash_is_told_apart() -> None:
    assert (await warm_up(EchoLink(raising(WorkerCrashed("gone"))), PREDICT, b"")).is_crash


@pytest.mark.parametrize(
    ("outcome", "is_crash", "serving", "is_refused"),
    [
        (WarmUp.ANSWERED, False, WarmUp.ANSWERED, False),
        (WarmUp.ANSWERED, False, WarmUp.NONE, False),
        (WarmUp.NONE, True, WarmUp.NONE, True),
        (WarmUp.NONE, True, WarmUp.ANSWERED, True),
        (WarmUp.RAISED, False, WarmUp.ANSWERED, True),
        (WarmUp.RAISED, False, WarmUp.RAISED, False),
        (WarmUp.RAISED, False, WarmUp.NONE, False),
        (WarmUp.SILENT, False, WarmUp.ANSWERED, True),
        (WarmUp.SILENT, False, WarmUp.SILENT, False),
    ],
)
def test_the_version_that_serves_is_the_measure(
    outcome: WarmUp, is_crash: bool, serving: WarmUp, is_refused: bool
) -> None:
    assert WarmedUp(outcome=outcome, is_crash=is_crash).is_refused(serving) is is_refused


@asynccontextmanager
async def reconciling(room: ControlRoom) -> AsyncIterator[None]:
    reconcile = room.make_reconcile()
    try:
        async with running(reconcile.run):
            yield
    finally:
        await reconcile.close()


async def default_of(room: ControlRoom) -> str:
    deployment = await room.store.deployments.get_default(make_key())
    return deployment.version_id if deployment else ""


async def serve_first(room: ControlRoom) -> None:
    """Version v1 is ready and has answered."""
    room.backend.script = ScriptedReplica.ready
    await room.add_built("v1")
    await until(lambda: room.has_state("v1", VersionState.READY))
    assert (await room.get_version("v1")).warm_up is WarmUp.ANSWERED


async def test_a_new_version_is_asked_before_anybody_else_asks_it(room: ControlRoom) -> None:
    asked: list[bool] = []

    def script(replica: ScriptedReplica) -> None:
        def answer(request: PostModelOutputsRequest) -> list[bytes]:
            asked.append(room.router.is_ready(replica.spec.version_id))
            return []

        replica.answer = answer
        replica.ready()

    room.backend.script = script
    await room.add_built("v1")
    async with reconciling(room):
        await until(lambda: room.has_state("v1", VersionState.READY))
    assert asked == [False]


async def test_a_version_that_raises_where_the_one_before_answered_gets_no_traffic(room: ControlRoom) -> None:
    async with reconciling(room):
        await serve_first(room)

        def script(replica: ScriptedReplica) -> None:
            replica.answer = raising(PredictionFailed("predict raised KeyError: 'x'", details="line 9"))
            replica.ready()

        room.backend.script = script
        await room.add_built("v2")
        await until(lambda: room.has_state("v2", VersionState.BUILD_FAILED))
        await until(lambda: room.backend.of("v2")[0].stops == 1)
        assert room.router.is_ready("v1")
    version = await room.get_version("v2")
    assert version.state_message == (
        "the model loads, but does not answer its first request: predict raised KeyError: 'x'; version 1 serves on"
    )
    assert version.state_details == "line 9"
    assert len(room.backend.of("v2")) == 1, "it would raise again"
    assert await default_of(room) == "v1"


async def test_a_first_version_that_raises_serves_and_its_log_says_so(room: ControlRoom) -> None:
    def script(replica: ScriptedReplica) -> None:
        replica.answer = raising(PredictionFailed("wants other inputs"))
        replica.ready()

    room.backend.script = script
    await room.add_built("v1")
    async with reconciling(room):
        await until(lambda: room.has_state("v1", VersionState.READY))
        assert room.router.is_ready("v1")
    assert (await room.get_version("v1")).warm_up is WarmUp.RAISED
    said = room.log_of("v1", LogType.RUN)
    assert "The first request, a sample of the server's, had no answer: wants other inputs" in said


async def test_a_version_that_crashes_on_its_first_request_is_tried_three_times(room: ControlRoom) -> None:
    def script(replica: ScriptedReplica) -> None:
        def answer(request: PostModelOutputsRequest) -> list[bytes]:
            replica.exit(-11)
            raise WorkerCrashed("gone")

        replica.answer = answer
        replica.ready()

    room.backend.script = script
    await room.add_built("v1")
    async with reconciling(room):
        await until(lambda: room.has_state("v1", VersionState.BUILD_FAILED))
    assert len(room.backend.replicas) == 3
    assert "the worker's process ended" in (await room.get_version("v1")).state_message


async def test_a_version_that_hangs_where_the_one_before_answered_gets_no_traffic(room: ControlRoom) -> None:
    room.means = replace(room.means, warm_up_s=0.05)

    def script(replica: ScriptedReplica) -> None:
        replica.link = SilentLink()
        replica.ready()

    async with reconciling(room):
        await serve_first(room)
        room.backend.script = script
        await room.add_built("v2")
        await until(lambda: room.has_state("v2", VersionState.BUILD_FAILED))
    assert "no answer within 0.05 s" in (await room.get_version("v2")).state_message
    assert await default_of(room) == "v1"


async def test_a_replica_that_comes_back_after_a_crash_is_not_asked_again(room: ControlRoom) -> None:
    async with reconciling(room):
        await serve_first(room)
        room.backend.replicas[0].exit()
        await until(lambda: len(room.backend.replicas) == 2 and room.router.is_ready("v1"))
    assert [len(one.link.payloads) for one in room.backend.replicas] == [1, 0]
