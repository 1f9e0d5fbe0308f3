from __future__ import annotations

import pytest

from modelyard.server.carriers.http.heads import are_alike

HEADERS = [(b"host", b"h"), (b"content-length", b"7"), (b"grpc-timeout", b"4999m"), (b"request-timeout", b"2.5")]
SCOPE = {"method": "POST", "raw_path": b"/p", "query_string": b""}


def replaced(place: int, name: bytes, value: bytes) -> list[tuple[bytes, bytes]]:
    return [*HEADERS[:place], (name, value), *HEADERS[place + 1 :]]


@pytest.mark.parametrize("place", [1, 2, 3])
def test_length_and_time_may_differ_in_heads_that_are_alike(place: int) -> None:
    assert are_alike(SCOPE, SCOPE, replaced(place, HEADERS[place][0], b"5"), HEADERS)


@pytest.mark.parametrize(
    "headers",
    [
        replaced(0, b"host", b"other"),
        replaced(1, b"content-size", b"7"),
        replaced(2, b"request-timeout", b"4999m"),
        [HEADERS[0], HEADERS[2], HEADERS[1], HEADERS[3]],
        HEADERS[:3],
        [*HEADERS, (b"x", b"y")],
    ],
)
def test_nothing_else_may(headers: list[tuple[bytes, bytes]]) -> None:
    assert not are_alike(SCOPE, SCOPE, headers, HEADERS)
    assert not are_alike(SCOPE, SCOPE, HEADERS, headers)


@pytest.mark.parametrize("name", ["method", "raw_path", "query_string", "http_version"])
def test_requests_of_something_else_are_not_alike(name: str) -> None:
    assert not are_alike(SCOPE, {**SCOPE, name: "other"}, HEADERS, HEADERS)
