"""New versions take over, are gone back from, shared out and scaled, while requests come without an end."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue

import pytest
from clarifai_grpc.grpc.api import service_pb2
from clarifai_grpc.grpc.api.status import status_code_pb2 as codes
from click.testing import CliRunner, Result

from modelyard.cli.main import cli
from modelyard.server.backends.nvidia import NvidiaSmi
from support.folders import CONFIG, write_folder
from support.server import V2, RunningServer
from support.sockets import children_of, command_of
from support.uploads import deploy, read_log, upload, wait_built

Run = Callable[..., Result]
STREAMS = 12


@pytest.fixture
def run(server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The command line against the session's server."""
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)

    def run_command(*arguments: str) -> Result:
        done = CliRunner().invoke(cli, list(arguments))
        assert done.exception is None, f"{arguments}: {done.exception}\n{done.output}"
        return done

    return run_command


def add_version(v2: V2, folder: Path, model_id: str, suffix: str) -> str:
    return deploy(v2, write_folder(folder, suffix=suffix, model_id=model_id), model_id)


def answer_of(v2: V2, model_id: str, **kwargs: object) -> str:
    return str(v2.predict(model_id, "", **kwargs).outputs[0].data.text.raw)


class Traffic:
    """Requests one after the other, in a few threads, and what became of them."""

    def __init__(self, server: RunningServer, model_id: str, threads: int = 3) -> None:
        self.answers: Counter[str] = Counter()
        self.failures: list[str] = []
        self._server = server
        self._model_id = model_id
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(threads)]

    def _ask(self) -> None:
        with V2(self._server, retries=False) as v2:
            while not self._stop.is_set():
                try:
                    answer = v2.predict(self._model_id, "")
                except Exception as error:
                    self.failures.append(repr(error))
                    continue
                if answer.status.code != codes.SUCCESS:
                    self.failures.append(str(answer.status))
                else:
                    self.answers[answer.outputs[0].data.text.raw] += 1

    def __enter__(self) -> Traffic:
        for one in self._threads:
            one.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stop.set()
        for one in self._threads:
            one.join(30)


class Stream:
    """One stream that stays open: what is said into it comes back in capitals, with the version's suffix."""

    def __init__(self, v2: V2, model_id: str) -> None:
        self._v2 = v2
        self._model_id = model_id
        self._said: SimpleQueue[str | None] = SimpleQueue()
        self._answers = v2.stream(self._requests(), timeout=120)

    def _requests(self) -> Iterator[service_pb2.PostModelOutputsRequest]:
        while (text := self._said.get()) is not None:
            yield self._v2.text_request(self._model_id, text)

    def say(self, text: str) -> str:
        self._said.put(text)
        answer = next(self._answers)
        assert answer.status.code == codes.SUCCESS, answer.status
        return str(answer.outputs[0].data.text.raw)

    def close(self) -> None:
        self._said.put(None)
        assert list(self._answers) == []


def test_no_request_fails_and_no_stream_breaks_while_versions_take_over(
    server: RunningServer, v2: V2, tmp_path: Path
) -> None:
    add_version(v2, tmp_path / "1", "rolling", "-1")
    streams = [Stream(v2, "rolling") for _ in range(STREAMS)]
    assert {one.say("a") for one in streams} == {"A-1"}
    with Traffic(server, "rolling") as traffic:
        for number in (2, 3):
            add_version(v2, tmp_path / str(number), "rolling", f"-{number}")
            assert answer_of(v2, "rolling") == f"-{number}"
            assert {one.say("b") for one in streams} == {"B-1"}, "a stream stays with the version that it began with"
    for one in streams:
        one.close()
    assert traffic.failures == []
    assert traffic.answers.keys() == {"-1", "-2", "-3"}


