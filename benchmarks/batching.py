"""Batching beside its ideal: a model that costs 5 ms a call and 0.1 ms an input, asked by 1, 16 and 64 clients.

The ideal is that of a platform that costs nothing: every client is in each batch as far as `max_size` allows, and the
next batch begins when one ends. Everything that serves shares one core, the load has another. Rounds alternate between
the settings. Writes results/batching.json and .md.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tests")]

import load  # noqa: E402
from throughput import METHOD, PACKAGES, TEXT, measure  # noqa: E402
from turns import Cores, Row, make_parser, pick, take_turns, write_report  # noqa: E402

from support.server import V2, RunningServer, running_server  # noqa: E402
from support.uploads import deploy  # noqa: E402

CLIENTS = (1, 16, 64)
CALL_S, INPUT_S = 0.005, 0.0001
SETTINGS = {
    "off": "",
    "32": "batching: {max_size: 32}\n",
    "64": "batching: {max_size: 64}\n",
    "64, wait 5 ms": "batching: {max_size: 64, max_wait_ms: 5}\n",
}
INTRODUCTION = """\
# Batching

Made by `script/bench batching`: medians of {rounds} rounds of {seconds:g} s for each measurement. The model sleeps 5 ms
a call and 0.1 ms an input (`benchmarks/batched`), in one thread. `ideal` is what a platform without cost would reach
where all clients are in each batch, up to `max_size`: clients / (5 ms + 0.1 ms x clients). Each client is a connection
with one request in flight; the whole server is on one core, the load on another.

| batching | clients | requests/s | ideal | ratio | p50 ms | p99 ms |
|---|---:|---:|---:|---:|---:|---:|"""
EXPLANATION = """
With 64 clients and `max_size: 32`, one half waits while the other half is answered. With `max_size: 64` and no wait
the clients fall into two halves by themselves, whoever is back first: that costs throughput, and nobody ever waits for
others. A wait ends as soon as as many are back as were there before.
"""


def ideal(clients: int, name: str) -> float:
    """Requests per second of a platform that costs nothing."""
    size = 1 if name == "off" else min(clients, int(name.partition(",")[0]))
    return size / (CALL_S + INPUT_S * size)


def write_folder(root: Path, number: int, batching: str) -> tuple[Path, str]:
    """The model with these settings; its folder and id."""
    folder, model_id = root / f"m{number}", f"bench-batched-{number}"
    (folder / "1").mkdir(parents=True)
    for name in ("1/model.py", "requirements.txt", "config.yaml"):
        text = (HERE / "batched" / name).read_text()
        if name == "config.yaml":
            text = text.partition("batching:")[0].replace("bench-batched", model_id) + batching
        (folder / name).write_text(text)
    return folder, model_id


def deploy_all(server: RunningServer, root: Path) -> dict[str, load.Target]:
    """Every setting as a model of its own."""
    host, _, port = server.address.partition(":")
    targets = {}
    with V2(server) as v2:
        for number, (name, batching) in enumerate(SETTINGS.items()):
            folder, model_id = write_folder(root, number, batching)
            deploy(v2, folder, model_id)
            message = v2.text_request(model_id, TEXT).SerializeToString()
            targets[name] = load.Target(host, int(port), METHOD, server.token, message, TEXT.encode())
    return targets


def take_medians(measured: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row for each setting and number of clients."""
    rows = []
    for name in SETTINGS:
        for clients in CLIENTS:
            found = pick(measured, name, clients)
            names = ("requests_per_s", "p50_ms", "p99_ms", "load_core_used")
            row = {key: statistics.median(one[key] for one in found) for key in names}
            best = ideal(clients, name)
            rows.append(
                {"batching": name, "clients": clients, **row, "ideal": best, "ratio": row["requests_per_s"] / best}
            )
    return rows


def render(report: dict[str, Any]) -> str:
    """The report as Markdown."""
    lines = [INTRODUCTION.format(rounds=report["rounds"], seconds=report["seconds"])]
    lines += [
        f"| {row['batching']} | {row['clients']} | {row['requests_per_s']:.0f} | {row['ideal']:.0f} | "
        f"{row['ratio']:.2f} | {row['p50_ms']:.2f} | {row['p99_ms']:.2f} |"
        for row in report["medians"]
    ]
    lines.append(EXPLANATION)
    lines += [f"- {name}: {value}" for name, value in report["machine"].items()]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure and write."""
    options = make_parser(__doc__, rounds=5, seconds=2).parse_args()
    cores = Cores()
    cores.start_servers()
    with ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(running_server(root / "data"))
        cores.start_load()
        targets = deploy_all(server, root)

        def measure_one(name: str, clients: int) -> dict[str, Row]:
            return {name: measure(targets[name], clients, options.seconds)}

        measured = take_turns(list(targets), CLIENTS, range(options.rounds), measure_one, tell)
    write_report(options, "batching", PACKAGES, take_medians(measured), measured, render)


def tell(name: str, clients: int, values: Row) -> str:
    """One measurement, for the terminal."""
    return f"{values['requests_per_s'] / ideal(clients, name):4.0%} of the ideal"


if __name__ == "__main__":
    main()
