"""Rollouts, rollbacks and kills, counted: 10,000 requests and 200 open streams while versions take over, how long a
rollback takes, how long a gateway is gone after `kill -9`, and whether anything acknowledged is ever lost.

Run it with `script/bench rollouts`; `--kills 200` takes a quarter of an hour.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import grpc
from clarifai_grpc.grpc.api import resources_pb2, service_pb2, service_pb2_grpc
from clarifai_grpc.grpc.api.status import status_code_pb2 as codes
from machine import describe_machine

from modelyard.client.auth import Context
from modelyard.client.client import Client
from support.folders import write_folder
from support.server import V2, RunningServer, running_server
from support.uploads import deploy, upload, wait_built

RESULTS = Path(__file__).parent / "results"
MODEL = "echo"
SEED = 20260105
PATIENCE_S = 60.0
STREAMS_A_LINE = 50
ENDED = (codes.MODEL_TRAINED, codes.MODEL_UPLOADING_FAILED)


def main() -> None:
    """Measure, print, and keep the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--streams", type=int, default=200)
    parser.add_argument("--rollouts", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=10, help="rollbacks, and recoveries")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--minutes", type=float, default=60.0, help="no more kills after so many")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--dry", action="store_true", help="keep no results")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="modelyard-rollouts-") as scratch:
        found = {
            "rollouts": count_failures(Path(scratch) / "a", options.requests, options.streams, options.rollouts),
            "rollback": time_rollbacks(Path(scratch) / "b", options.rounds),
            "recovery": time_recoveries(Path(scratch) / "c", options.rounds),
            "kills": count_losses(
                Path(scratch) / "d", options.kills, options.seed, until=time.monotonic() + 60 * options.minutes
            ),
        }
    found["machine"] = describe_machine(("modelyard", "grpcio"))
    text = describe(found)
    print(text)
    if not options.dry:
        (RESULTS / "rollouts.json").write_text(json.dumps(found, indent=2) + "\n")
        (RESULTS / "rollouts.md").write_text(text)


