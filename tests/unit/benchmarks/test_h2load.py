"""What h2load prints is read: rates, failures, bytes, and each request's time from its log."""

from __future__ import annotations

from pathlib import Path

import pytest
from beside.endpoint import make_grpc, make_rest
from beside.h2load import Load, make_command, parse

OUTPUT = """\
progress: 100% of clients started
Application protocol: h2c
finished in 1.50s, 3161.33 req/s, 3.60MB/s
requests: 4750 total, 4751 started, 4745 done, 4742 succeeded, 3 failed, 1 errored, 0 timeout
status codes: 4742 2xx, 0 3xx, 1 4xx, 2 5xx
traffic: 5.41MB (5668909) total, 333.26KB (341254) headers (space savings 91.63%), 5.40MB (583266) data
"""
LOG = "1795528579732672\t200\t998\n1795528579732746\t200\t2000\n1795528579732800\t503\t9\n"


def test_rates_failures_bytes_and_times_are_read() -> None:
    outcome = parse(OUTPUT, LOG, cpu_s=0.3)
    assert (outcome.seconds, outcome.succeeded, outcome.failed) == (1.5, 4742, 3)
    assert (outcome.data_bytes, outcome.latencies_ms, outcome.cpu_s) == (583266, [0.998, 2.0], 0.3)


def test_other_words_of_h2load_are_an_error_that_shows_them() -> None:
    with pytest.raises(ValueError, match="Connection refused"):
        parse("Connection refused", "")


def test_a_duration_in_milliseconds_is_seconds() -> None:
    assert parse(OUTPUT.replace("in 1.50s", "in 500.00ms"), "").seconds == 0.5


def test_rest_is_asked_over_http_1_and_grpc_over_http_2() -> None:
    load = Load(connections=4, streams=16, seconds=1.25)
    rest = make_command(make_rest("/echo", b"{}", b""), ["http://127.0.0.1:1/echo"], load, Path("folder"))
    grpc = make_command(make_grpc("/a/b", b"", b"", authorization="Key t"), ["http://127.0.0.1:1/a/b"], load, Path("f"))
    assert "--h1" in rest
    assert "--h1" not in grpc
    assert {"-c4", "-m16", "-D1250ms", "te: trailers", "authorization: Key t"} <= set(grpc)
