from __future__ import annotations

import pytest

from modelyard.errors import InvalidModelOutput
from modelyard.wire.messages import (
    Data,
    Input,
    MultiOutputResponse,
    Output,
    PostModelOutputsRequest,
    Status,
    StatusCode,
    Struct,
)
from modelyard.worker.answers import asks_for_signatures, encode_answer, encode_signatures

OK, BAD = StatusCode.SUCCESS, StatusCode.MODEL_PREDICTION_FAILED


def encode(*codes: int, top: int = 0) -> MultiOutputResponse:
    outputs = [Output(status=Status(code=code)) for code in codes]
    answer = MultiOutputResponse(outputs=outputs, status=Status(code=top))
    return MultiOutputResponse.FromString(encode_answer(answer, "predict").payload)


def test_outputs_without_status_succeeded() -> None:
    assert [output.status.code for output in encode(0, BAD, 0).outputs] == [OK, BAD, OK]


@pytest.mark.parametrize(
    ("codes", "top"),
    [
        ((OK, OK), StatusCode.SUCCESS),
        ((0,), StatusCode.SUCCESS),
        ((), StatusCode.SUCCESS),
        ((OK, BAD), StatusCode.MIXED_STATUS),
        ((BAD, BAD), StatusCode.FAILURE),
    ],
)
def test_answer_without_status_gets_it_from_its_outputs(codes: tuple[int, ...], top: int) -> None:
    assert encode(*codes).status.code == top


def test_status_that_the_author_set_stays() -> None:
    assert encode(OK, top=StatusCode.MODEL_BUSY_PLEASE_RETRY).status.code == StatusCode.MODEL_BUSY_PLEASE_RETRY


@pytest.mark.parametrize(
    ("answer", "named"), [(None, "None"), ({}, "type dict"), ("text", "type str"), (Output(), "type Output")]
)
def test_what_is_no_answer_is_named(answer: object, named: str) -> None:
    with pytest.raises(InvalidModelOutput, match=named):
        encode_answer(answer, "predict")


def request_for(method: str | None) -> PostModelOutputsRequest:
    data = Data()
    if method is not None:
        data.metadata.CopyFrom(Struct())
        data.metadata["_method_name"] = method
    return PostModelOutputsRequest(inputs=[Input(data=data)])


@pytest.mark.parametrize(("method", "expected"), [("_GET_SIGNATURES", True), ("predict", False), (None, False)])
def test_question_for_signatures_is_recognised(method: str | None, expected: bool) -> None:
    request = request_for(method)
    assert asks_for_signatures(request, request.SerializeToString()) is expected
    request.inputs[0].data.text.raw = "a" * 10_000
    assert asks_for_signatures(request, request.SerializeToString()) is expected
    assert not asks_for_signatures(PostModelOutputsRequest(), b"")


def test_question_for_signatures_is_answered_with_an_output() -> None:
    answer = MultiOutputResponse.FromString(encode_signatures(""))
    assert answer.status.code == StatusCode.INPUT_UNSUPPORTED_FORMAT
    assert len(answer.outputs) == 1
