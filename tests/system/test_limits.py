"""What a busy model answers, to whom, and until when: on real doors, real workers."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import grpc
import pytest
from clarifai_grpc.grpc.api import resources_pb2, service_pb2
from clarifai_grpc.grpc.api.status import status_code_pb2 as codes

from support.folders import write_folder
from support.probe import PROBE, ProbeFiles, read_answer, rest_call, wait_until
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


def fill(site: Site, pool: ThreadPoolExecutor, name: str, seconds: float, rest_s: float = 0) -> list:
    """As many requests as one token may have there."""
    calls = [pool.submit(site.v2.predict, "probe", f"{name}0 {seconds}")]
    wait_until(lambda: site.files.has_begun(f"{name}0"))
    calls += [pool.submit(site.v2.predict, "probe", f"{name}{number} {rest_s}") for number in range(1, HELD + QUEUE)]
    return calls


def test_full_queue_is_told_at_once_by_every_door_and_the_rest_is_answered(
    site: Site, pool: ThreadPoolExecutor
) -> None:
    calls = fill(site, pool, "full", 3)
    more = [pool.submit(site.v2.predict, "probe", f"more{number} 0") for number in range(3)]
    wait_until(lambda: any(one.done() for one in more))
    busy = next(one for one in more if one.done()).result()
    assert busy.status.code == codes.CONN_THROTTLED
    assert "requests wait already" in busy.status.description
    assert busy.status.time_remaining >= 1

    with rest_call(site.server, "outputs", "rest 0") as connection:
        status, headers, body = read_answer(connection)
    assert status == 429
    assert int(headers["retry-after"]) == body["status"]["time_remaining"] >= 1
    assert body["status"]["code"] == codes.CONN_THROTTLED

    request = site.v2.text_request("probe", "trailers 0")
    _, call = site.v2.stub.PostModelOutputs.with_call(request, metadata=site.v2.metadata, timeout=60)
    assert int(dict(call.trailing_metadata())["retry-after"]) >= 1
    (only,) = site.v2.generate("probe", "generate 0 1")
    assert only.status.code == codes.CONN_THROTTLED

    answered = [one.result() for one in calls + more]
    assert sum(one.status.code == codes.SUCCESS for one in answered) == HELD + QUEUE
    assert not any(site.files.has_begun(name) for name in ("rest", "trailers", "generate"))


def test_another_token_is_answered_during_a_flood(site: Site, pool: ThreadPoolExecutor) -> None:
    token = make_token(site.v2)
    calls = fill(site, pool, "flood", 2, rest_s=0.7)
    with V2(site.server, token=token) as other:
        answer = other.predict("probe", "other 0", timeout=60)
    assert answer.outputs[0].data.text.raw == "other"
    assert sum(one.done() for one in calls) <= 2, "it waited for what runs, and for nothing else of the flood"
    for one in calls:
        one.result()


def test_what_expires_in_the_queue_never_reaches_the_model(site: Site, pool: ThreadPoolExecutor) -> None:
    slow = pool.submit(site.v2.predict, "probe", "slow 2")
    wait_until(lambda: site.files.has_begun("slow"))
    with pytest.raises(grpc.RpcError, match="DEADLINE_EXCEEDED"):
        site.v2.predict("probe", "late-grpc 0", timeout=0.3)
    with rest_call(site.server, "outputs", "late-rest 0", request_timeout="0.3") as connection:
        status, _, body = read_answer(connection)
    assert status == 504
    assert "deadline" in body["status"]["description"]
    assert slow.result().status.code == codes.SUCCESS
    assert site.v2.predict("probe", "after 0").status.code == codes.SUCCESS
    assert not site.files.has_begun("late-grpc")
    assert not site.files.has_begun("late-rest")
