from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.errors import InvalidModelOutput
from modelyard.wire.messages import (
    Data,
    Input,
    MultiOutputResponse,
    Output,
    PostModelOutputsRequest,
    Status,
    StatusCode,
    Text,
)
from modelyard.worker.merging import Parcel, merge, open_parcel, split

# A text that has the word of newer requests is alone, see below.
TEXTS = st.lists(st.text(max_size=200).filter(lambda text: "_method_name" not in text), min_size=1, max_size=5)


def request(*texts: str, model_id: str = "m", **params: object) -> PostModelOutputsRequest:
    made = PostModelOutputsRequest(
        model_id=model_id, inputs=[Input(id=text[:8], data=Data(text=Text(raw=text))) for text in texts]
    )
    made.user_app_id.user_id = "ada"
    if params:
        made.model.model_version.output_info.params.update(params)
    return made


def open_it(message: PostModelOutputsRequest | bytes) -> Parcel:
    parcel = open_parcel(message if isinstance(message, bytes) else message.SerializeToString())
    assert parcel is not None
    return parcel


def answer(*codes: int, status: int = 0) -> MultiOutputResponse:
    outputs = [
        Output(data=Data(text=Text(raw=f"{number}")), status=Status(code=code)) for number, code in enumerate(codes)
    ]
    return MultiOutputResponse(outputs=outputs, status=Status(code=status))


def read(payload: bytes) -> MultiOutputResponse:
    return MultiOutputResponse.FromString(payload)


@given(st.lists(TEXTS, min_size=1, max_size=6))
def test_inputs_of_all_are_in_the_merged_request_in_order(callers: list[list[str]]) -> None:
    merged = merge([open_it(request(*texts)) for texts in callers])
    assert merged == request(*(text for texts in callers for text in texts))


@given(st.lists(st.integers(1, 5), min_size=1, max_size=6))
def test_each_caller_gets_the_outputs_of_its_inputs(counts: list[int]) -> None:
    payloads = list(split(answer(*[0] * sum(counts)), counts))
    numbers = iter(range(sum(counts)))
    for payload, count in zip(payloads, counts, strict=True):
        assert [one.data.text.raw for one in read(payload).outputs] == [f"{next(numbers)}" for _ in range(count)]


@given(st.binary(max_size=400))
def test_any_bytes_are_a_parcel_or_alone_and_never_an_exception(payload: bytes) -> None:
    parcel = open_parcel(payload)
    assert parcel is None or parcel.inputs


@given(TEXTS, st.integers(0, 400))
def test_request_that_is_cut_short_is_never_merged_as_another(texts: list[str], cut: int) -> None:
    payload = request(*texts).SerializeToString()[:cut]
    parcel = open_parcel(payload)
    if parcel is not None:
        assert merge([parcel]) == PostModelOutputsRequest.FromString(payload)


def test_params_are_the_same_however_their_keys_are_ordered() -> None:
    one = open_it(request("a", temperature=0.5, top_k=3, stop="x"))
    other = open_it(request("b", stop="x", top_k=3, temperature=0.5))
    assert one.key == other.key


def test_params_are_the_same_though_defaults_stand_in_front_of_one() -> None:
    defaults = PostModelOutputsRequest(model_id="m").SerializeToString()
    assert open_it(defaults + request("a").SerializeToString()).key == open_it(request("b")).key


@pytest.mark.parametrize(
    "other", [request("a", model_id="n"), request("a", top_k=1), request("a", top_k=2), request("a", k=1)]
)
def test_requests_that_differ_in_anything_but_inputs_have_other_keys(other: PostModelOutputsRequest) -> None:
    keys = {open_it(one).key for one in (request("a"), other)}
    assert len(keys) == 2


def test_concepts_of_the_caller_are_parameters() -> None:
    named = request("a")
    named.model.model_version.output_info.data.concepts.add(id="cat", name="cat")
    assert open_it(named).key != open_it(request("a")).key


def test_fields_that_this_release_does_not_know_are_parameters() -> None:
    payload = request("a").SerializeToString()
    assert open_it(payload + b"\xa2\x06\x01x").key != open_it(payload).key


def test_parameters_too_large_to_remember_are_compared_too() -> None:
    assert open_it(request("a", prompt="x" * 40_000)).key == open_it(request("b", prompt="x" * 40_000)).key


def test_request_without_inputs_is_alone() -> None:
    assert open_parcel(request().SerializeToString()) is None


def test_request_of_the_newer_style_is_alone() -> None:
    asking = request("a")
    asking.inputs[0].data.metadata["_method_name"] = "predict"
    assert open_parcel(asking.SerializeToString()) is None


def test_what_is_no_request_is_alone() -> None:
    assert open_parcel(b"\xff\xff\xff") is None


OK, BAD, MIXED, FAILED = (
    StatusCode.SUCCESS,
    StatusCode.MODEL_PREDICTION_FAILED,
    StatusCode.MIXED_STATUS,
    StatusCode.FAILURE,
)


@pytest.mark.parametrize("status", [0, MIXED, FAILED])
def test_status_of_each_caller_is_the_sum_of_its_own_outputs(status: int) -> None:
    payloads = split(answer(0, OK, 0, BAD, BAD, BAD, status=status), [2, 2, 2])
    assert [read(one).status.code for one in payloads] == [OK, MIXED, FAILED]


def test_outputs_without_a_status_succeeded_and_others_keep_theirs() -> None:
    outputs = [one for payload in split(answer(0, BAD), [1, 1]) for one in read(payload).outputs]
    assert [one.status.code for one in outputs] == [OK, BAD]


def test_status_that_the_author_gave_to_all_is_each_callers() -> None:
    payloads = split(answer(0, 0, status=StatusCode.MODEL_DEPLOYING), [1, 1])
    assert {read(one).status.code for one in payloads} == {StatusCode.MODEL_DEPLOYING}


@pytest.mark.parametrize("returned", [0, 2, 4])
def test_wrong_number_of_outputs_is_told_with_both_numbers(returned: int) -> None:
    with pytest.raises(InvalidModelOutput, match=f"sent 3 inputs, merged from 2 requests, and returned {returned}"):
        list(split(answer(*[0] * returned), [1, 2]))


def test_large_outputs_arrive_whole() -> None:
    response = MultiOutputResponse(
        outputs=[Output(data=Data(text=Text(raw="x" * size))) for size in (127, 128, 70_000)]
    )
    sizes = [len(read(one).outputs[0].data.text.raw) for one in split(response, [1, 1, 1])]
    assert sizes == [127, 128, 70_000]