def test_a_worker_that_somebody_sends_sigterm_is_replaced_and_no_request_fails(
    server: RunningServer, v2: V2, tmp_path: Path
) -> None:
    version_id = add_version(v2, tmp_path / "1", "terminated", "-1")

    def find_workers() -> set[int]:
        return {pid for pid in children_of(server.process.pid) if version_id in command_of(pid)}

    first = find_workers()
    stream = Stream(v2, "terminated")
    assert stream.say("a") == "A-1"
    with Traffic(server, "terminated") as traffic:
        for pid in first:
            os.kill(pid, signal.SIGTERM)
        assert stream.say("b") == "B-1", "what is open is finished where it began"
        stream.close()
        with wait_until(lambda: bool(find_workers()) and not find_workers() & first):
            pass
    assert len(first) == 1
    assert traffic.failures == []


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        ("    def load_model(self):\n        raise ValueError('no weights')\n", "no weights"),
        ("    def predict(self, request):\n        raise KeyError('x')\n", "does not answer its first request"),
        ("    def predict(self, request):\n        os._exit(4)\n", "does not answer its first request"),
    ],
    ids=["load", "answer", "crash"],
)
def test_a_version_that_does_not_load_or_answer_leaves_the_one_before_serving(
    server: RunningServer, v2: V2, tmp_path: Path, broken: str, words: str, request: pytest.FixtureRequest
) -> None:
    model_id = f"broken-{request.node.callspec.id}"
    add_version(v2, tmp_path / "1", model_id, "-1")
    folder = write_folder(tmp_path / "2", model_id=model_id)
    code = (folder / "1" / "model.py").read_text()
    (folder / "1" / "model.py").write_text(f"{code}\n\nclass Broken(Echo):\n{broken}")
    with Traffic(server, model_id) as traffic:
        version_id = upload(v2, folder, model_id)
        version = wait_built(v2, version_id, model_id)
    assert version.status.code == codes.MODEL_BUILDING_FAILED
    assert words in version.status.description
    assert "version 1 serves on" in version.status.description
    assert any(words in line for line in read_log(v2, version_id, model_id=model_id))
    assert traffic.failures == []
    assert traffic.answers.keys() == {"-1"}


def test_a_rollback_to_a_warm_version_is_quick_and_loses_nothing(
    server: RunningServer, v2: V2, run: Run, tmp_path: Path
) -> None:
    versions = [add_version(v2, tmp_path / str(number), "back", f"-{number}") for number in (1, 2)]
    with Traffic(server, "back") as traffic:
        document = json.loads(run("rollback", "back", "--json").stdout)
        assert answer_of(v2, "back") == "-1"
        run("promote", "back", "v2")
        assert answer_of(v2, "back") == "-2"
    assert traffic.failures == []
    assert document["worker"]["model"]["model_version"]["id"] == versions[0]
    row = run("versions", "back").stdout.splitlines()[1].split()
    assert (row[0], row[4], row[5]) == ("2", "100%", "1/1")


def test_traffic_is_shared_by_weight_by_header_and_by_version(
    server: RunningServer, v2: V2, run: Run, tmp_path: Path
) -> None:
    versions = [add_version(v2, tmp_path / str(number), "shared", f"-{number}") for number in (1, 2)]
    run("traffic", "shared", "v1=75", "v2=25", "--header", "x-group=beta:1")
    answers = Counter(answer_of(v2, "shared") for _ in range(40))
    assert answers == {"-1": 30, "-2": 10}
    assert answer_of(v2, "shared", version_id=versions[1]) == "-2"
    request = v2.text_request("shared", "")
    for header, answer in (
        (("x-group", "beta"), "-1"),
        (("x-modelyard-version", "2"), "-2"),
        (("x-modelyard-version", "v1"), "-1"),
        (("x-modelyard-version", versions[0]), "-1"),
    ):
        metadata = (*v2.metadata, header)
        said = {v2.stub.PostModelOutputs(request, metadata=metadata).outputs[0].data.text.raw for _ in range(5)}
        assert said == {answer}, header
    wrong = v2.stub.PostModelOutputs(request, metadata=(*v2.metadata, ("x-modelyard-version", "9")))
    assert wrong.status.code == codes.MODEL_DOES_NOT_EXIST


def test_a_version_that_serves_is_not_deleted_until_another_does(v2: V2, run: Run, tmp_path: Path) -> None:
    for number in (1, 2):
        add_version(v2, tmp_path / str(number), "guarded", f"-{number}")
    refused = CliRunner().invoke(cli, ["delete", "guarded@2", "--yes"])
    assert "requests of the model go to it" in str(refused.exception)
    run("promote", "guarded", "1")
    run("delete", "guarded@2", "--yes")
    assert answer_of(v2, "guarded") == "-1"