def count_failures(place: Path, requests: int, streams: int, rollouts: int) -> dict[str, Any]:
    """Ask and hold streams open while versions take over, and one rollback between each two."""
    with running_server(place / "data") as server, V2(server) as v2, make_client(server) as client:
        deploy_version(v2, place, 0)
        # Two replicas: one token may not hold more than half of the 256 streams of one.
        client.deployments.scale(MODEL, least=2, most=2)
        wait_until(lambda: client.deployments.get(MODEL).deployment_metrics.live_replicas == 2)
        lines = [open_line(server) for _ in range(-(-streams // STREAMS_A_LINE))]
        opened = [Stream(lines[number // STREAMS_A_LINE]) for number in range(streams)]
        for one in opened:
            one.say("a")
        asked = Asked(server, requests, threads=8)
        began = time.monotonic()
        with asked:
            number = 0
            while number < rollouts or asked.left > 0:
                number += 1
                deploy_version(v2, place, number)
                client.deployments.roll_back(MODEL)
                client.deployments.promote(MODEL, str(number + 1))
        took_s = time.monotonic() - began
        broken = sum(not one.ends_well() for one in opened)
        return {
            "requests": sum(asked.answers.values()),
            "failed": len(asked.failures),
            "first_failures": asked.failures[:5],
            "streams": streams,
            "broken_streams": broken,
            "uploads": number,
            "changes_of_traffic": 3 * number,
            "seconds": round(took_s, 1),
            "versions_that_answered": len(asked.answers),
        }


def time_rollbacks(place: Path, rounds: int) -> dict[str, Any]:
    """From the command to the first answer of the version before: warm, and stopped."""
    with running_server(place / "data", "--keep-warm", "1") as server, V2(server) as v2, make_client(server) as client:
        for number in (0, 1):
            deploy_version(v2, place, number)
        warm, cold = [], []
        for _ in range(rounds):
            v2.predict(MODEL, "", version_id=find_id(client, "1"))
            warm.append(time_until(lambda: client.deployments.roll_back(MODEL), v2, "-0"))
            v2.predict(MODEL, "", version_id=find_id(client, "2"))
            warm.append(time_until(lambda: client.deployments.promote(MODEL, "2"), v2, "-1"))
        for _ in range(max(1, rounds // 2)):
            wait_until(lambda: has_stopped(client, "1"))
            cold.append(time_until(lambda: client.deployments.roll_back(MODEL), v2, "-0"))
            wait_until(lambda: has_stopped(client, "2"))
            cold.append(time_until(lambda: client.deployments.promote(MODEL, "2"), v2, "-1"))
    return {"warm_s": summarise(warm), "cold_s": summarise(cold)}


def time_recoveries(place: Path, rounds: int) -> dict[str, Any]:
    """`kill -9` of a gateway that serves, and a start at once: until it answers at all, and until the model does."""
    with running_server(place / "data") as server, V2(server) as v2:
        deploy_version(v2, place, 0)
    ready, answered = [], []
    server = RunningServer(place / "data")
    for _ in range(rounds):
        with V2(server) as v2:
            answer_of(v2)
        server.process.kill()
        began = time.monotonic()
        server.wait_until_dead()
        server = RunningServer(place / "data")
        ready.append(time.monotonic() - began)
        with V2(server) as v2:
            answer_of(v2)
        answered.append(time.monotonic() - began)
    server.stop()
    return {"ready_s": summarise(ready), "answered_s": summarise(answered)}


def count_losses(place: Path, kills: int, seed: int, *, until: float) -> dict[str, Any]:
    """Uploads, promotions and requests; `kill -9` at a random moment; then what was acknowledged is looked for."""
    done = 0
    chance = random.Random(seed)
    lost: list[str] = []
    acknowledged: dict[str, str] = {}
    count = 1
    with running_server(place / "data") as server, V2(server) as v2:
        acknowledged[deploy_version(v2, place, 0)] = "-0"
    for number in range(1, kills + 1):
        if time.monotonic() > until:
            break
        server = RunningServer(place / "data")
        killer = threading.Timer(chance.uniform(0.0, 1.5), server.process.kill)
        killer.start()
        with V2(server, retries=False) as v2, contextlib.suppress(grpc.RpcError, AssertionError):
            folder = write_folder(place / str(number), suffix=f"-{number}")
            acknowledged[upload(v2, folder)] = f"-{number}"
            count += 1
            while True:
                answer_of(v2)
        server.wait_until_dead()
        killer.join()
        missing = look_for(place, acknowledged, number)
        lost += missing
        done = number
        print(f"kill {number}: {count} uploads acknowledged, {len(missing)} lost", file=sys.stderr, flush=True)
        for old in list(acknowledged)[:-6]:
            del acknowledged[old]
    return {"kills": done, "seed": seed, "uploads_acknowledged": count, "lost": lost}


def look_for(place: Path, acknowledged: dict[str, str], number: int) -> list[str]:
    """Start again: every acknowledged version comes to be ready, one of them answers, and no upload hangs."""
    missing = []
    with running_server(place / "data") as server, V2(server) as v2:
        for version_id in acknowledged:
            status = wait_built(v2, version_id).status
            if status.code != codes.MODEL_TRAINED:
                missing.append(f"kill {number}: version {version_id} is {status}")
        if answer_of(v2) not in acknowledged.values():
            missing.append(f"kill {number}: nothing that was acknowledged answers")
        request = service_pb2.ListModelVersionsRequest(user_app_id=v2.user_app, model_id=MODEL)
        missing += [
            f"kill {number}: version {version.id} hangs: {version.status}"
            for version in v2.call("ListModelVersions", request).model_versions
            if not comes_to_an_end(v2, version)
        ]
    return missing


def comes_to_an_end(v2: V2, version: resources_pb2.ModelVersion) -> bool:
    """Does an upload that a kill cut, acknowledged or not, get ready or fail?"""
    with contextlib.suppress(AssertionError):
        return version.status.code in ENDED or wait_built(v2, version.id).status.code in ENDED
    return False


class Asked:
    """So many requests by several threads, and what became of them."""

    def __init__(self, server: RunningServer, requests: int, *, threads: int) -> None:
        self.answers: Counter[str] = Counter()
        self.failures: list[str] = []
        self.left = requests
        self._server = server
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._ask) for _ in range(threads)]

    def _ask(self) -> None:
        with V2(self._server, retries=False) as v2:
            while self._take():
                try:
                    text = answer_of(v2)
                except Exception as error:  # noqa: BLE001  whatever it is, it is a failure
                    self.failures.append(repr(error)[:300])
                    continue
                with self._lock:
                    self.answers[text] += 1

    def _take(self) -> bool:
        with self._lock:
            self.left -= 1
            return self.left >= 0

    def __enter__(self) -> Asked:
        for one in self._threads:
            one.start()
        return self

    def __exit__(self, *exc: object) -> None:
        for one in self._threads:
            one.join()


class Stream:
    """One stream that stays open."""

    def __init__(self, v2: V2) -> None:
        self._v2 = v2
        self._said: SimpleQueue[str | None] = SimpleQueue()
        self._answers = v2.stream(self._requests(), timeout=600)

    def _requests(self) -> Iterator[service_pb2.PostModelOutputsRequest]:
        while (text := self._said.get()) is not None:
            yield self._v2.text_request(MODEL, text)

    def say(self, text: str) -> None:
        """One message, and its answer by the version that the stream began with."""
        self._said.put(text)
        answer = next(self._answers)
        assert answer.status.code == codes.SUCCESS, answer.status
        assert answer.outputs[0].data.text.raw == f"{text.upper()}-0"

    def ends_well(self) -> bool:
        """Does it still answer, and end when its end is told?"""
        try:
            self.say("z")
            self._said.put(None)
            return list(self._answers) == []
        except Exception:  # noqa: BLE001  whatever it is, it broke
            return False


def open_line(server: RunningServer) -> V2:
    """A connection of its own: HTTP/2 carries 128 streams on one, and more wait for it in the client."""
    line = V2(server, retries=False)
    line.channel = grpc.insecure_channel(server.address, options=[("grpc.use_local_subchannel_pool", 1)])
    line.stub = service_pb2_grpc.V2Stub(line.channel)
    return line


def deploy_version(v2: V2, place: Path, number: int) -> str:
    """Upload a version that answers `-NUMBER`, and wait until it is ready."""
    return deploy(v2, write_folder(place / str(number), suffix=f"-{number}", threads=4))


def answer_of(v2: V2) -> str:
    """What the model says to an empty text."""
    answer = v2.predict(MODEL, "")
    if answer.status.code != codes.SUCCESS:
        raise AssertionError(str(answer.status))
    return str(answer.outputs[0].data.text.raw)


def make_client(server: RunningServer) -> Client:
    """Modelyard's own client."""
    return Client(Context(base=server.url, token=server.token, user_id=server.user_id))


def find_id(client: Client, version: str) -> str:
    """The id of a version by its number."""
    return str(client.versions.get(f"{MODEL}@{version}").id)


def has_stopped(client: Client, version: str) -> bool:
    """Has the version no replica any more?"""
    told = client.versions.get(f"{MODEL}@{version}").metadata["modelyard"]
    return not told["replicas"] and not told["desired_replicas"]


def wait_until(condition: Callable[[], bool]) -> None:
    """Look again and again."""
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)


def time_until(act: Callable[[], object], v2: V2, answer: str) -> float:
    """Seconds until the model gives this answer."""
    began = time.monotonic()
    act()
    while answer_of(v2) != answer:
        pass
    return time.monotonic() - began


def summarise(seconds: list[float]) -> dict[str, float]:
    """Median and worst."""
    return {
        "median": round(statistics.median(seconds), 3),
        "worst": round(max(seconds), 3),
        "rounds": len(seconds),
    }


def describe(found: dict[str, Any]) -> str:
    """The results for people."""
    rollouts, kills = found["rollouts"], found["kills"]
    rows = [
        ("rollback, the version before is warm", found["rollback"]["warm_s"]),
        ("rollback, the version before has stopped (its start and load included)", found["rollback"]["cold_s"]),
        ("after kill -9: the gateway answers", found["recovery"]["ready_s"]),
        ("after kill -9: the model answers", found["recovery"]["answered_s"]),
    ]
    table = "\n".join(f"| {name} | {one['median']:.3f} | {one['worst']:.3f} | {one['rounds']} |" for name, one in rows)
    machine = "\n".join(f"- {name}: {value}" for name, value in found["machine"].items())
    return (
        "# Rollouts, rollbacks, kills\n\n"
        f"{rollouts['requests']} requests and {rollouts['streams']} open streams in {rollouts['seconds']} s, while "
        f"{rollouts['uploads']} uploads and their rollbacks moved the traffic {rollouts['changes_of_traffic']} times: "
        f"{rollouts['failed']} requests failed, {rollouts['broken_streams']} streams broke.\n\n"
        "| seconds | median | worst | rounds |\n|---|---|---|---|\n"
        f"{table}\n\n"
        f"{kills['kills']} kills at random moments of uploads, rollouts and requests (seed {kills['seed']}): "
        f"{kills['uploads_acknowledged']} uploads were acknowledged, and {len(kills['lost'])} of what was acknowledged "
        f"was lost.\n\n{machine}\n"
    )


if __name__ == "__main__":
    main()
