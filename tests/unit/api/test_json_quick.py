"""The quick ways of predictions say exactly what protobuf's json_format says."""

from __future__ import annotations

import base64
import json
import math

import msgspec
import pytest
from google.protobuf import json_format
from hypothesis import example, given, settings
from hypothesis import strategies as st

from modelyard.server.api.rest.fill import fill, fill_quickly
from modelyard.server.api.rest.render import render
from modelyard.server.api.rest.usual import MAX_BYTES, find_only_text, make_usual, read_usual
from modelyard.wire.messages import Data, Input, MultiOutputResponse, PostModelOutputsRequest, Text

TEXT = st.text(max_size=20)
FLOAT = st.floats(allow_nan=False, allow_infinity=False, width=32)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | FLOAT | TEXT,
    lambda below: st.lists(below, max_size=3) | st.dictionaries(TEXT, below, max_size=3),
    max_leaves=8,
)
BASE64 = st.binary(max_size=40).map(lambda data: base64.b64encode(data).decode())
MEDIA = st.fixed_dictionaries({}, optional={"base64": BASE64, "url": TEXT, "unknown": JSON})
CONCEPT = st.fixed_dictionaries({}, optional={"id": TEXT, "name": TEXT, "value": FLOAT | st.integers(-5, 5)})


def data_of(parts):
    return st.fixed_dictionaries(
        {},
        optional={
            "text": st.fixed_dictionaries({}, optional={"raw": TEXT, "url": TEXT}),
            "image": MEDIA,
            "audio": MEDIA,
            "video": MEDIA,
            "concepts": st.lists(CONCEPT, max_size=3),
            "metadata": st.dictionaries(TEXT, JSON, max_size=3),
            "parts": parts,
            "intValue": st.integers(-10, 10) | st.just("7"),
            "float_value": FLOAT,
            "boolValue": st.booleans(),
            "bytes_value": BASE64,
            "string_value": TEXT,
            "ndarray": st.fixed_dictionaries({"buffer": BASE64, "shape": st.lists(st.integers(0, 9), max_size=3)}),
            "embeddings": st.lists(st.fixed_dictionaries({"vector": st.lists(FLOAT, max_size=4)}), max_size=2),
        },
    )


PARTS = st.lists(st.fixed_dictionaries({"id": TEXT, "data": data_of(st.just([]))}), max_size=2)
REQUEST = st.fixed_dictionaries(
    {"inputs": st.lists(st.fixed_dictionaries({"data": data_of(PARTS)}), max_size=2)},
    optional={
        "user_app_id": st.fixed_dictionaries({"user_id": TEXT, "appId": TEXT}),
        "modelId": TEXT,
        "version_id": TEXT,
        "model": st.fixed_dictionaries(
            {},
            optional={
                "id": TEXT,
                "model_version": st.fixed_dictionaries(
                    {"output_info": st.fixed_dictionaries({"params": st.dictionaries(TEXT, JSON, max_size=3)})}
                ),
                "createdAt": st.just("2024-01-01T00:00:00Z"),
            },
        ),
        "nonsense": JSON,
    },
)


@settings(max_examples=150, deadline=None)
@given(REQUEST)
def test_filling_agrees_with_protobuf(value: dict) -> None:
    expected = json_format.ParseDict(value, PostModelOutputsRequest(), ignore_unknown_fields=True)
    given_way = PostModelOutputsRequest()
    fill(given_way, value)
    assert given_way == expected
    quick = PostModelOutputsRequest()
    if fill_quickly(quick, value):
        assert quick == expected
    else:
        assert quick == PostModelOutputsRequest()


@pytest.mark.parametrize(
    "value",
    [
        {"inputs": [{"data": {"text": {"raw": "x"}, "metadata": {"_method_name": "predict", "n": 1}}}]},
        {"inputs": [{"data": {"image": {"base64": "AAH/"}, "parts": [{"id": "a", "data": {"string_value": "s"}}]}}]},
        {
            "user_app_id": {"user_id": "u", "app_id": "a"},
            "model": {"model_version": {"output_info": {"params": {"k": 2}}}},
        },
    ],
)
def test_usual_predictions_go_the_quick_way(value: dict) -> None:
    assert fill_quickly(PostModelOutputsRequest(), value)