def test_a_model_that_rests_is_started_by_the_next_request_which_waits(
    server: RunningServer, v2: V2, run: Run, tmp_path: Path
) -> None:
    add_version(v2, tmp_path / "1", "resting", "-1")
    run("scale", "resting", "--min", "0", "--idle", "1")
    with wait_until(lambda: run("scale", "resting").stdout.split()[-1] == "0/0"):
        pass
    assert answer_of(v2, "resting") == "-1"


def test_replicas_come_with_the_load_and_share_the_files_of_the_weights(
    server: RunningServer, v2: V2, run: Run, tmp_path: Path
) -> None:
    ids = []
    for number in (1, 2):
        folder = write_folder(tmp_path / str(number), suffix=f"-{number}", model_id="loaded", threads=1)
        (folder / "1" / "checkpoints").mkdir()
        (folder / "1" / "checkpoints" / "weights.bin").write_bytes(b"w" * 100_000)
        ids.append(deploy(v2, folder, "loaded"))
    run("scale", "loaded", "--max", "2")
    pool = [threading.Thread(target=v2.predict, args=("loaded", "sleep 4")) for _ in range(4)]
    for one in pool:
        one.start()
    with wait_until(lambda: run("scale", "loaded").stdout.split()[-1] == "2/2"):
        pass
    for one in pool:
        one.join(60)
    files = [server.data_dir / "versions" / one / "1" / "checkpoints" / "weights.bin" for one in ids]
    assert len({one.stat().st_ino for one in files}) == 1, "one page cache for all replicas of all versions"
    folders = {Path(entry).resolve() for entry in list_worker_folders(server.data_dir / "versions" / ids[1])}
    assert folders == {(server.data_dir / "versions" / ids[1]).resolve()}


def test_open_streams_bring_replicas_and_none_breaks_when_fewer_are_wanted(
    server: RunningServer, v2: V2, run: Run, tmp_path: Path
) -> None:
    deploy(v2, write_folder(tmp_path, suffix="-1", model_id="talks", threads=1), "talks")
    run("scale", "talks", "--max", "2")
    streams = [Stream(v2, "talks") for _ in range(2)]
    assert {one.say("a") for one in streams} == {"A-1"}
    with Traffic(server, "talks") as traffic:
        with wait_until(lambda: run("scale", "talks").stdout.split()[-1] == "2/2"):
            late = [Stream(v2, "talks") for _ in range(2)]
        assert {one.say("b") for one in late} == {"B-1"}
        run("scale", "talks", "--max", "1")
        for text in "cdef":
            assert {one.say(text) for one in (*streams, *late)} == {f"{text.upper()}-1"}
        for one in late:
            one.close()
    for one in streams:
        one.close()
    with wait_until(lambda: run("scale", "talks").stdout.split()[-1] == "1/1"):
        assert answer_of(v2, "talks") == "-1"
    assert traffic.failures == []
    assert traffic.answers.keys() == {"-1"}


@pytest.mark.skipif(bool(NvidiaSmi().list()), reason="this machine has what the model asks for")
def test_a_model_that_asks_for_a_gpu_is_told_that_there_is_none(v2: V2, tmp_path: Path) -> None:
    config = CONFIG.format(model_id="gpu", user_id="local", threads=1)
    folder = write_folder(tmp_path, config=config.replace("cpu_memory:", "num_accelerators: 1\n  cpu_memory:"))
    version_id = deploy(v2, folder, "gpu")
    said = "num_accelerators: the model asks for 1, and this machine has none: it runs on the CPU"
    assert said in read_log(v2, version_id, model_id="gpu")


def list_worker_folders(folder: Path) -> list[str]:
    """Working directories of the workers that run there: one each."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cwd"):
        try:
            where = entry.readlink()
        except OSError:
            continue
        if where == folder.resolve():
            found.append(str(where))
    assert len(found) == 2
    return found


@contextmanager
def wait_until(condition: Callable[[], bool], timeout_s: float = 60) -> Iterator[None]:
    """Enter the block once the condition holds."""
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.1)
    yield
