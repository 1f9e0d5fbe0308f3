"""What a flood from one token costs another: latencies of one client alone, and beside the flood, in one run.

Gateway and worker share one core, both loads the other. The flood is a process of its own, with a lower priority than
the client that is measured: the question is what the server does, not which load the kernel prefers. Each round
measures alone and beside the flood, one after the other. Writes results/fairness.json and .md.
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
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tests")]

import load  # noqa: E402
from clarifai_grpc.grpc.api import resources_pb2, service_pb2  # noqa: E402
from machine import describe_machine  # noqa: E402

from support.folders import CONFIG, write_folder  # noqa: E402
from support.server import V2, RunningServer, running_server  # noqa: E402
from support.uploads import deploy  # noqa: E402

METHOD = "/clarifai.api.V2/PostModelOutputs"
QUEUE = 64
MODEL = """\
import time

from clarifai.runners.models.model_runner import ModelRunner
from clarifai_grpc.grpc.api import resources_pb2, service_pb2


class Sleeper(ModelRunner):
    def predict(self, request):
        outputs = []
        for one in request.inputs:
            time.sleep(float(one.data.text.raw) / 1000)
            outputs.append(resources_pb2.Output(data=one.data))
        return service_pb2.MultiOutputResponse(outputs=outputs)
"""


@dataclass(frozen=True)
class Case:
    """One model and one flood."""

    name: str
    model_id: str
    milliseconds: float
    clients: int


CASES = (
    Case("20 ms, 1 thread; flood of 48, all wait", "one", 20, 48),
    Case("20 ms, 1 thread; flood of 128, half of it is refused", "one", 20, 128),
    Case("20 ms, 4 threads; flood of 48, all wait", "four", 20, 48),
    Case("20 ms, 4 threads; flood of 128, half of it is refused", "four", 20, 128),
    Case("nothing to do, 4 threads; flood of 48, all wait", "quick", 0, 48),
)
INTRODUCTION = """\
# Fairness

Made by `benchmarks/fairness.py`: one client of one token, a request at a time, alone and beside a flood from another
token to the same model, whose queue holds {queue}. Medians of {rounds} rounds of {seconds:g} s each. What a model with
one thread cannot avoid is the request that runs when another comes: 20 ms more at worst, a factor of 2. A model that
has nothing to do is as quick as the gateway, which the flood keeps busy.

