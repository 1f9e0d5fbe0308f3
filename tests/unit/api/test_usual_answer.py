"""The quick JSON of usual answers is what `render` makes of them."""

from __future__ import annotations

import pytest
from google.protobuf.message import DecodeError
from hypothesis import example, given, settings
from hypothesis import strategies as st

from modelyard.server.api.rest.render import render
from modelyard.server.api.rest.usual_answer import render_usual
from modelyard.wire.messages import Data, MultiOutputResponse, Output, Status, StatusCode, Text
from modelyard.wire.nesting import MAX_BYTES

OK = Status(code=StatusCode.SUCCESS, description="Ok")
REQUEST_ID = "0123456789abcdef" * 2


def answer_of(texts: list[str], request_id: str = REQUEST_ID, status: Status = OK) -> MultiOutputResponse:
    return MultiOutputResponse(
        status=Status(code=StatusCode.SUCCESS, description="Ok", req_id=request_id),
        outputs=[Output(status=status, data=Data(text=Text(raw=text))) for text in texts],
    )


@settings(deadline=None)
@given(
    st.lists(st.text(min_size=1, max_size=200), min_size=1, max_size=4),
    st.text(min_size=1, max_size=100),
    st.sampled_from([OK, Status(code=StatusCode.SUCCESS)]),
)
@example(["x" * 100], "a-" + REQUEST_ID, OK)
@example(["x" * 10_000], '"\n', OK)
def test_texts_go_the_quick_way(texts: list[str], request_id: str, status: Status) -> None:
    answer = answer_of(texts, request_id, status)
    expected = render(answer) if answer.status.ByteSize() < 128 else None
    assert render_usual(answer.SerializeToString()) == expected


@pytest.mark.parametrize(
    "answer",
    [
        MultiOutputResponse(),
        answer_of([]),
        answer_of([""]),
        answer_of(["a", ""]),
        answer_of(["", "a"]),
        answer_of(["a"], ""),
        answer_of(["a"], status=Status()),
        answer_of(["a"], status=Status(code=StatusCode.SUCCESS, description="Fine")),
        answer_of(["a"], status=Status(code=StatusCode.FAILURE)),
        answer_of(["x" * MAX_BYTES]),
        MultiOutputResponse(status=Status(code=StatusCode.FAILURE, description="Failed", req_id=REQUEST_ID)),
        MultiOutputResponse(status=answer_of([]).status, outputs=[Output(data=Data(text=Text(raw="a")))]),
        MultiOutputResponse(status=answer_of([]).status, outputs=[Output(status=OK)]),
        MultiOutputResponse(status=answer_of([]).status, outputs=[Output(id="1", status=OK, data=Data())]),
        MultiOutputResponse(
            status=answer_of([]).status, outputs=[Output(status=OK, data=Data(text=Text(raw="a", url="b")))]
        ),
        MultiOutputResponse(
            status=answer_of([]).status, outputs=[Output(status=OK, data=Data(text=Text(raw="a"), bool_value=True))]
        ),
        MultiOutputResponse(
            status=answer_of([]).status,
            outputs=[Output(status=OK, data=Data(text=Text(raw="a")), prompt_tokens=1)],
        ),
    ],
)
def test_other_answers_are_left_to_render(answer: MultiOutputResponse) -> None:
    assert render_usual(answer.SerializeToString()) is None


@settings(max_examples=500, deadline=None)
@given(st.lists(st.text(max_size=140), min_size=1, max_size=2), st.data())
def test_what_goes_the_quick_way_is_usual_whatever_the_bytes(texts: list[str], data) -> None:
    raw = bytearray(answer_of(texts).SerializeToString())
    for _ in range(data.draw(st.integers(0, 3))):
        place = data.draw(st.integers(0, len(raw) - 1))
        piece = bytes([data.draw(st.sampled_from(b"\x0a\x12\x32\x6a\x3a\x00\x80\xffa"))])
        raw[place : place + data.draw(st.integers(0, 1))] = piece
    check(bytes(raw))


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60))
@example(answer_of(["a"]).SerializeToString() * 2)
@example(answer_of(["a"]).SerializeToString()[:-1])
def test_any_bytes_may_come(raw: bytes) -> None:
    check(raw)


def check(raw: bytes) -> None:
    made = render_usual(raw)
    try:
        answer = MultiOutputResponse.FromString(raw)
    except DecodeError:
        assert made is None
    else:
        assert made is None or made == render(answer)