PLAIN_MEDIUM = st.fixed_dictionaries({}, optional={"base64": BASE64, "url": TEXT})
PLAIN_ARRAY = st.fixed_dictionaries(
    {}, optional={"buffer": BASE64, "shape": st.lists(st.integers(0, 2**32 - 1), max_size=3), "dtype": TEXT}
)
PLAIN_VALUES = {
    "text": st.fixed_dictionaries({}, optional={"raw": TEXT, "url": TEXT}),
    **dict.fromkeys(("image", "audio", "video"), PLAIN_MEDIUM),
    "ndarray": PLAIN_ARRAY,
    "string_value": TEXT,
    "bytes_value": BASE64,
    "bool_value": st.booleans(),
    "int_value": st.integers(-(2**63), 2**63 - 1),
    "float_value": st.floats(allow_nan=False, allow_infinity=False) | st.integers(-5, 5),
}
PLAIN_PART = st.fixed_dictionaries({}, optional={"id": TEXT, "data": st.fixed_dictionaries({}, optional=PLAIN_VALUES)})
PLAIN_PARAMS = st.dictionaries(TEXT, TEXT | st.booleans() | st.integers(-(2**40), 2**40) | FLOAT, max_size=3)
PLAIN_INPUT = st.fixed_dictionaries(
    {},
    optional={
        "id": TEXT,
        "data": st.fixed_dictionaries(
            {}, optional={**PLAIN_VALUES, "parts": st.lists(PLAIN_PART, max_size=2), "metadata": PLAIN_PARAMS}
        ),
    },
)
PLAIN = st.fixed_dictionaries(
    {"inputs": st.lists(PLAIN_INPUT, max_size=3)},
    optional={
        "user_app_id": st.fixed_dictionaries({}, optional={"user_id": TEXT, "app_id": TEXT}),
        "model_id": TEXT,
        "version_id": TEXT,
        "model": st.fixed_dictionaries(
            {},
            optional={
                "id": TEXT,
                "model_version": st.fixed_dictionaries(
                    {},
                    optional={"id": TEXT, "output_info": st.fixed_dictionaries({}, optional={"params": PLAIN_PARAMS})},
                ),
            },
        ),
    },
)


@settings(max_examples=150, deadline=None)
@given(PLAIN, st.booleans(), st.sampled_from([None, 2]))
def test_texts_media_and_values_go_the_usual_way_and_agree_with_protobuf(
    value: dict, is_ascii: bool, indent: int | None
) -> None:
    body = json.dumps(value, ensure_ascii=is_ascii, indent=indent).encode()
    usual = read_usual(body)
    assert usual is not None
    assert make_usual(usual) == json_format.ParseDict(value, PostModelOutputsRequest())


@settings(max_examples=150, deadline=None)
@given(REQUEST)
def test_what_goes_the_usual_way_is_what_protobuf_makes_of_it(value: dict) -> None:
    usual = read_usual(json.dumps(value).encode())
    expected = json_format.ParseDict(value, PostModelOutputsRequest(), ignore_unknown_fields=True)
    assert usual is None or make_usual(usual) == expected


@settings(max_examples=150, deadline=None)
@given(PLAIN)
@example({"inputs": [{"data": {"text": {"raw": "a"}}}]})
@example({"inputs": [{"id": "", "data": {"text": {"raw": "a", "url": ""}, "parts": []}}], "model_id": ""})
@example({"inputs": [{"data": {"text": {"raw": "a"}, "bool_value": False}}]})
@example({"inputs": [{"data": {"text": {"raw": "a"}, "image": {}}}]})
@example({"inputs": [{"data": {"text": {"raw": "a"}, "int_value": 1}}]})
@example({"inputs": [{"data": {"text": {"raw": "a"}}}], "user_app_id": {}})
def test_text_that_is_all_of_a_request_is_found(value: dict) -> None:
    usual = read_usual(json.dumps(value).encode())
    assert usual is not None
    text = find_only_text(usual)
    if text is not None:
        only = PostModelOutputsRequest(inputs=[Input(data=Data(text=Text(raw=text)))])
        assert only == without_nothing(make_usual(usual))


def without_nothing(request: PostModelOutputsRequest) -> PostModelOutputsRequest:
    """Without what is there and says nothing."""
    if not request.user_app_id.ByteSize():
        request.ClearField("user_app_id")
    return request


ONE_VALUE = b'{"inputs": [{"data": {%s}}]}'
ONE_TEXT = b'{"inputs": [{"data": {"text": {%s}}}]}'


