"""`script/bench`: measures, and writes results/peers.json and .md, and the charts of the documents."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from typing import Any

from machine import describe_machine

from beside import drawing, environments, h2load, scenarios, table
from beside.environments import BENCHMARKS
from beside.options import Options, choose_cores

CHARTS = BENCHMARKS.parent / "docs" / "charts"
RESULTS = BENCHMARKS / "results" / "peers.json"
PACKAGES = ("uvloop", "protobuf", "clarifai-grpc")


def parse_arguments() -> argparse.Namespace:
    names = [one.name for one in scenarios.ALL]
    parser = argparse.ArgumentParser(prog="script/bench", description=__doc__)
    parser.add_argument("--only", action="append", choices=names, default=[], help="a scenario; may be repeated")
    parser.add_argument("--against", action="append", default=[], metavar="PEER", help="these peers alone; no results")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.2, help="length of one measurement")
    parser.add_argument("--quick", action="store_true", help="one round of half a second; prints, writes no results")
    parser.add_argument("--draw", action="store_true", help="tables and charts anew from results/peers.json")
    parser.add_argument("--pin", action="store_true", help="pin the newest versions of the peers in peers/*.txt")
    return parser.parse_args()


def main() -> None:
    arguments = parse_arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that servers are stopped, too
    if arguments.pin:
        environments.pin()
        return
    if not arguments.draw:
        run(arguments)
    if RESULTS.exists() and not (arguments.quick or arguments.against):
        draw()


def run(arguments: argparse.Namespace) -> None:
    """The scenarios one after the other; each one's result is written when it is there."""
    if not h2load.is_installed():
        raise SystemExit("script/bench: needs h2load and nghttpd: apt-get install nghttp2-client nghttp2-server")
    server_core, load_core = choose_cores()
    options = Options(
        rounds=1 if arguments.quick else arguments.rounds,
        seconds=0.5 if arguments.quick else arguments.seconds,
        against=arguments.against,
        server_core=server_core,
        load_core=load_core,
    )
    for scenario in scenarios.ALL:
        if arguments.only and scenario.name not in arguments.only:
            continue
        print(f"\n{scenario.title}", flush=True)
        began = time.monotonic()
        found = {"title": scenario.title, "rounds": options.rounds, "seconds": options.seconds, **scenario.run(options)}
        found["machine"] = describe_machine(PACKAGES)
        print(f"{scenario.name} took {time.monotonic() - began:.0f} s", flush=True)
        if not (arguments.quick or arguments.against):
            save(scenario.name, found)


def draw() -> None:
    """The tables, and the charts."""
    report = json.loads(RESULTS.read_text())
    page = table.render(report)
    RESULTS.with_suffix(".md").write_text(page)
    CHARTS.mkdir(exist_ok=True)
    for name, text in drawing.draw_all(report).items():
        (CHARTS / name).write_text(text)
    print(page)


def save(name: str, found: dict[str, Any]) -> None:
    """Into the one file of results, in the order of the scenarios."""
    report = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    report[name] = found
    order = [one.name for one in scenarios.ALL if one.name in report]
    lines = ",\n".join(f" {json.dumps(one)}: {_dump(report[one])}" for one in order)
    RESULTS.write_text(f"{{\n{lines}\n}}\n")


def _dump(found: dict[str, Any]) -> str:
    """JSON with a line for each row."""
    parts = []
    for key, value in found.items():
        if isinstance(value, list) and value:
            value = "[\n   " + ",\n   ".join(json.dumps(one) for one in value) + "]"
        else:
            value = json.dumps(value)
        parts.append(f"  {json.dumps(key)}: {value}")
    return "{\n" + ",\n".join(parts) + "\n }"


if __name__ == "__main__":
    main()
