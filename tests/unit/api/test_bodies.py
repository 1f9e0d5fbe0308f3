"""Bodies that are written as the last one was are read as any other: with what is learned from one, and without."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from modelyard.errors import InvalidRequest
from modelyard.server.api.rest import bodies as bodies_module
from modelyard.server.api.rest.bodies import MAX_LESSONS, Bodies, is_simple
from modelyard.server.api.rest.requests import make_incoming
from modelyard.server.api.rest.routes import Match, Routes
from modelyard.server.api.rest.usual import MAX_BYTES, read_usual
from modelyard.wire.methods import load_methods

ROUTES = Routes(load_methods().values(), frozenset())
MATCH = ROUTES.match("POST", ["v2", "users", "u", "apps", "a", "models", "m", "outputs"])
assert MATCH is not None
KEYS = ("inputs", "data", "text", "raw", "id", "url", "user_app_id", "model_id", "")
ODD = ("a.", ".", '"', "\\", "\x1f", "\x7f", "é", "\U0001f600")
TEXT = st.text(max_size=12) | st.sampled_from(KEYS) | st.sampled_from(ODD)


def write(text: str, shape: int) -> bytes:
    """As programs do: with and without spaces, in ASCII and not, with keys that say nothing before and behind."""
    one: dict[str, object] = {"data": {"text": {"raw": text, "url": ""}}}
    if shape & 1:
        one = {"id": "", **one, "data": {"string_value": "", "text": {"url": "", "raw": text}}}
    told: dict[str, object] = {"inputs": [one]}
    if shape & 2:
        told["model_id"] = ""
    separators, indent = (",", ":") if shape & 4 else None, 2 if shape & 16 else None
    return json.dumps(told, separators=separators, ensure_ascii=bool(shape & 8), indent=indent).encode()


def expect(body: bytes) -> object:
    """What a request is that comes alone."""
    try:
        incoming = make_incoming(MATCH, b"", body)
    except InvalidRequest as error:
        return error.message
    return incoming.message if incoming.named is None else (incoming.raw, incoming.named)


def read(bodies: Bodies, body: bytes) -> object:
    try:
        incoming = bodies.read(body)
    except InvalidRequest as error:
        return error.message
    assert incoming is not None
    return incoming.message if incoming.named is None else (incoming.raw, incoming.named)


@given(st.integers(0, 31), st.lists(TEXT, min_size=1, max_size=6))
@example(8, ["id", "x"])
@example(9, ["raw", "url", "inputs"])
@example(0, ["", "a", ""])
@settings(max_examples=500)
def test_texts_in_one_shape_are_read_as_one_by_one(shape: int, texts: list[str]) -> None:
    bodies = Bodies(MATCH)
    for text in texts:
        body = write(text, shape)
        assert read(bodies, body) == expect(body)


@given(st.lists(st.tuples(TEXT, st.integers(0, 31)), max_size=30))
def test_shapes_that_change_are_read_as_one_by_one(told: list[tuple[str, int]]) -> None:
    bodies = Bodies(MATCH)
    for text, shape in told:
        body = write(text, shape)
        assert read(bodies, body) == expect(body)


@given(st.integers(0, 31), st.binary(max_size=12), st.integers(0, 200), st.integers(0, 20))
@example(0, b'","url":"x', 30, 0)
@example(0, b"\xff", 30, 0)
@example(0, b"\xed\xa0\x80", 30, 0)
@example(4, b"", 0, 20)
@settings(max_examples=1000)
def test_what_is_broken_is_never_taken_for_what_came_before(shape: int, put: bytes, at: int, cut: int) -> None:
    bodies, sample = Bodies(MATCH), write("a text", shape)
    assert read(bodies, sample) == expect(sample)
    body = sample[:at] + put + sample[at + cut :]
    assert read(bodies, body) == expect(body)


def test_a_shape_that_is_known_is_not_parsed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    bodies = Bodies(MATCH)
    assert read(bodies, write("one", 4)) == expect(write("one", 4))
    wanted = expect(write("another", 4))
    monkeypatch.setattr(bodies_module, "read_usual", lambda _: pytest.fail("parsed"))
    assert read(bodies, write("another", 4)) == wanted


def test_long_texts_are_read_as_ever() -> None:
    bodies = Bodies(MATCH)
    for size in (1, MAX_BYTES - 200, MAX_BYTES - 60, MAX_BYTES - 20, MAX_BYTES, 2 * MAX_BYTES):
        body = write("x" * size, 4)
        assert read(bodies, body) == expect(body)


def test_who_changes_its_shape_each_time_is_not_learned_from_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[bytes] = []
    monkeypatch.setattr(bodies_module, "read_usual", lambda body: parsed.append(body) or read_usual(body))
    bodies = Bodies(MATCH)
    for number in range(4 * MAX_LESSONS):
        assert bodies.read(write("a", number % 2)) is not None
    assert len(parsed) == 2 * MAX_LESSONS + 3 * MAX_LESSONS // 2, "then every second is as the last lesson was"


def test_path_of_another_model_is_that_of_its_requests() -> None:
    other = ROUTES.match("POST", ["v2", "users", "u", "apps", "a", "models", "other", "versions", "v", "outputs"])
    assert isinstance(other, Match)
    bodies = Bodies(other)
    for text in ("a", "b"):
        incoming = bodies.read(write(text, 0))
        assert incoming is not None
        assert incoming.named == ("u", "a", "other", "v")


@pytest.mark.parametrize(
    ("text", "is_one"), [(b"", False), (b"a\n", False), (b"\x7f", True), ("é".encode(), True), (b"\xc3", False)]
)
def test_what_stands_for_itself(text: bytes, is_one: bool) -> None:
    assert is_simple(text) is is_one
