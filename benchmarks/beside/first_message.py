"""How long the first message of a stream takes from the author's `yield` to the client.

The message holds the time of the monotonic clock, which all processes of a machine share, at which it was made.
"""

from __future__ import annotations

import http.client
import statistics
import time
from collections.abc import Sequence
from typing import Any

import grpc

from beside.asking import FRAME_BYTES, NOT_METADATA, TIMEOUT_S
from beside.endpoint import GRPC, Endpoint
from beside.field import Entry
from beside.payload import Payload
from beside.rounds import find_percentile

CALLS = 100
STAMP_BYTES = 20
MESSAGES = "3"


def measure(entries: Sequence[Entry], rounds: int) -> list[dict[str, Any]]:
    """A row for each entry: milliseconds from yield to receipt, and of the whole way from the request."""
    seen: dict[int, list[tuple[float, float]]] = {index: [] for index in range(len(entries))}
    for number in range(rounds):
        order = range(len(entries)) if number % 2 == 0 else reversed(range(len(entries)))
        for index in order:
            seen[index] += _measure_once(entries[index])
    return [_summarize(entry, seen[index]) for index, entry in enumerate(entries)]


def _summarize(entry: Entry, pairs: Sequence[tuple[float, float]]) -> dict[str, Any]:
    after_yield = sorted(one for one, _ in pairs)
    return {
        "server": entry.server,
        "protocol": entry.protocol,
        "after_yield_p50_ms": round(statistics.median(after_yield), 3),
        "after_yield_p99_ms": round(find_percentile(after_yield, 0.99), 3),
        "after_request_p50_ms": round(statistics.median(one for _, one in pairs), 3),
    }


def _measure_once(entry: Entry) -> list[tuple[float, float]]:
    endpoint = entry.ask(Payload(text=MESSAGES))
    ask = _ask_grpc if endpoint.protocol == GRPC else _ask_rest
    return ask(endpoint, entry.port)[CALLS // 10 :]  # the first calls warm up


def _ask_grpc(endpoint: Endpoint, port: int) -> list[tuple[float, float]]:
    metadata = [(name, value) for name, value in endpoint.headers.items() if name not in NOT_METADATA]
    found = []
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        call = channel.unary_stream(endpoint.path)
        for _ in range(CALLS):
            sent = time.monotonic_ns()
            answers = call(endpoint.body[FRAME_BYTES:], metadata=metadata, timeout=TIMEOUT_S)
            first = next(answers)
            now = time.monotonic_ns()
            list(answers)
            found.append(_take_times(first, sent, now))
    return found


def _ask_rest(endpoint: Endpoint, port: int) -> list[tuple[float, float]]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
    found = []
    for _ in range(CALLS):
        sent = time.monotonic_ns()
        connection.request("POST", endpoint.path, endpoint.body, dict(endpoint.headers))
        response = connection.getresponse()
        first = response.read(STAMP_BYTES)
        now = time.monotonic_ns()
        response.read()
        found.append(_take_times(first, sent, now))
    connection.close()
    return found


def _take_times(message: bytes, sent: int, now: int) -> tuple[float, float]:
    start = next(at for at in range(len(message)) if message[at : at + STAMP_BYTES].isdigit())
    made = int(message[start : start + STAMP_BYTES])
    return (now - made) / 1e6, (now - sent) / 1e6
