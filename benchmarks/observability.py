"""What measuring costs: the server as it is beside the same one without counters, histograms and request ids in the
worker. The first is read at `GET /metrics` once a second meanwhile.

Each server has its own data directory and worker, all on one core, the load on another; rounds alternate. Writes
results/observability.json and .md.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tests")]

import load  # noqa: E402
from machine import describe_machine  # noqa: E402
from throughput import PACKAGES, make_target, measure  # noqa: E402

from support.server import V2, RunningServer, running_server  # noqa: E402
from support.uploads import deploy  # noqa: E402

CLIENTS = (1, 16, 64)
SCRAPE_S = 1.0
INTRODUCTION = """\
# What measuring costs

Made by `script/bench observability`: medians of {rounds} rounds of {seconds:g} s for each measurement, alternating
between the server as it is (metrics, read once a second; request ids down to the worker) and the same program with
these functions empty (`benchmarks/unobserved.py`). Unary predicts of 90 bytes over gRPC; all that serves shares a core.
`cost` is the median over the rounds of 1 - measured / unmeasured of the same round.

| clients | measured requests/s | p50 ms | unmeasured requests/s | p50 ms | cost |
|---:|---:|---:|---:|---:|---:|"""


@contextmanager
def scraping(server: RunningServer) -> Iterator[None]:
    """Read the metrics as Prometheus would."""
    stop = threading.Event()

    def scrape() -> None:
        while not stop.wait(SCRAPE_S):
            with urllib.request.urlopen(f"{server.url}/metrics", timeout=10) as answer:
                answer.read()

    thread = threading.Thread(target=scrape)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def measure_one(name: str, servers: dict[str, RunningServer], target: load.Target, clients: int, seconds: float) -> Any:
    """One measurement; the measured server is scraped during it."""
    with scraping(servers[name]) if name == "measured" else ExitStack():
        return measure(target, clients, seconds)


def take_medians(measured: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row for each number of clients."""
    rows = []
    for clients in CLIENTS:
        row: dict[str, Any] = {"clients": clients}
        rates: dict[str, list[float]] = {}
        for name in ("measured", "unmeasured"):
            found = [one for one in measured if (one["clients"], one["server"]) == (clients, name)]
            rates[name] = [one["requests_per_s"] for one in found]
            row[name] = {key: statistics.median(one[key] for one in found) for key in ("requests_per_s", "p50_ms")}
        pairs = zip(rates["measured"], rates["unmeasured"], strict=True)
        row["cost"] = statistics.median(1 - ours / bare for ours, bare in pairs)
        rows.append(row)
    return rows


def render(report: dict[str, Any]) -> str:
    """The report as Markdown."""
    lines = [INTRODUCTION.format(rounds=report["rounds"], seconds=report["seconds"])]
    for row in report["medians"]:
        ours, bare = row["measured"], row["unmeasured"]
        lines.append(
            f"| {row['clients']} | {ours['requests_per_s']:.0f} | {ours['p50_ms']:.2f} | "
            f"{bare['requests_per_s']:.0f} | {bare['p50_ms']:.2f} | {row['cost']:.1%} |"
        )
    lines += ["", *(f"- {name}: {value}" for name, value in report["machine"].items())]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=3, help="length of one measurement")
    parser.add_argument("--out", type=Path, default=HERE / "results")
    options = parser.parse_args()
    server_core, load_core = sorted(os.sched_getaffinity(0))[:2]
    os.sched_setaffinity(0, {server_core})  # inherited by what is started now
    measured = []
    with ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        servers = {
            "measured": stack.enter_context(running_server(root / "a")),
            "unmeasured": stack.enter_context(
                running_server(root / "b", module="unobserved", env={"PYTHONPATH": str(HERE)})
            ),
        }
        os.sched_setaffinity(0, {load_core})
        targets = {}
        for name, server in servers.items():
            with V2(server) as v2:
                deploy(v2, HERE / "echo", "bench-echo")
                targets[name] = make_target(int(server.address.partition(":")[2]), server, v2)
        for number in range(options.rounds):
            for clients in CLIENTS:
                for name in list(targets) if number % 2 == 0 else reversed(targets):
                    values = measure_one(name, servers, targets[name], clients, options.seconds)
                    measured.append({"round": number, "clients": clients, "server": name, **values})
                    print(
                        f"round {number + 1}  {clients:3} clients  {name:10}  {values['requests_per_s']:7.0f}",
                        flush=True,
                    )
    report = {"machine": describe_machine(PACKAGES), "rounds": options.rounds, "seconds": options.seconds}
    report |= {"medians": take_medians(measured), "measured": measured}
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "observability.json").write_text(json.dumps(report, indent=1) + "\n")
    (options.out / "observability.md").write_text(render(report))
    print(render(report))


if __name__ == "__main__":
    main()
