"""What is told by its bytes is what the message says."""

from __future__ import annotations

import pytest
from google.protobuf.message import DecodeError
from hypothesis import example, given, settings
from hypothesis import strategies as st

from modelyard.server.api.v2.plain import MAX_BYTES, PASSED_BY, Named, PlainReader, make_plain, read_plain
from modelyard.wire.messages import Data, Input, PostModelOutputsRequest, Text

NAME = st.text(max_size=40)
NAMES = st.builds(
    lambda user, app, model, version: PostModelOutputsRequest(
        user_app_id={"user_id": user, "app_id": app}, model_id=model, version_id=version
    ),
    *[NAME] * 4,
)


def one_text(text: str) -> PostModelOutputsRequest:
    return PostModelOutputsRequest(inputs=[Input(data=Data(text=Text(raw=text)))])


@settings(deadline=None)
@given(NAMES, st.text(min_size=1, max_size=200) | st.integers(100, MAX_BYTES - 400).map(lambda size: "x" * size))
def test_one_text_for_a_model_is_plain(names: PostModelOutputsRequest, text: str) -> None:
    request = PostModelOutputsRequest()
    request.CopyFrom(names)
    request.MergeFrom(one_text(text))
    raw = request.SerializeToString()
    owner = names.user_app_id
    named = read_plain(raw)
    if owner.ByteSize() < 128:
        assert named == Named(owner.user_id, owner.app_id, names.model_id, names.version_id)
    assert make_plain(names.SerializeToString(), text.encode()) == raw


@settings(max_examples=500, deadline=None)
@given(NAMES, st.text(max_size=140), st.data())
def test_what_seems_plain_is_plain_whatever_the_bytes(names: PostModelOutputsRequest, text: str, data) -> None:
    raw = bytearray(names.SerializeToString() + one_text(text).SerializeToString())
    for _ in range(data.draw(st.integers(0, 3))):
        place = data.draw(st.integers(0, len(raw) - 1)) if raw else 0
        piece = data.draw(st.sampled_from([b"\x22", b"\x12", b"\x1a", b"\x0a", b"\x6a", b"\x00", b"\x80", b"\x2a"]))
        raw[place : place + data.draw(st.integers(0, 1))] = piece
    check(bytes(raw))


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60))
@example(b"\x0a\x00\x0a\x02\x0a\x00" + one_text("a").SerializeToString())
@example(one_text("a").SerializeToString() + b"\x12\x01m")
@example(one_text("a").SerializeToString() * 2)
@example(b"\x12\x01\xff" + one_text("a").SerializeToString())
@example(b"\x0a\x02\x0a\x05" + one_text("a").SerializeToString())
def test_any_bytes_may_come(raw: bytes) -> None:
    check(raw)


def check(raw: bytes) -> None:
    named = read_plain(raw)
    for names in (b"", b"\x12\x01m", b"\x0a\x03\x0a\x01u\x12\x01m"):
        reader = PlainReader()
        assert reader.read(names + one_text("a" * 9).SerializeToString())
        assert [reader.read(raw), reader.read(raw)] == [named] * 2
    reader = PlainReader()
    reader.read(b"another")
    assert reader.read(raw) is None
    try:
        message = PostModelOutputsRequest.FromString(raw)
    except DecodeError:
        return  # the door refuses it
    if named is None:
        return
    assert len(message.inputs) == 1
    assert message.inputs[0] == one_text(message.inputs[0].data.text.raw).inputs[0]
    owner = message.user_app_id
    assert named == Named(owner.user_id, owner.app_id, message.model_id, message.version_id)
    assert {field.name for field, _ in message.ListFields()} <= {"user_app_id", "model_id", "version_id", "inputs"}


@pytest.mark.parametrize(
    "request_",
    [
        PostModelOutputsRequest(),
        PostModelOutputsRequest(model_id="m"),
        PostModelOutputsRequest(model_id="m", inputs=[Input()]),
        PostModelOutputsRequest(model_id="m", inputs=[Input(data=Data(text=Text(url="https://a/b")))]),
        PostModelOutputsRequest(model_id="m", inputs=[Input(data=Data(text=Text(raw="a", url="https://a/b")))]),
        PostModelOutputsRequest(model_id="m", inputs=[Input(data=Data(text=Text(raw="a"), bool_value=True))]),
        PostModelOutputsRequest(model_id="m", inputs=[Input(id="i", data=Data(text=Text(raw="a")))]),
        PostModelOutputsRequest(model_id="m", inputs=[Input(data=Data(text=Text(raw="a")))] * 2),
        PostModelOutputsRequest(model_id="m" * 128, inputs=[Input(data=Data(text=Text(raw="a")))]),
        PostModelOutputsRequest(model_id="m", inputs=[Input(data=Data(text=Text(raw="a" * MAX_BYTES)))]),
    ],
)
def test_what_is_not_plain_is_looked_through(request_: PostModelOutputsRequest) -> None:
    assert read_plain(request_.SerializeToString()) is None


def test_names_that_are_kept_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modelyard.server.api.v2.plain._KEPT", 2)
    for number in range(5):
        raw = make_plain(PostModelOutputsRequest(model_id=f"m{number}").SerializeToString(), b"a")
        assert raw is not None
        assert read_plain(raw) == Named("", "", f"m{number}", "")


def test_what_is_too_large_is_not_made() -> None:
    assert make_plain(b"", b"a" * MAX_BYTES) is None


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["", "m", "n"]), st.text(min_size=1, max_size=140) | st.just("x" * 500)), max_size=12
    )
)
def test_requests_one_after_the_other_are_read_as_each_by_itself(told: list[tuple[str, str]]) -> None:
    reader = PlainReader()
    for model_id, text in told:
        raw = PostModelOutputsRequest(model_id=model_id).SerializeToString() + one_text(text).SerializeToString()
        assert reader.read(raw) == read_plain(raw)


@pytest.mark.parametrize(("at", "byte"), [(0, 0x1A), (2, 0x6E), (3, 0x12), (4, 0x0A), (5, 0x0A), (6, 0x08), (-1, 0x40)])
def test_what_is_changed_of_a_request_is_not_taken_for_the_last_one(at: int, byte: int) -> None:
    raw = bytearray(PostModelOutputsRequest(model_id="m").SerializeToString() + one_text("text").SerializeToString())
    reader = PlainReader()
    assert reader.read(bytes(raw)) == reader.read(bytes(raw)) == Named("", "", "m", "")
    raw[at] = byte
    assert reader.read(bytes(raw)) == read_plain(bytes(raw))


def test_a_request_of_a_known_model_is_not_looked_through(monkeypatch: pytest.MonkeyPatch) -> None:
    reader = PlainReader()
    for text in ("text", "another"):
        reader.read(PostModelOutputsRequest(model_id="m").SerializeToString() + one_text(text).SerializeToString())
    monkeypatch.setattr("modelyard.server.api.v2.plain.find_inside", lambda *_: pytest.fail("looked through"))
    for text in ("knew", "unknown"):
        raw = PostModelOutputsRequest(model_id="m").SerializeToString() + one_text(text).SerializeToString()
        assert reader.read(raw) == Named("", "", "m", "")


def test_who_sends_other_requests_is_looked_at_now_and_then() -> None:
    reader, plain = PlainReader(), one_text("text").SerializeToString()
    other = PostModelOutputsRequest(inputs=[Input()]).SerializeToString()
    assert reader.read(other) is None
    assert [reader.read(plain) for _ in range(PASSED_BY)] == [None] * PASSED_BY
    assert [reader.read(one) for one in (plain, other, plain)] == [Named("", "", "", ""), None, Named("", "", "", "")]
