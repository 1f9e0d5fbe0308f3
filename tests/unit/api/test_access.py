"""Who may do what: tokens, kinds, scopes, users and apps."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from modelyard.errors import Forbidden, InternalError, MethodNotImplemented, Unauthenticated, UserNotFound
from modelyard.server.api.access import Access
from modelyard.server.api.v2.call import Call, Envelope, Incoming, Reply
from modelyard.server.api.v2.dispatch import V2
from modelyard.server.records import Caller
from modelyard.wire.messages import (
    GetModelRequest,
    MultiOutputResponse,
    PostModelOutputsRequest,
    PostModelVersionsUploadRequest,
    SingleModelResponse,
    StatusCode,
)
from modelyard.wire.methods import AuthKind, load_methods
from support.doors import ALL, EchoHandlers, FakeTokens, make_v2

BOUND = Caller(user_id="ann", token_id="t2", app_ids=frozenset({"main"}))
PREDICT = Caller(user_id="ann", token_id="t3", scopes=frozenset({"Predict", "Models_Get", "Apps_Get", "Concepts_Get"}))


def authorize(caller: Caller, name: str, user_id: str = "me", app_id: str = "main"):
    return Access(FakeTokens()).authorize(caller, load_methods()[name], user_id, app_id)


@pytest.mark.parametrize("header", ["Key all", "key all", "Bearer all", "BEARER   all  "])
async def test_schemes(header: str) -> None:
    assert await Access(FakeTokens()).authenticate(header) == ALL


@pytest.mark.parametrize("header", [None, "", "Key", "Key ", "Basic all", "all", "Key no"])
async def test_wrong_headers_are_unauthenticated(header: str | None) -> None:
    with pytest.raises(Unauthenticated):
        await Access(FakeTokens()).authenticate(header)


@pytest.mark.parametrize("alias", ["", "me", "ann"])
def test_own_ids_are_resolved(alias: str) -> None:
    assert authorize(ALL, "GetModel", alias).user_id == "ann"


def test_another_user_is_not_found() -> None:
    with pytest.raises(UserNotFound):
        authorize(ALL, "GetModel", "bob")


def test_scopes_and_what_they_bring() -> None:
    authorize(PREDICT, "PostModelOutputs")
    authorize(PREDICT, "GetModel")
    with pytest.raises(Forbidden, match="Models_Delete"):
        authorize(PREDICT, "DeleteModels")
    adder = Caller(user_id="ann", token_id="t", scopes=frozenset({"Models_Add", "Apps_Get"}))
    authorize(adder, "GetModelType")


def test_no_token_opens_sessions_doors() -> None:
    closed = [
        one.name for one in load_methods().values() if one.auth not in (AuthKind.KEY, AuthKind.PAT, AuthKind.NONE)
    ]
    assert closed
    for name in closed:
        with pytest.raises(Forbidden):
            authorize(ALL, name)


def test_bound_token_works_in_its_apps_only() -> None:
    authorize(BOUND, "GetModel", app_id="main")
    for app_id in ("other", ""):
        with pytest.raises(Forbidden):
            authorize(BOUND, "GetModel", app_id=app_id)


@pytest.mark.parametrize("name", ["PostKeys", "ListKeys", "DeleteKey", "PostApps", "ListApps", "PatchApps"])
def test_bound_token_does_nothing_on_the_user_even_if_the_message_names_its_app(name: str) -> None:
    for app_id in ("main", ""):
        with pytest.raises(Forbidden):
            authorize(BOUND, name, app_id=app_id)


@pytest.mark.parametrize("name", ["PostModelVersionsUpload", "StreamModelOutputs", "PostModelOutputs"])
def test_bound_token_predicts_and_uploads_in_its_app(name: str) -> None:
    assert authorize(BOUND, name).app_id == "main"


def test_bound_token_may_ask_who_it_is() -> None:
    assert authorize(BOUND, "GetUser", app_id="").user_id == "ann"


def test_every_method_asks_for_something() -> None:
    """A token without scopes gets no further than what the contract gives to all."""
    nothing = Caller(user_id="ann", token_id="t", scopes=frozenset())
    for method in load_methods().values():
        if method.auth in (AuthKind.KEY, AuthKind.PAT) and method.scopes:
            with pytest.raises(Forbidden):
                authorize(nothing, method.name)


ENVELOPE = Envelope(authorization="Key all", request_id="r1", deadline=None)


async def test_dispatch_completes_the_status() -> None:
    reply = await make_v2(EchoHandlers()).unary("GetModel", Incoming(GetModelRequest(model_id="m")), ENVELOPE)
    assert isinstance(reply, SingleModelResponse)
    assert (reply.status.code, reply.status.description, reply.status.req_id) == (10000, "Ok", "r1")


async def test_call_carries_what_was_resolved() -> None:
    echo = EchoHandlers()
    request = GetModelRequest(model_id="m")
    request.user_app_id.app_id = "main"
    await make_v2(echo).unary("GetModel", Incoming(request, b"raw"), ENVELOPE)
    call = echo.calls[0]
    assert (call.user_id, call.app_id, call.raw, call.request_id, call.caller) == ("ann", "main", b"raw", "r1", ALL)


async def test_unknown_and_unhandled_methods_raise() -> None:
    v2 = make_v2(EchoHandlers())
    for name in ("NoSuch", "PostWorkflows"):
        with pytest.raises(MethodNotImplemented, match=name):
            await v2.unary(name, Incoming(GetModelRequest()), ENVELOPE)


def test_handler_of_an_unknown_method_is_a_fault() -> None:
    with pytest.raises(InternalError, match="NoSuch"):
        V2(Access(FakeTokens()), {"NoSuch": EchoHandlers().echo})


async def test_failures_are_logged_without_what_the_caller_sent(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    request = PostModelOutputsRequest()
    request.inputs.add().data.text.raw = "missing"
    await make_v2(EchoHandlers()).unary("PostModelOutputs", Incoming(request), ENVELOPE)
    assert "request.failed method=PostModelOutputs request_id=r1 user=ann code=21200" in caplog.text


async def messages(*items: object) -> AsyncIterator[Incoming]:
    for one in items:
        yield Incoming(one)  # type: ignore[arg-type]


def stream_request(user_id: str = "", app_id: str = "") -> PostModelOutputsRequest:
    request = PostModelOutputsRequest()
    request.user_app_id.user_id, request.user_app_id.app_id = user_id, app_id
    request.inputs.add().data.text.raw = "x"
    return request


async def codes(name: str, *items: object) -> list[int]:
    v2 = make_v2(EchoHandlers())
    return [reply.status.code async for reply in v2.stream(name, messages(*items), ENVELOPE)]  # type: ignore[union-attr]


async def test_stream_stays_in_the_app_it_began_in() -> None:
    first = stream_request("me", "main")
    assert await codes("StreamModelOutputs", first, stream_request("ann", "main"), stream_request()) == [10000] * 3
    for later in (stream_request("bob", "main"), stream_request("me", "other")):
        assert await codes("StreamModelOutputs", first, later) == [10000, StatusCode.CONN_BAD_REQUEST_FORMAT]


async def test_upload_names_its_app_in_the_configuration() -> None:
    first = PostModelVersionsUploadRequest()
    first.upload_config.user_app_id.user_id = "bob"
    assert await codes("PostModelVersionsUpload", first) == [StatusCode.CONN_DOES_NOT_EXIST]


async def test_stream_left_early_ends_its_handler() -> None:
    ended = []

    async def endless(call: Call, incomings: AsyncIterator[Incoming]) -> AsyncIterator[Reply]:
        try:
            while True:
                yield MultiOutputResponse()
        finally:
            ended.append(True)

    v2 = V2(Access(FakeTokens()), {"StreamModelOutputs": endless})
    replies = v2.stream("StreamModelOutputs", messages(stream_request()), ENVELOPE)
    await anext(replies)
    await replies.aclose()
    assert ended == [True]
