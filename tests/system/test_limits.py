"""What a busy model answers, to whom, and until when: on real doors, real workers."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import grpc
import pytest
from clarifai_grpc.grpc.api import resources_pb2, service_pb2
from clarifai_grpc.grpc.api.status import status_code_pb2 as codes

from support.folders import write_folder
from support.probe import PROBE, ProbeFiles, read_answer, read_gauge, rest_call, wait_until
from support.server import V2, RunningServer, running_server
from support.uploads import deploy

QUEUE = 2
HELD = 2
"""Requests of one token that a replica with one thread holds; the next ones wait in the queue."""


@dataclass
class Site:
    server: RunningServer
    v2: V2
    files: ProbeFiles


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server with a short queue and a probe with one thread."""
    folder = write_folder(tmp_path_factory.mktemp("probe"), model=PROBE, model_id="probe", threads=1)
    with running_server(tmp_path_factory.mktemp("limits"), "--queue-size", str(QUEUE)) as server, V2(server) as v2:
        yield Site(server, v2, ProbeFiles(server, deploy(v2, folder, "probe")))


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(16) as one:
        yield one


def make_token(v2: V2) -> str:
    request = service_pb2.PostKeysRequest(
        user_app_id=resources_pb2.UserAppIDSet(user_id=v2.user_app.user_id),
        keys=[resources_pb2.Key(type="personal_access_token", description="another caller", scopes=["All"])],
    )
    answer = v2.call("PostKeys", request)
    assert answer.status.code == codes.SUCCESS, answer.status
    return answer.keys[0].id


def fill(site: Site, pool: ThreadPoolExecutor, name: str) -> list[Future]:
    """As many requests as one token may have there, each behind a gate of its name: one runs, and the queue is full."""
    calls = [pool.submit(site.v2.predict, "probe", f"{name}0 {name}0")]
    wait_until(lambda: site.files.has_begun(f"{name}0"))
    calls += [
        pool.submit(site.v2.predict, "probe", f"{name}{number} {name}{number}") for number in range(1, HELD + QUEUE)
    ]
    wait_until(lambda: read_gauge(site.server, "modelyard_waiting") == QUEUE)
    return calls


def open_gates(site: Site, name: str) -> None:
    for number in range(HELD + QUEUE):
        site.files.open(f"{name}{number}")


def test_full_queue_is_told_at_once_by_every_door_and_the_rest_is_answered(
    site: Site, pool: ThreadPoolExecutor
) -> None:
    calls = fill(site, pool, "full")
    busy = site.v2.predict("probe", "more now")
    assert busy.status.code == codes.CONN_THROTTLED
    assert "requests wait already" in busy.status.description
    assert busy.status.time_remaining >= 1

    with rest_call(site.server, "outputs", "rest now") as connection:
        status, headers, body = read_answer(connection)
    assert status == 429
    assert int(headers["retry-after"]) == body["status"]["time_remaining"] >= 1
    assert body["status"]["code"] == codes.CONN_THROTTLED

    request = site.v2.text_request("probe", "trailers now")
    _, call = site.v2.stub.PostModelOutputs.with_call(request, metadata=site.v2.metadata, timeout=60)
    assert int(dict(call.trailing_metadata())["retry-after"]) >= 1
    (only,) = site.v2.generate("probe", "generate 0 1")
    assert only.status.code == codes.CONN_THROTTLED

    open_gates(site, "full")
    assert [one.result().status.code for one in calls] == [codes.SUCCESS] * (HELD + QUEUE)
    assert not any(site.files.has_begun(name) for name in ("more", "rest", "trailers"))
    assert site.files.made("generate") == 0


def test_another_token_is_answered_during_a_flood(site: Site, pool: ThreadPoolExecutor) -> None:
    token = make_token(site.v2)
    calls = fill(site, pool, "flood")
    with V2(site.server, token=token) as v2:
        other = pool.submit(v2.predict, "probe", "other now")
        wait_until(lambda: read_gauge(site.server, "modelyard_in_flight") == HELD + 1)
        site.files.open("flood0")
        # It waits for what runs, for what the worker may have begun before it came there, and for nothing else.
        names = [f"flood{number}" for number in range(1, HELD + QUEUE)]
        wait_until(lambda: other.done() or any(map(site.files.has_begun, names)))
        for name in filter(site.files.has_begun, names):
            site.files.open(name)
            break
        assert other.result().outputs[0].data.text.raw == "other"
    open_gates(site, "flood")
    for one in calls:
        one.result()


def test_what_expires_in_the_queue_never_reaches_the_model(site: Site, pool: ThreadPoolExecutor) -> None:
    slow = pool.submit(site.v2.predict, "probe", "slow late")
    wait_until(lambda: site.files.has_begun("slow"))
    with pytest.raises(grpc.RpcError, match="DEADLINE_EXCEEDED"):
        site.v2.predict("probe", "late-grpc now", timeout=0.3)
    with rest_call(site.server, "outputs", "late-rest now", request_timeout="0.3") as connection:
        status, _, body = read_answer(connection)
    assert status == 504
    assert "deadline" in body["status"]["description"]
    site.files.open("late")
    assert slow.result().status.code == codes.SUCCESS
    assert site.v2.predict("probe", "after now").status.code == codes.SUCCESS
    assert not site.files.has_begun("late-grpc")
    assert not site.files.has_begun("late-rest")