@pytest.mark.parametrize(
    "body",
    [
        ONE_TEXT % b'"raw": "a", "raw": "b"',
        ONE_TEXT % b'"raw" : "a", "raw": "b"',
        ONE_TEXT % rb'"r\u0061w": "a", "raw": "b"',
        ONE_TEXT % rb'"raw": "\u0022", "raw": "b"',
        ONE_TEXT % rb'"raw": "\u0022\u0022", "raw": "b"',
        ONE_TEXT % b'"raw": null',
        ONE_TEXT % b'"raw": 1',
        ONE_TEXT % b'"raw": "a", "more": [NaN]',
        ONE_TEXT % rb'"raw": "\ud800"',
        ONE_TEXT % b'"raw": "\xff"',
        ONE_TEXT % b'"raw": "a\nb"',
        ONE_TEXT % b'"raw": "a"' + b"}",
        b"\xef\xbb\xbf" + ONE_TEXT % b'"raw": "a"',
        b'{"modelId": "m", "inputs": []}',
        b"[]",
        b"",
        ONE_TEXT % b'"raw": "%b"' % (b"a" * MAX_BYTES),
        ONE_VALUE % b'"image": {"base64": "AAH/", "base64": "AAH/"}',
        ONE_VALUE % b'"image": {"base64": "AAE"}',
        ONE_VALUE % b'"image": {"base64": "AA-_"}',
        ONE_VALUE % b'"image": {"base64": "AA AA"}',
        ONE_VALUE % b'"image": {"base64": "AAH/=AAA"}',
        ONE_VALUE % b'"image": {"base64": "", "hosted": {}}',
        ONE_VALUE % b'"image": null',
        ONE_VALUE % b'"int_value": 1, "int_value": 2',
        ONE_VALUE % b'"int_value": "1"',
        ONE_VALUE % b'"int_value": true',
        ONE_VALUE % b'"int_value": 1.5',
        ONE_VALUE % b'"float_value": "NaN"',
        ONE_VALUE % b'"float_value": 1e999',
        ONE_VALUE % b'"float_value": NaN',
        ONE_VALUE % b'"metadata": {"a": 1, "a": 2}',
        ONE_VALUE % b'"metadata": {"a": null}',
        ONE_VALUE % b'"metadata": {"a": {"b": 1}}',
    ],
)
def test_what_is_not_usual_is_left_to_the_strict_way(body: bytes) -> None:
    assert read_usual(body) is None


@pytest.mark.parametrize(
    "value",
    [
        {"inputs": [{"data": {"image": {"base64": "AA-_"}}}]},
        {"inputs": [{"data": {"image": {"base64": "AAE"}}}]},
        {"inputs": None, "model_id": "m"},
        {"inputs": [{"data": {"embeddings": [{"num_dimensions": "3"}]}}]},
        {"inputs": [{"data": {"concepts": [{"value": "0.5"}]}}]},
        {"inputs": [{"data": {"image": None}}]},
    ],
)
def test_unusual_predictions_are_protobufs_to_decide(value: dict) -> None:
    assert not fill_quickly(PostModelOutputsRequest(), value)
    message = PostModelOutputsRequest()
    fill(message, value)
    assert message == json_format.ParseDict(value, PostModelOutputsRequest(), ignore_unknown_fields=True)


@settings(max_examples=150, deadline=None)
@given(REQUEST, st.floats(width=32) | st.just(math.nan), st.floats(), st.integers(-(2**60), 2**60))
def test_rendering_agrees_with_protobuf(value: dict, single: float, double: float, number: int) -> None:
    request = json_format.ParseDict(value, PostModelOutputsRequest(), ignore_unknown_fields=True)
    answer = MultiOutputResponse()
    answer.status.code = 10010
    for one in request.inputs:
        output = answer.outputs.add(data=one.data)
        output.data.concepts.add(id="c", value=single)
        output.data.int_value = number
        output.created_at.seconds = 5
        output.data.float_value = double
        output.data.image.hosted_image_info["large"].width = 3
    expected = json_format.MessageToDict(answer, preserving_proto_field_name=True, use_integers_for_enums=True)
    assert json.loads(render(answer)) == json.loads(msgspec.json.encode(expected))


@pytest.mark.parametrize(
    "value",
    [
        b'"int_value": 9223372036854775808',
        b'"ndarray": {"shape": [-1]}',
        b'"ndarray": {"shape": [4294967296]}',
        b'"metadata": {"n": 1%b}' % (b"0" * 400),
    ],
)
def test_numbers_that_no_message_may_have_are_left_to_the_strict_way(value: bytes) -> None:
    usual = read_usual(ONE_VALUE % value)
    assert usual is None or make_usual(usual) is None


@pytest.mark.parametrize(
    "number", ["-0.0", "1e2", "100.0", "-1E-300", "5e-324", "0.1", "123456789012345678901234567890"]
)
def test_numbers_are_read_as_protobuf_reads_them(number: str) -> None:
    for field in ("int_value", "float_value"):
        body = ONE_VALUE % b'"%b": %b' % (field.encode(), number.encode())
        usual = read_usual(body)
        made = None if usual is None else make_usual(usual)
        if made is not None:
            expected = json_format.ParseDict(json.loads(body), PostModelOutputsRequest())
            assert made.SerializeToString() == expected.SerializeToString()
