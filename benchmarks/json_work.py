"""What JSON and base64 cost the REST door for an image, beside protobuf's own `json_format`.

The door's functions for a request and for an answer are called here, in one process without sockets, in turns with
those of `json_format`. Writes results/json.json and .md.
"""

from __future__ import annotations

import base64
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE)]

from google.protobuf import json_format  # noqa: E402
from turns import Row, make_parser, write_report  # noqa: E402

from modelyard.cli.up import ALLOCATOR  # noqa: E402
from modelyard.server.api.rest.large import render_reply  # noqa: E402
from modelyard.server.api.rest.requests import make_incoming  # noqa: E402
from modelyard.server.api.rest.routes import Routes  # noqa: E402
from modelyard.wire.messages import MultiOutputResponse, PostModelOutputsRequest  # noqa: E402
from modelyard.wire.methods import load_methods  # noqa: E402
from modelyard.wire.pieces import Payload, join  # noqa: E402

SIZES = {"100 B": 100, "1 MiB": 1 << 20, "10 MiB": 10 << 20}
PACKAGES = ("msgspec", "protobuf", "clarifai-grpc")
METHOD = load_methods()["PostModelOutputs"]
PATH = "/v2/models/echo/outputs"
Work = Callable[[], Any]
INTRODUCTION = """\
# JSON and base64 over REST

Made by `script/bench json`: medians of {rounds} rounds of {seconds:g} s, in turns. One image of random bytes, as base64
in a request (from the body to the serialised message that a worker is sent) and in an answer (from what a worker sent
to the body). `json_format` is protobuf's own way, which does the same for every message, without checks for repeated
names and depth.

| image | request ms | json_format ms | ratio | answer ms | json_format ms | ratio |
|---|---:|---:|---:|---:|---:|---:|"""


def make_work(size: int) -> dict[str, Work]:
    """The four things to measure, for an image of so many bytes."""
    image = os.urandom(size)
    told = {"inputs": [{"data": {"image": {"base64": base64.b64encode(image).decode()}}}]}
    body = json.dumps(told).encode()
    answer = MultiOutputResponse()
    answer.outputs.add().data.image.base64 = image
    answered = answer.SerializeToString()
    match = Routes([METHOD], frozenset()).find("POST", {"path": PATH, "raw_path": PATH.encode()})
    assert match is not None

    def read() -> Payload:
        incoming = make_incoming(match, b"", body)
        raw: Payload = incoming.message.SerializeToString() if incoming.raw is None else incoming.raw
        return raw

    def read_by_protobuf() -> bytes:
        message = json_format.Parse(body, PostModelOutputsRequest())
        message.model_id = "echo"
        raw: bytes = message.SerializeToString()
        return raw

    def write_by_protobuf() -> bytes:
        return json_format.MessageToJson(MultiOutputResponse.FromString(answered), indent=None).encode()

    assert join(read()) == read_by_protobuf()
    assert json.loads(render_reply(METHOD, answered)[1]) == json.loads(write_by_protobuf())
    return {
        "request": read,
        "request, json_format": read_by_protobuf,
        "answer": lambda: render_reply(METHOD, answered)[1],
        "answer, json_format": write_by_protobuf,
    }


def measure(work: Work, seconds: float) -> float:
    """Median milliseconds of one call."""
    found = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        began = time.perf_counter()
        work()
        found.append(time.perf_counter() - began)
    return 1000 * statistics.median(found)


def render_page(report: dict[str, Any]) -> str:
    """The report as Markdown."""
    lines = [INTRODUCTION.format(**report)]
    for row in report["medians"]:
        cells = [row["image"]]
        for what in ("request", "answer"):
            ours, theirs = row[what], row[f"{what}, json_format"]
            cells += [f"{ours:.3f}", f"{theirs:.3f}", f"{theirs / ours:.1f}"]
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", *(f"- {name}: {value}" for name, value in report["machine"].items())]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure and write."""
    options = make_parser(__doc__, rounds=5, seconds=0.5).parse_args()
    measured: list[Row] = []
    medians: list[Row] = []
    for image, size in SIZES.items():
        work = make_work(size)
        found: dict[str, list[float]] = {what: [] for what in work}
        for number in range(options.rounds):
            for what in work if number % 2 == 0 else reversed(work):
                found[what].append(measure(work[what], options.seconds))
        measured.append({"image": image, **found})
        medians.append({"image": image, **{what: statistics.median(times) for what, times in found.items()}})
    write_report(options, "json", PACKAGES, medians, measured, render_page)


if __name__ == "__main__":
    if any(os.environ.get(name) != value for name, value in ALLOCATOR.items()):
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **ALLOCATOR})
    main()
