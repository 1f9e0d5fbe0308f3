"""Calls over real gRPC: answers, and errors of ours instead of gRPC's."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

import pytest

from modelyard.client.auth import Context
from modelyard.client.transport import Transport
from modelyard.errors import (
    DeadlineExceeded,
    InvalidRequest,
    MethodNotImplemented,
    ModelNotFound,
    PredictionFailed,
    Unavailable,
)
from modelyard.wire.messages import (
    GetModelRequest,
    MultiOutputResponse,
    Output,
    PostModelOutputsRequest,
    SingleModelResponse,
    Status,
    StatusCode,
)
from modelyard.wire.status import status_of, success


def test_a_call_carries_the_token_and_brings_the_answer(answers: Any, transport: Transport) -> None:
    answers.by_name["GetModel"] = lambda request: SingleModelResponse(status=success(), model={"id": request.model_id})
    assert transport.call("GetModel", GetModelRequest(model_id="m")).model.id == "m"
    assert answers.authorizations == ["Key secret"]


def test_a_status_that_tells_an_error_is_raised(answers: Any, transport: Transport) -> None:
    missing = status_of(ModelNotFound("Model does not exist: m", hint="modelyard models"))
    answers.by_name["GetModel"] = lambda _: SingleModelResponse(status=missing)
    with pytest.raises(ModelNotFound, match="Model does not exist: m") as raised:
        transport.call("GetModel", GetModelRequest(model_id="m"))
    assert "modelyard models" in raised.value.details


def test_a_method_that_the_server_lacks_is_told_so(transport: Transport) -> None:
    with pytest.raises(MethodNotImplemented):
        transport.call("GetModel", GetModelRequest())


def test_where_no_server_answers_the_next_step_is_up() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        base = f"http://127.0.0.1:{unused.getsockname()[1]}"
        with Transport(Context(base=base, token="t")) as transport, pytest.raises(Unavailable) as raised:
            transport.call("GetModel", GetModelRequest())
    assert base in raised.value.message
    assert raised.value.hint == "modelyard up"


def test_a_deadline_that_passes_is_told_so(answers: Any, transport: Transport) -> None:
    is_over = threading.Event()

    def stall(_: Any) -> Iterator[MultiOutputResponse]:
        yield MultiOutputResponse(status=success())
        is_over.wait(10)

    answers.by_name["GenerateModelOutputs"] = stall
    got = transport.generate("GenerateModelOutputs", PostModelOutputsRequest(), timeout_s=0.3)
    try:
        next(got)
        with pytest.raises(DeadlineExceeded):
            next(got)
    finally:
        is_over.set()


def test_a_stream_goes_both_ways(answers: Any, transport: Transport) -> None:
    def shout(requests: Iterator[Any]) -> Iterator[MultiOutputResponse]:
        for request in requests:
            text = request.inputs[0].data.text.raw.upper()
            yield MultiOutputResponse(status=success(), outputs=[Output(data={"text": {"raw": text}})])

    answers.by_name["StreamModelOutputs"] = shout
    asked = [PostModelOutputsRequest(inputs=[{"data": {"text": {"raw": word}}}]) for word in ("a", "b")]
    got = [one.outputs[0].data.text.raw for one in transport.stream("StreamModelOutputs", asked)]
    assert got == ["A", "B"]


def test_a_large_message_passes(answers: Any, transport: Transport) -> None:
    answers.by_name["GetModel"] = lambda _: SingleModelResponse(status=success(), model={"notes": "x" * (8 << 20)})
    assert len(transport.call("GetModel", GetModelRequest()).model.notes) == 8 << 20


def test_a_proxy_of_the_environment_is_not_asked_for_this_machine(
    answers: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    answers.by_name["GetModel"] = lambda _: SingleModelResponse(status=success())
    for base in (answers.url, answers.url.replace("127.0.0.1", "localhost")):
        with Transport(Context(base=base, token="t")) as transport:
            transport.call("GetModel", GetModelRequest(), timeout_s=10)


def test_an_answer_whose_outputs_all_failed_is_the_models_failure(answers: Any, transport: Transport) -> None:
    failed = Status(code=StatusCode.FAILURE, description="too dark")
    answer = MultiOutputResponse(status=Status(code=StatusCode.FAILURE), outputs=[Output(status=failed)])
    answers.by_name["PostModelOutputs"] = lambda _: answer
    with pytest.raises(PredictionFailed, match="output 1 of 1 failed: too dark"):
        transport.call("PostModelOutputs", PostModelOutputsRequest())


def test_an_answer_that_failed_in_parts_is_an_answer(answers: Any, transport: Transport) -> None:
    mixed = MultiOutputResponse(status=Status(code=StatusCode.MIXED_STATUS), outputs=[Output()])
    answers.by_name["PostModelOutputs"] = lambda _: mixed
    assert transport.call("PostModelOutputs", PostModelOutputsRequest()) == mixed


@pytest.mark.parametrize("base", ["ftp://host", "http://", "http://host/path", "http://host:port", "http://host:99999"])
def test_what_is_no_address_is_refused(base: str) -> None:
    with pytest.raises(InvalidRequest, match="not the address"):
        Transport(Context(base=base, token="t"))


def test_a_numeric_address_keeps_its_brackets() -> None:
    with Transport(Context(base="http://[::1]:9", token="t")) as transport, pytest.raises(Unavailable) as raised:
        transport.call("GetModel", GetModelRequest(), timeout_s=10)
    assert "[::1]:9" in unquote(raised.value.message).partition(": ")[2]
