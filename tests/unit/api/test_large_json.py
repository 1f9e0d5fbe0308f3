"""Large values in JSON go around the parsers, and nobody can tell by what comes out."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelyard.errors import InvalidRequest
from modelyard.server.api.rest.large import render_reply
from modelyard.server.api.rest.render import render
from modelyard.server.api.rest.requests import make_incoming, read_message
from modelyard.server.api.rest.routes import Match, Routes
from modelyard.wire.messages import MultiOutputResponse, Output, PostModelOutputsRequest, Status
from modelyard.wire.methods import load_methods
from modelyard.wire.outline import LARGE_BYTES, complete
from modelyard.wire.pieces import Pieces

METHOD = load_methods()["PostModelOutputs"]
SIZES = st.sampled_from([0, 1, 3, LARGE_BYTES // 2, LARGE_BYTES, LARGE_BYTES + 1, 3 * LARGE_BYTES + 2])
LARGE = b"\x00\xffimage" * (LARGE_BYTES // 4)
LARGE_TEXT = base64.b64encode(LARGE).decode()


@pytest.fixture(scope="module")
def match() -> Match:
    scope: Any = {"path": "/v2/models/m/outputs", "raw_path": b"/v2/models/m/outputs"}
    found = Routes(load_methods().values(), frozenset()).find("POST", scope)
    assert found is not None
    return found


def encode(content: bytes) -> str:
    return base64.b64encode(content).decode()


@st.composite
def bodies(draw: st.DrawFn) -> dict[str, Any]:
    inputs: list[dict[str, Any]] = []
    for number in range(draw(st.integers(1, 3))):
        data: dict[str, Any] = {}
        if draw(st.booleans()):
            data["text"] = {"raw": draw(st.sampled_from(["", 'a "quoted" text', "é", "x" * (LARGE_BYTES + 1)]))}
        if draw(st.booleans()):
            data["image"] = {"base64": encode(bytes([number]) * draw(SIZES)), "url": "http://x/\\"}
        if draw(st.booleans()):
            data["parts"] = [{"id": "p", "data": {"bytesValue": encode(b"b" * draw(SIZES))}}]
        if draw(st.booleans()):
            data["metadata"] = {"numbers": list(range(draw(SIZES) // 6)), "text": "y" * draw(SIZES)}
        inputs.append({"id": f"input {number}", "data": data})
    return {"inputs": inputs, "unknown": "z" * draw(SIZES)}


@settings(deadline=None, max_examples=40)
@given(bodies(), st.sampled_from([None, 1]), st.booleans())
def test_a_request_says_what_it_says_when_all_of_it_is_parsed(
    match: Match, body: dict[str, Any], indent: int | None, is_ascii: bool
) -> None:
    text = json.dumps(body, indent=indent, ensure_ascii=is_ascii).encode()
    wanted = read_message(METHOD, text)
    wanted.MergeFrom(PostModelOutputsRequest(model_id="m"))
    incoming = make_incoming(match, b"", text)
    assert complete(incoming.message, incoming.raw) == wanted
    assert incoming.message.inputs[0].id == "input 0"  # type: ignore[attr-defined]


def ask(match: Match, body: str) -> Any:
    return make_incoming(match, b"", body.encode())


def test_a_large_image_is_neither_joined_nor_in_the_message(match: Match) -> None:
    incoming = ask(match, f'{{"inputs": [{{"data": {{"image": {{"base64": "{LARGE_TEXT}"}}}}}}]}}')
    assert isinstance(incoming.raw, Pieces)
    assert LARGE in incoming.raw.parts
    assert not incoming.message.inputs[0].data.image.base64
    assert incoming.message.model_id == "m"


IMAGE = '{"data": {"image": {"base64": "%s"}}}'


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (f'{{"inputs": [{IMAGE % ("A" * (2 * LARGE_BYTES + 1))}]}}', "base64"),
        (f'{{"inputs": [{IMAGE % LARGE_TEXT}], "inputs": []}}', "twice"),
        (f'{{"inputs": [{IMAGE % LARGE_TEXT}]', "not valid JSON"),
        (f'{{"inputs": [{IMAGE % LARGE_TEXT}], "x": NaN}}', "NaN"),
        (f'{{"inputs": "{LARGE_TEXT}"}}', "does not fit"),
        (f'["{LARGE_TEXT}"]', "not a JSON object"),
        (f'"{LARGE_TEXT}"', "not a JSON object"),
        (f'{{"inputs": [{IMAGE % LARGE_TEXT}]}} "', "not valid JSON"),
        ('{"a"' + " " * LARGE_BYTES * 2 + '"b"}', "not valid JSON"),
    ],
    ids=["base64", "twice", "no end", "NaN", "text for a list", "list", "text", "a quote behind it", "spaces"],
)
def test_what_is_wrong_is_said_as_ever(match: Match, body: str, said: str) -> None:
    with pytest.raises(InvalidRequest, match=said) as told:
        ask(match, body)
    with pytest.raises(InvalidRequest) as wanted:
        read_message(METHOD, body.encode())
    assert told.value.message == wanted.value.message


@pytest.mark.parametrize(
    "body",
    [
        f'{{"inputs": [{IMAGE % (LARGE_TEXT[:-4] + "!!!!")}]}}',
        f'{{"inputs": [{IMAGE % LARGE_TEXT.replace("/", "_")}]}}',
        f'{{"inputs": [{{"data": {{"image": "{LARGE_TEXT}"}}}}]}}',
        f'{{"inputs": [{{"data": {{"image": {{"base64": "", "url": "{LARGE_TEXT}"}}}}}}]}}',
        f'{{"inputs": [{{"data": {{"text": {{"raw": "{LARGE_TEXT}"}}}}}}]}}',
        f'{{"modelId": "m", "inputs": [{IMAGE % LARGE_TEXT}, {IMAGE % LARGE_TEXT.lower()}]}}',
    ],
    ids=["padding", "url-safe", "no object", "url", "text", "two"],
)
def test_what_is_unusual_is_taken_as_ever(match: Match, body: str) -> None:
    incoming = ask(match, body)
    wanted = read_message(METHOD, body.encode())
    wanted.MergeFrom(PostModelOutputsRequest(model_id="m"))
    assert complete(incoming.message, incoming.raw) == wanted


def test_an_escaped_quote_in_front_of_a_large_text_is_no_end(match: Match) -> None:
    text = '\\"' + "A" * 2 * LARGE_BYTES
    incoming = ask(match, f'{{"inputs": [{{"data": {{"text": {{"raw": "{text}"}}}}}}]}}')
    assert incoming.message.inputs[0].data.text.raw == '"' + "A" * 2 * LARGE_BYTES


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(SIZES, SIZES), max_size=4))
def test_an_answer_reads_as_if_all_of_it_were_made_json(sizes: list[tuple[int, int]]) -> None:
    answer = MultiOutputResponse(status=Status(code=10000, description="Ok"))
    for number, (image, text) in enumerate(sizes):
        data = Output(id=f"output {number}").data
        data.image.base64 = bytes([number]) * image
        data.text.raw = '"' * text
        data.parts.add(id="p").data.bytes_value = b"\xff" * image
        answer.outputs.add(id=f"output {number}").data.CopyFrom(data)
    message, body = render_reply(METHOD, answer.SerializeToString())
    assert body == render(answer)
    assert message.status.code == 10000
