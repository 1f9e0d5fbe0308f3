"""What the benchmarks of our own server share: two cores, turns, and a report as JSON and Markdown."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tests")]

from machine import describe_machine  # noqa: E402

Row = dict[str, Any]


def make_parser(told: str | None, *, rounds: int, seconds: float) -> argparse.ArgumentParser:
    """The options that all have."""
    parser = argparse.ArgumentParser(description=told)
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--seconds", type=float, default=seconds, help="length of one measurement")
    parser.add_argument("--out", type=Path, default=HERE / "results")
    return parser


class Cores:
    """One for all that serves, one for the load. What is started on a core stays there."""

    def __init__(self) -> None:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that servers are stopped, too
        self._server, self._load = sorted(os.sched_getaffinity(0))[:2]

    def start_servers(self) -> None:
        """What is started from here on serves."""
        os.sched_setaffinity(0, {self._server})

    def start_load(self) -> None:
        """From here on we are the load."""
        os.sched_setaffinity(0, {self._load})


def take_turns(
    names: Sequence[str],
    clients: Iterable[int],
    rounds: Iterable[int],
    measure: Callable[[str, int], Mapping[str, Row]],
    tell: Callable[[str, int, Row], str],
) -> list[Row]:
    """Every measurement, in the order in which they were made: odd rounds backwards, so that what else the machine does
    falls on all. `measure` is given one of the names, and gives a row for each thing that it measured, by name."""
    measured = []
    clients = tuple(clients)
    for number in rounds:
        for count in clients:
            for name in names if number % 2 == 0 else reversed(names):
                for one, values in measure(name, count).items():
                    measured.append({"round": number, "clients": count, "name": one, **values})
                    print(f"round {number + 1}  {count:3} clients  {one:14} {tell(one, count, values)}", flush=True)
    return measured


def pick(measured: Iterable[Row], name: str, clients: int) -> list[Row]:
    """The measurements of one thing with so many clients, by round."""
    return [one for one in measured if (one["name"], one["clients"]) == (name, clients)]


def write_report(
    options: argparse.Namespace,
    name: str,
    packages: Iterable[str],
    medians: list[Row],
    measured: list[Row],
    render: Callable[[Row], str],
) -> None:
    """Write both files and show the page."""
    told = {key: value for key, value in vars(options).items() if key != "out"}
    report = {"machine": describe_machine(packages), **told, "medians": medians, "measured": measured}
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / f"{name}.json").write_text(json.dumps(report, indent=1) + "\n")
    (options.out / f"{name}.md").write_text(render(report))
    print(render(report))
