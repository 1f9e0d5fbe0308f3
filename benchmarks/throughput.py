"""Requests per second and latencies of the whole path (gateway, worker, model) beside a plain grpc.aio echo server.

Everything that serves shares one core, the load has another. Rounds alternate between the two servers, so that what
else the machine does falls on both; the medians over rounds are reported. Writes results/throughput.json and .md.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tests")]

import load  # noqa: E402
from machine import describe_machine  # noqa: E402

from support.server import V2, RunningServer, running_server  # noqa: E402
from support.uploads import deploy  # noqa: E402

CLIENTS = (1, 16, 64)
TEXT = "The quick brown fox jumps over the lazy dog. " * 2
METHOD = "/clarifai.api.V2/PostModelOutputs"
WARM_UP_S = 0.5
INTRODUCTION = """\
# Throughput

Made by `script/bench`: medians of {rounds} rounds of {seconds:g} s for each measurement, alternating between the two
servers. A request is a unary predict over gRPC with one text of 90 bytes; each client is a connection with one request
in flight. Modelyard is the whole path (gateway, worker process, model) on one core. The plain server is a grpc.aio echo
without tokens, store or worker, on the same core. The load runs on another core and checks every answer.

| clients | Modelyard requests/s | p50 ms | p99 ms | plain requests/s | p50 ms | p99 ms | ratio | load core |
|---:|---:|---:|---:|---:|---:|---:|---:|---:|"""
EXPLANATION = """
`ratio` is Modelyard's requests/s divided by the plain server's. `load core` is how busy the load generator was at most:
well below 100 % means that the servers were measured, not the load.
"""
PACKAGES = ("uvloop", "grpcio", "protobuf", "clarifai-grpc", "SQLAlchemy")


@contextmanager
def plain_server() -> Iterator[int]:
    """The plain server's port."""
    process = subprocess.Popen([sys.executable, HERE / "plain_server.py"], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline())
    finally:
        process.terminate()
        process.wait(10)


def make_target(port: int, server: RunningServer, v2: V2) -> load.Target:
    """The same bytes for both servers; the plain one ignores the token."""
    message = v2.text_request("bench-echo", TEXT).SerializeToString()
    return load.Target("127.0.0.1", port, METHOD, server.token, message, TEXT.encode())


def measure(target: load.Target, clients: int, seconds: float) -> dict[str, float]:
    """One measurement, after a short warm-up."""
    import uvloop

    async def run() -> load.Tally:
        await load.measure(target, clients=clients, seconds=WARM_UP_S)
        return await load.measure(target, clients=clients, seconds=seconds)

    tally = uvloop.run(run())
    milliseconds = sorted(1000 * one for one in tally.latencies_s)
    return {
        "requests_per_s": len(milliseconds) / tally.seconds,
        "p50_ms": milliseconds[len(milliseconds) // 2],
        "p99_ms": milliseconds[int(len(milliseconds) * 0.99)],
        "load_core_used": tally.cpu_seconds / tally.seconds,
    }


def run_rounds(targets: dict[str, load.Target], rounds: int, seconds: float) -> list[dict[str, Any]]:
    """Every measurement of every round, in the order in which they were made."""
    measured = []
    for number in range(rounds):
        for clients in CLIENTS:
            names = list(targets) if number % 2 == 0 else list(reversed(targets))
            for name in names:
                values = measure(targets[name], clients, seconds)
                measured.append({"round": number, "clients": clients, "server": name, **values})
                print(f"round {number + 1}  {clients:3} clients  {name:9}  {values['requests_per_s']:7.0f} requests/s")
    return measured


def take_medians(measured: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row for each number of clients: medians over rounds, and ours against the plain server."""
    rows = []
    for clients in CLIENTS:
        row: dict[str, Any] = {"clients": clients}
        for server in ("modelyard", "plain"):
            found = [one for one in measured if (one["clients"], one["server"]) == (clients, server)]
            row[server] = {
                name: statistics.median(one[name] for one in found)
                for name in ("requests_per_s", "p50_ms", "p99_ms", "load_core_used")
            }
        row["throughput_ratio"] = row["modelyard"]["requests_per_s"] / row["plain"]["requests_per_s"]
        rows.append(row)
    return rows


def render(report: dict[str, Any]) -> str:
    """The report as Markdown."""
    machine, rows = report["machine"], report["medians"]
    lines = [INTRODUCTION.format(rounds=report["rounds"], seconds=report["seconds"])]
    for row in rows:
        ours, plain = row["modelyard"], row["plain"]
        used = max(ours["load_core_used"], plain["load_core_used"])
        cells = [
            str(row["clients"]),
            *(f"{ours['requests_per_s']:.0f}", f"{ours['p50_ms']:.2f}", f"{ours['p99_ms']:.2f}"),
            *(f"{plain['requests_per_s']:.0f}", f"{plain['p50_ms']:.2f}", f"{plain['p99_ms']:.2f}"),
            *(f"{row['throughput_ratio']:.2f}", f"{used:.0%}"),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    lines.append(EXPLANATION)
    lines += [f"- {name}: {value}" for name, value in machine.items()]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3, help="length of one measurement")
    parser.add_argument("--out", type=Path, default=HERE / "results")
    options = parser.parse_args()
    server_core, load_core = sorted(os.sched_getaffinity(0))[:2]
    os.sched_setaffinity(0, {server_core})  # inherited by what is started now
    with tempfile.TemporaryDirectory() as folder, running_server(Path(folder)) as server, plain_server() as port:
        os.sched_setaffinity(0, {load_core})
        with V2(server) as v2:
            deploy(v2, HERE / "echo", "bench-echo")
            own_port = int(server.address.partition(":")[2])
            targets = {"modelyard": make_target(own_port, server, v2), "plain": make_target(port, server, v2)}
        measured = run_rounds(targets, options.rounds, options.seconds)
    report = {"machine": describe_machine(PACKAGES), "rounds": options.rounds, "seconds": options.seconds}
    report |= {"medians": take_medians(measured), "measured": measured}
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "throughput.json").write_text(json.dumps(report, indent=1) + "\n")
    (options.out / "throughput.md").write_text(render(report))
    print(render(report))


if __name__ == "__main__":
    main()
