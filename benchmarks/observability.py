"""What watching costs: the server as it is; the same one without counters and histograms; without those and without
request ids in the worker; and servers that send spans to a collector: as many as without a setting, of one
request in a hundred, or of all. Those with metrics are read at `GET /metrics` once a second meanwhile.

Two processes of one program differ by some percent for as long as they live. So the first three are one server, which
is switched to and fro many times a second while it is under load (`unobserved.py`); those that trace are started anew
several times, each of them first once.
Each has its own data directory and worker, all on one core, the load and the collector on another; turns alternate.
Writes results/observability.json and .md.
"""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tests")]

import load  # noqa: E402
import uvloop  # noqa: E402
from beside.process import sum_ran_s  # noqa: E402
from throughput import PACKAGES, make_target  # noqa: E402
from turns import Cores, Row, make_parser, pick, take_turns, write_report  # noqa: E402

from support.server import V2, RunningServer, running_server  # noqa: E402
from support.uploads import deploy  # noqa: E402

CLIENTS = (1, 16, 64)
SCRAPE_S = 1.0
WARM_UP_S = 0.15
SAMPLERS = {
    "traces": {},
    "traces of 1 %": {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.01"},
    "traces of all": {"OTEL_TRACES_SAMPLER": "parentbased_always_on"},
}
COMPARED = {"request ids": "none", "metrics": "request ids", **dict.fromkeys(SAMPLERS, "metrics")}
"""What costs, beside what it is compared with."""
NAMES = ("none", *COMPARED)
SWITCHED = ("none", "request ids", "metrics")
"""Those of one server, as its switch is told them."""
SERVERS = ("switched", *SAMPLERS)
SWITCHING_S, WINDOW_S, WINDOWS = 0.04, 0.15, 6
"""How long a switch takes to be heard of, how long each window behind it is, and how many make a measurement."""
INTRODUCTION = """\
# What watching costs

Made by `script/bench observability`: {starts} starts of each server, {rounds} rounds of {seconds:g} s for each
measurement after each, in turns; who is started first goes round. `metrics` is the server as it is (metrics, read once
a second; request ids down to the worker and back), `request ids` the same process with the functions of its metrics
empty, in gateway and worker, and `none` without request ids in the worker, too: it is switched from one to the other
while it is under load, every 0.19 s, six times for each measurement (`benchmarks/unobserved.py`), since two processes
of one program differ by more than this costs, and so do two seconds of a host that has other guests.
`traces` are `metrics` with `--otlp` to a collector that takes everything (20 traces a second), of 1 % with
`OTEL_TRACES_SAMPLER=parentbased_traceidratio`, and of all with `parentbased_always_on`. Unary predicts of 90 bytes over
gRPC; all that serves shares a core.

`CPU` is the time that the threads of gateway and worker ran (`/proc/PID/task/*/schedstat`), divided by the requests of
the measurement: what others do on the machine moves it less than it moves requests per second. The costs are medians,
over the pairs of neighbours in one round, of 1 - without / with for CPU, and of 1 - with / without for requests/s.

| clients | | CPU us/request | requests/s | p50 ms | beside | cost in CPU | half of the pairs | cost in requests/s |
|---:|---|---:|---:|---:|---|---:|---:|---:|"""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A running server and how it is asked."""

    server: RunningServer
    target: load.Target
    switch: Path
    """The file that is told what to do; only the server that is switched looks at it."""

    @property
    def pid(self) -> int:
        return self.server.process.pid


@dataclass(kw_only=True)
class Window:
    """What was seen of one server in one state, at one time or at several."""

    latencies_s: list[float] = field(default_factory=list)
    ran_s: float = 0.0
    seconds: float = 0.0
    scrapes: int = 0

    def add(self, latencies_s: Sequence[float], ran_s: float, seconds: float) -> None:
        """Look once more: what answers took, what the server ran, and for how long it was looked."""
        self.latencies_s += latencies_s
        self.ran_s += ran_s
        self.seconds += seconds

    def evaluate(self) -> Row:
        """As a row."""
        count = len(self.latencies_s)
        return {
            "requests_per_s": count / self.seconds,
            "cpu_us": 1e6 * self.ran_s / count,
            "p50_ms": 1000 * statistics.median(self.latencies_s),
        }


def scrape(server: RunningServer) -> None:
    """Read the metrics, as Prometheus does."""
    with urllib.request.urlopen(f"{server.url}/metrics", timeout=10) as answer:
        answer.read()


@contextmanager
def scraping(server: RunningServer) -> Iterator[None]:
    """Read the metrics as Prometheus would."""
    stop = threading.Event()

    def go_on() -> None:
        while not stop.wait(SCRAPE_S):
            scrape(server)

    thread = threading.Thread(target=go_on)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@contextmanager
def running_sink() -> Iterator[str]:
    """The collector's address."""
    process = subprocess.Popen([sys.executable, HERE / "sink.py"], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.terminate()
        process.wait(10)


def start_server(name: str, data_dir: Path, collector: str, stack: ExitStack) -> RunningServer:
    """The server of this name."""
    if name in SAMPLERS:
        return stack.enter_context(running_server(data_dir, "--otlp", collector, env=SAMPLERS[name]))
    switch = make_switch(data_dir)
    switch.write_text("metrics")
    env = {"PYTHONPATH": str(HERE), "BENCH_SWITCH": str(switch)}
    return stack.enter_context(running_server(data_dir, module="unobserved", env=env))


def make_switch(data_dir: Path) -> Path:
    """Where the switch of a server is."""
    return data_dir.with_suffix(".switch")


def measure(subject: Subject, clients: int, seconds: float) -> Row:
    """One measurement, after a short warm-up."""

    async def run() -> Window:
        await load.measure(subject.target, clients=clients, seconds=WARM_UP_S)
        window, before = Window(), sum_ran_s(subject.pid)
        tally = await load.measure(subject.target, clients=clients, seconds=seconds)
        window.add(tally.latencies_s, sum_ran_s(subject.pid) - before, tally.seconds)
        return window

    return uvloop.run(run()).evaluate()


def measure_switched(subject: Subject, clients: int) -> dict[str, Row]:
    """The same of all that one server is switched to, in windows of a load that goes on."""

    async def run() -> dict[str, Window]:
        windows = {name: Window() for name in SWITCHED}
        tally = load.Tally()
        seconds = WARM_UP_S + WINDOWS * len(SWITCHED) * (SWITCHING_S + 2 * WINDOW_S)
        loading = asyncio.create_task(load.measure(subject.target, clients=clients, seconds=seconds, tally=tally))
        await asyncio.sleep(WARM_UP_S)
        for number in range(WINDOWS):
            for name in SWITCHED if number % 2 == 0 else reversed(SWITCHED):
                subject.switch.write_text(name)
                await asyncio.sleep(SWITCHING_S)
                began, first, before = time.perf_counter(), len(tally.latencies_s), sum_ran_s(subject.pid)
                if name == "metrics" and windows[name].seconds >= SCRAPE_S * windows[name].scrapes:
                    windows[name].scrapes += 1
                    await asyncio.to_thread(scrape, subject.server)
                await asyncio.sleep(WINDOW_S - (time.perf_counter() - began))
                ran_s, took_s = sum_ran_s(subject.pid) - before, time.perf_counter() - began
                windows[name].add(tally.latencies_s[first:], ran_s, took_s)
        tally.is_over = True
        await loading
        return windows

    return {name: window.evaluate() for name, window in uvloop.run(run()).items()}


def measure_start(number: int, cores: Cores, collector: str, rounds: int, seconds: float) -> list[Row]:
    """Start every server, and measure each so many rounds."""
    with ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        cores.start_servers()
        names = SERVERS[number % len(SERVERS) :] + SERVERS[: number % len(SERVERS)]
        servers = {name: start_server(name, root / f"{place}", collector, stack) for place, name in enumerate(names)}
        cores.start_load()
        subjects = {}
        for name, server in servers.items():
            with V2(server) as v2:
                deploy(v2, HERE / "echo", "bench-echo")
                port = int(server.address.partition(":")[2])
                switch = make_switch(server.data_dir)
                subjects[name] = Subject(server=server, target=make_target(port, server, v2), switch=switch)

        def measure_one(name: str, clients: int) -> dict[str, Row]:
            if name == "switched":
                return measure_switched(subjects[name], clients)
            with scraping(subjects[name].server):
                return {name: measure(subjects[name], clients, seconds)}

        return take_turns(SERVERS, CLIENTS, range(number * rounds, (number + 1) * rounds), measure_one, tell)


def tell(_name: str, _clients: int, values: Row) -> str:
    """One measurement, for the terminal."""
    return f"{values['requests_per_s']:7.0f} requests/s  {values['cpu_us']:6.1f} us"


def take_medians(measured: list[Row]) -> list[Row]:
    """One row for each number of clients and server."""
    rows = []
    for clients in CLIENTS:
        for name in NAMES:
            found = pick(measured, name, clients)
            row: dict[str, Any] = {"clients": clients, "name": name}
            row |= {key: statistics.median(one[key] for one in found) for key in ("cpu_us", "requests_per_s", "p50_ms")}
            if name in COMPARED:
                pairs = list(zip(found, pick(measured, COMPARED[name], clients), strict=True))
                costs = [1 - bare["cpu_us"] / ours["cpu_us"] for ours, bare in pairs]
                row["cost_cpu"] = statistics.median(costs)
                row["cost_cpu_quartiles"] = statistics.quantiles(costs, n=4)[::2] if len(costs) > 1 else costs * 2
                row["cost_rate"] = statistics.median(
                    1 - ours["requests_per_s"] / bare["requests_per_s"] for ours, bare in pairs
                )
            rows.append(row)
    return rows


def render(report: Row) -> str:
    """The report as Markdown."""
    lines = [INTRODUCTION.format(**{key: report[key] for key in ("starts", "rounds", "seconds")})]
    for row in report["medians"]:
        cells = [str(row["clients"]), row["name"], f"{row['cpu_us']:.1f}", f"{row['requests_per_s']:.0f}"]
        cells.append(f"{row['p50_ms']:.2f}")
        if row["name"] in COMPARED:
            low, high = row["cost_cpu_quartiles"]
            cells += [COMPARED[row["name"]], f"{row['cost_cpu']:.1%}", f"{low:.1%} to {high:.1%}"]
            cells.append(f"{row['cost_rate']:.1%}")
        else:
            cells += [""] * 4
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", *(f"- {name}: {value}" for name, value in report["machine"].items())]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure and write."""
    parser = make_parser(__doc__, rounds=8, seconds=0.4)
    parser.add_argument(
        "--starts", type=int, default=len(SERVERS), help="how often the servers are started: each is the first once"
    )
    options = parser.parse_args()
    cores, measured = Cores(), []
    cores.start_load()
    with running_sink() as collector:
        for number in range(options.starts):
            measured += measure_start(number, cores, collector, options.rounds, options.seconds)
    packages = (*PACKAGES, "opentelemetry-sdk")
    write_report(options, "observability", packages, take_medians(measured), measured, render)


if __name__ == "__main__":
    main()