| | alone p50 ms | p99 ms | beside the flood p50 ms | p99 ms | p99 ratio | flood requests/s |
|---|---:|---:|---:|---:|---:|---:|"""


def make_token(v2: V2) -> str:
    """Another token of the same user."""
    request = service_pb2.PostKeysRequest(
        user_app_id=resources_pb2.UserAppIDSet(user_id=v2.user_app.user_id),
        keys=[resources_pb2.Key(type="personal_access_token", description="flood", scopes=["All"])],
    )
    return v2.call("PostKeys", request).keys[0].id


def measure(target: load.Target, clients: int, seconds: float) -> dict[str, float]:
    """Latencies and rate of that many clients."""
    import uvloop

    tally = uvloop.run(load.measure(target, clients=clients, seconds=seconds))
    milliseconds = sorted(1000 * one for one in tally.latencies_s)
    return {
        "requests_per_s": len(milliseconds) / tally.seconds,
        "p50_ms": milliseconds[len(milliseconds) // 2],
        "p99_ms": milliseconds[int(len(milliseconds) * 0.99)],
    }


@contextmanager
def flooding(server: RunningServer, token: str, case: Case, message: bytes, seconds: float) -> Iterator[list[str]]:
    """The flood, for a little longer than the block needs; what it counted is in the list afterwards."""
    arguments = {"port": server.address.partition(":")[2], "token": token, "message": message.hex()}
    command = [sys.executable, __file__, "--flood", json.dumps({**arguments, **asdict(case), "seconds": seconds + 2})]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    found: list[str] = []
    try:
        assert process.stdout is not None
        process.stdout.readline()
        yield found
    finally:
        found.append(process.communicate(timeout=seconds + 60)[0])


def flood(arguments: dict[str, Any]) -> None:
    """The process of the flood: any answer will do."""
    os.nice(5)
    target = load.Target(
        "127.0.0.1", int(arguments["port"]), METHOD, arguments["token"], bytes.fromhex(arguments["message"]), b""
    )
    measure(target, arguments["clients"], 1)
    print("up", flush=True)
    print(json.dumps(measure(target, arguments["clients"], arguments["seconds"])))


def run_case(server: RunningServer, v2: V2, token: str, case: Case, seconds: float) -> dict[str, Any]:
    """Alone, then beside the flood."""
    text = f"{case.milliseconds:g}"
    message = v2.text_request(case.model_id, text).SerializeToString()
    target = load.Target(
        "127.0.0.1", int(server.address.partition(":")[2]), METHOD, server.token, message, text.encode()
    )
    measure(target, 1, 1)
    alone = measure(target, 1, seconds)
    with flooding(server, token, case, message, seconds) as told:
        beside = measure(target, 1, seconds)
    counted = json.loads(told[0])
    print(f"{case.name:52}  p99 {alone['p99_ms']:6.1f} -> {beside['p99_ms']:6.1f} ms", flush=True)
    return {"case": case.name, "alone": alone, "beside": beside, "flood": counted}


def take_medians(measured: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row a case."""
    rows = []
    for case in CASES:
        found = [one for one in measured if one["case"] == case.name]
        row: dict[str, Any] = {"case": case.name}
        for side in ("alone", "beside", "flood"):
            row[side] = {name: statistics.median(one[side][name] for one in found) for name in found[0][side]}
        row["p99_ratio"] = statistics.median(one["beside"]["p99_ms"] / one["alone"]["p99_ms"] for one in found)
        rows.append(row)
    return rows


def render(report: dict[str, Any]) -> str:
    """The report as Markdown."""
    lines = [INTRODUCTION.format(queue=QUEUE, rounds=report["rounds"], seconds=report["seconds"])]
    for row in report["medians"]:
        alone, beside = row["alone"], row["beside"]
        lines.append(
            f"| {row['case']} | {alone['p50_ms']:.2f} | {alone['p99_ms']:.2f} | {beside['p50_ms']:.2f} | "
            f"{beside['p99_ms']:.2f} | {row['p99_ratio']:.2f} | {row['flood']['requests_per_s']:.0f} |"
        )
    lines += ["", *(f"- {name}: {value}" for name, value in report["machine"].items())]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=6, help="length of one measurement")
    parser.add_argument("--out", type=Path, default=HERE / "results")
    parser.add_argument("--flood", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.flood:
        flood(json.loads(options.flood))
        return
    server_core, load_core = sorted(os.sched_getaffinity(0))[:2]
    os.sched_setaffinity(0, {server_core})  # inherited by what is started now
    with tempfile.TemporaryDirectory() as name, running_server(Path(name), "--queue-size", str(QUEUE)) as server:
        os.sched_setaffinity(0, {load_core})
        with V2(server) as v2:
            for model_id, threads in (("one", 1), ("four", 4), ("quick", 4)):
                config = CONFIG.format(model_id=model_id, user_id="local", threads=threads)
                deploy(v2, write_folder(Path(name) / f"f-{model_id}", model=MODEL, config=config), model_id)
            token = make_token(v2)
            measured = [
                run_case(server, v2, token, case, options.seconds) for _ in range(options.rounds) for case in CASES
            ]
    report = {"machine": describe_machine(("uvloop",)), "rounds": options.rounds, "seconds": options.seconds}
    report |= {"medians": take_medians(measured), "measured": measured}
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "fairness.json").write_text(json.dumps(report, indent=1) + "\n")
    (options.out / "fairness.md").write_text(render(report))
    print(render(report))


if __name__ == "__main__":
    main()
