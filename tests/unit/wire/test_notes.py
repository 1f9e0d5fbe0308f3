from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.wire.messages import PostModelOutputsRequest
from modelyard.wire.notes import NO_NOTE, Note, add_batch, encode_id, encode_note, read_note, take_batch

IDS = st.text(st.characters(codec="ascii", categories=("L", "N")), min_size=1, max_size=300)


@given(IDS, st.one_of(st.just(""), IDS), st.text(max_size=50))
def test_note_is_read_from_the_front_and_the_message_stays_what_it_was(
    request_id: str, traceparent: str, model_id: str
) -> None:
    payload = encode_note(request_id, traceparent) + PostModelOutputsRequest(model_id=model_id).SerializeToString()
    assert read_note(payload) == Note(request_id, traceparent)
    assert PostModelOutputsRequest.FromString(payload).model_id == model_id


@given(IDS, IDS, st.one_of(st.just(""), IDS), st.booleans())
def test_trace_goes_with_its_state_and_with_what_is_asked_back(
    request_id: str, traceparent: str, tracestate: str, asks_batch: bool
) -> None:
    payload = encode_note(request_id, traceparent, tracestate, asks_batch=asks_batch)
    assert read_note(payload) == Note(request_id, traceparent, tracestate, asks_batch)


@given(st.binary(max_size=50), st.integers(0, 2**32 - 1))
def test_size_of_a_batch_is_taken_off_the_answer(answer: bytes, inputs: int) -> None:
    assert take_batch(add_batch(answer, inputs)) == (answer, inputs)


def test_answer_with_the_size_behind_it_is_still_a_message() -> None:
    answer = PostModelOutputsRequest(model_id="m")
    assert PostModelOutputsRequest.FromString(add_batch(answer.SerializeToString(), 7)).model_id == "m"


@given(st.binary(max_size=200))
def test_answer_without_a_size_stays_as_it_is(answer: bytes) -> None:
    kept, inputs = take_batch(answer)
    assert inputs or kept == answer


@given(st.binary(max_size=200))
def test_any_bytes_have_a_note_or_none(payload: bytes) -> None:
    read_note(payload)


@pytest.mark.parametrize("payload", [b"", PostModelOutputsRequest(model_id="m").SerializeToString()])
def test_payload_without_a_note_has_none(payload: bytes) -> None:
    assert read_note(payload) == NO_NOTE


def test_what_a_caller_sends_behind_the_gateways_note_is_not_believed() -> None:
    assert read_note(encode_note("ours") + encode_note("theirs")).request_id == "ours"


def test_note_that_is_far_too_long_is_left_out() -> None:
    assert encode_note("x" * (1 << 14)) == b""


def test_id_alone_is_a_note_without_a_trace() -> None:
    assert encode_id("mine-0123") == encode_note("mine-0123")
    assert [read_note(encode_id("mine-0123")) for _ in range(2)] == [Note("mine-0123")] * 2
