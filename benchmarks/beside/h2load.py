"""The load generator: h2load of nghttp2, one thread of C, over HTTP/2 for gRPC and over HTTP/1.1 for REST.

It says how much it did in so many seconds; each request's time comes from its log. It knows statuses of HTTP only, so
the bytes of the answers are compared with those of an answer that was checked in full.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from beside.endpoint import GRPC, Endpoint

NUMBER = r"([\d.]+)"
REQUESTS = re.compile(r"requests: (\d+) total, (\d+) started, (\d+) done, (\d+) succeeded, (\d+) failed")
STATUSES = re.compile(r"status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx")
FINISHED = re.compile(r"finished in ([\d.]+)(us|ms|s|m)\b")
TRAFFIC = re.compile(r"traffic: .*?\((\d+)\) total, .*?\((\d+)\) headers.*?, \S+ \((\d+)\) data")
UNITS_S = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0}


@dataclass(frozen=True, kw_only=True)
class Load:
    """How much at once, for how long. `streams` are requests at once on one of `connections`."""

    connections: int
    streams: int = 1
    seconds: float = 1.5


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What one measurement saw."""

    seconds: float
    succeeded: int
    failed: int
    data_bytes: int
    latencies_ms: Sequence[float]
    cpu_s: float = 0.0


def is_installed() -> bool:
    return shutil.which("h2load") is not None


def run(endpoint: Endpoint, port: int, load: Load, *, paths: Sequence[str] = ()) -> Outcome:
    """Load one server. `paths` instead of the endpoint's own are asked in turn."""
    with tempfile.TemporaryDirectory(prefix="bench-load-") as name:
        folder = Path(name)
        (folder / "body").write_bytes(endpoint.body)
        urls = [f"http://127.0.0.1:{port}{path}" for path in paths or [endpoint.path]]
        command = make_command(endpoint, urls, load, folder)
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert process.stdout is not None
        end = time.monotonic() + load.seconds + 60
        output = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        process.stdout.close()
        assert time.monotonic() < end, f"h2load took too long:\n{output}"
        log = (folder / "log").read_text() if (folder / "log").exists() else ""
    return parse(output, log, cpu_s=usage.ru_utime + usage.ru_stime)


def make_command(endpoint: Endpoint, urls: Sequence[str], load: Load, folder: Path) -> list[str]:
    """h2load's command line. It takes whole seconds with a unit, so milliseconds are what it gets."""
    command = ["h2load", "-t1", f"-c{load.connections}", f"-m{load.streams}", f"--log-file={folder / 'log'}"]
    command += [f"-D{int(load.seconds * 1000)}ms", f"-d{folder / 'body'}"]
    if endpoint.protocol != GRPC:
        command.append("--h1")
    for name, value in endpoint.headers.items():
        command += ["-H", f"{name}: {value}"]
    return [*command, *urls]


def parse(output: str, log: str, *, cpu_s: float = 0.0) -> Outcome:
    """What h2load printed, and its log: a line for each request with start, HTTP status and microseconds."""
    finished, requests, traffic = FINISHED.search(output), REQUESTS.search(output), TRAFFIC.search(output)
    statuses = STATUSES.search(output)
    if not finished or not requests or not traffic or not statuses:
        raise ValueError(f"h2load said something else:\n{output}")
    succeeded = int(statuses[1])
    rows = [line.split("\t") for line in log.splitlines()]
    return Outcome(
        seconds=float(finished[1]) * UNITS_S[finished[2]],
        succeeded=succeeded,
        failed=max(int(requests[3]) - succeeded, int(requests[5])),
        data_bytes=int(traffic[3]),
        latencies_ms=[int(row[2]) / 1000 for row in rows if len(row) == 3 and row[1].startswith("2")],
        cpu_s=cpu_s,
    )
