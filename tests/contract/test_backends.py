"""What every backend promises, on real worker processes with model folders that the tests write."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import sys
import textwrap
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import modelyard
from modelyard.config.schema import NO_BATCHING, BatchingInfo
from modelyard.errors import (
    DeadlineExceeded,
    InternalError,
    InvalidModelOutput,
    ModelyardError,
    NotImplementedByModel,
    PredictionFailed,
    WorkerCrashed,
)
from modelyard.server.backends.base import Backend, Exchange, Replica, ReplicaSpec, WorkerState, WorkerStatus
from modelyard.server.backends.processes import ProcessBackend
from modelyard.server.records import ModelKey
from modelyard.wire import shared
from modelyard.wire.messages import Data, Input, MultiOutputResponse, PostModelOutputsRequest, StatusCode, Text

SOURCE = Path(modelyard.__file__).parent.parent
HEAD = """\
import asyncio
import os
import sys
import threading
import time
from pathlib import Path

from clarifai_grpc.grpc.api import resources_pb2, service_pb2
from modelyard.sdk.runner import ModelRunner


def answer(*texts):
    outputs = [resources_pb2.Output(data=resources_pb2.Data(text=resources_pb2.Text(raw=text))) for text in texts]
    return service_pb2.MultiOutputResponse(outputs=outputs)


def text_of(request):
    return request.inputs[0].data.text.raw


"""
ECHO = """
class Echo(ModelRunner):
    def load_model(self):
        print("loading the echo")
        self.gate = threading.Barrier(2)

    def predict(self, request):
        text = text_of(request)
        if text == "raise":
            raise ValueError("no such label")
        if text == "memory":
            raise MemoryError("too much")
        if text == "exit":
            sys.exit(5)
        if text == "crash":
            os._exit(3)
        if text == "none":
            return None
        if text == "dict":
            return {"outputs": []}
        if text == "meet":
            self.gate.wait(timeout=10)
        if text == "slow":
            Path("begun").write_text("yes")
            time.sleep(0.3)
        if text == "print":
            print("said by the author")
            sys.stderr.write("and \\xe9 to stderr\\n")
        if text == "size":
            return answer(str(len(request.inputs[0].data.image.base64)))
        return answer(*[one.data.text.raw for one in request.inputs])

    def generate(self, request):
        try:
            for number in range(int(text_of(request))):
                Path("progress").write_text(str(number))
                if number == 1_000:
                    os._exit(3)
                yield answer(str(number))
                if text_of(request) == "7" and number == 2:
                    raise ValueError("three are enough")
        finally:
            Path("closed").write_text("yes")

    def stream(self, requests):
        try:
            for number, request in enumerate(requests):
                Path("taken").write_text(str(number))
                if text_of(request) == "crash":
                    time.sleep(0.05)  # what was yielded a moment ago may still lie in the process
                    os._exit(3)
                if text_of(request) == "hold":
                    time.sleep(0.5)
                yield answer(text_of(request).upper())
        finally:
            Path("closed").write_text("yes")
"""


def request(*texts: str, image: bytes = b"") -> bytes:
    inputs = [Input(data=Data(text=Text(raw=text))) for text in texts]
    if image:
        inputs[0].data.image.base64 = image
    return PostModelOutputsRequest(inputs=inputs).SerializeToString()


def texts(payload: bytes) -> list[str]:
    return [output.data.text.raw for output in MultiOutputResponse.FromString(payload).outputs]


@dataclass
class Yard:
    """One backend under test, and what it takes to start models on it."""

    backend: Backend
    root: Path
    lines: list[str] = field(default_factory=list)

    async def start(
        self, body: str, *, head: str = HEAD, threads: int = 2, batching: BatchingInfo = NO_BATCHING
    ) -> Replica:
        number = len(list(self.root.iterdir()))
        folder = self.root / f"m{number}"
        (folder / "1").mkdir(parents=True)
        (folder / "1" / "model.py").write_text(head + textwrap.dedent(body))
        spec = ReplicaSpec(
            replica_id=f"r{number}",
            version_id=f"v{number}",
            key=ModelKey(user_id="u", app_id="a", model_id="m"),
            folder=folder,
            python=Path(sys.executable),
            threads=threads,
            memory_bytes=None,
            batching=batching,
        )
        return await self.backend.start(spec, self.lines.append)

    async def load(self, body: str = ECHO, *, threads: int = 2, batching: BatchingInfo = NO_BATCHING) -> Replica:
        replica = await self.start(body, threads=threads, batching=batching)
        await until(replica, WorkerState.READY)
        return replica


@pytest.fixture(params=["processes"])
async def yard(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Yard]:
    runs = Path(os.path.realpath(tmp_path)) / "run"
    runs.mkdir()
    backend = {"processes": lambda: ProcessBackend(runs, SOURCE)}[request.param]()
    models = tmp_path / "models"
    models.mkdir()
    yield Yard(backend=backend, root=models)
    await backend.close()
    assert list(runs.iterdir()) == []


async def until(replica: Replica, state: WorkerState, *, timeout_s: float = 20) -> WorkerStatus:
    async with asyncio.timeout(timeout_s), aclosing(replica.watch()) as statuses:
        async for status in statuses:
            if status.state is state:
                return status
            assert status.state not in (WorkerState.EXITED, WorkerState.FAILED), status
    raise AssertionError("the watch ended")


async def wait_for(condition: Callable[[], bool], *, timeout_s: float = 60) -> None:
    async with asyncio.timeout(timeout_s):
        while not condition():  # noqa: ASYNC110 - of another process
            await asyncio.sleep(0.005)


async def collect(exchange: Exchange, got: list[str] | None = None) -> list[str]:
    got = [] if got is None else got
    async for payload in exchange:
        got += texts(payload)
    return got


async def test_states_are_reported_in_order_and_end_with_exited(yard: Yard) -> None:
    replica = await yard.start(ECHO)
    seen = []
    async with asyncio.timeout(20):
        async for status in replica.watch():
            seen.append(status)
            if status.state is WorkerState.READY:
                stopping = asyncio.create_task(replica.stop(grace_s=5))
        await stopping
    assert [one.state.value for one in seen] == ["starting", "loading", "ready", "exited"]
    assert seen[2].methods == {"predict", "generate", "stream"}
    assert seen[3].exit_code == 0
    await replica.stop(grace_s=5)


async def test_predict_answers_with_statuses_filled_in(yard: Yard) -> None:
    replica = await yard.load()
    answer = MultiOutputResponse.FromString(await replica.link.call(request("a", "b")))
    assert [output.data.text.raw for output in answer.outputs] == ["a", "b"]
    assert answer.status.code == StatusCode.SUCCESS
    assert {output.status.code for output in answer.outputs} == {StatusCode.SUCCESS}


async def test_requests_of_one_replica_run_at_once_in_its_threads(yard: Yard) -> None:
    replica = await yard.load(threads=2)
    async with asyncio.timeout(10):
        answers = await asyncio.gather(*(replica.link.call(request("meet")) for _ in range(2)))
    assert [texts(one) for one in answers] == [["meet"], ["meet"]]


async def test_many_requests_keep_their_answers_apart(yard: Yard) -> None:
    replica = await yard.load()
    answers = await asyncio.gather(*(replica.link.call(request(f"{number}")) for number in range(500)))
    assert [texts(one) for one in answers] == [[f"{number}"] for number in range(500)]


GATED = """
class Gated(ModelRunner):
    def predict(self, request):
        texts = [one.data.text.raw for one in request.inputs]
        with open("calls", "a") as calls:
            calls.write(" ".join(texts) + "\\n")
        if "hold" in texts:
            while not Path("go").exists():
                time.sleep(0.002)
        if "poison" in texts:
            raise ValueError("poison")
        return answer(*texts)

    def stream(self, requests):
        for request in requests:
            yield answer(text_of(request))
"""


async def hold_all_threads(replica: Replica, count: int = 1) -> list[asyncio.Task[bytes]]:
    """Let `predict` of `GATED` be busy until the file `go` is there."""
    held = []
    for number in range(count):
        held.append(asyncio.create_task(replica.link.call(request("hold"))))
        await wait_for(lambda wanted=number + 1: read_calls(replica).count("hold") == wanted)
    return held


async def open_gate(replica: Replica) -> None:
    """Let `hold` end once the worker has taken all that was sent: it answers `stats` in the order of the frames."""
    await replica.link.stats()
    (replica.spec.folder / "go").touch()


def read_calls(replica: Replica) -> list[str]:
    path = replica.spec.folder / "calls"
    return path.read_text().splitlines() if path.exists() else []


async def test_requests_that_wait_together_are_one_call_where_batching_is_on(yard: Yard) -> None:
    replica = await yard.load(GATED, threads=1, batching=BatchingInfo(max_size=8))
    held = await hold_all_threads(replica)
    waiting = [asyncio.create_task(replica.link.call(request(f"{number}"))) for number in range(11)]
    left = asyncio.create_task(replica.link.call(request("gone")))
    await asyncio.sleep(0)
    left.cancel()
    await asyncio.gather(left, return_exceptions=True)
    await open_gate(replica)
    assert [texts(await one) for one in waiting] == [[f"{number}"] for number in range(11)]
    assert texts(await held[0]) == ["hold"]
    assert read_calls(replica) == ["hold", "0 1 2 3 4 5 6 7", "8 9 10"]


async def test_poisoned_request_of_a_batch_fails_alone(yard: Yard) -> None:
    replica = await yard.load(GATED, threads=1, batching=BatchingInfo(max_size=8))
    held = await hold_all_threads(replica)
    waiting = [asyncio.create_task(replica.link.call(request(text))) for text in ("a", "poison", "b")]
    await asyncio.sleep(0)
    await open_gate(replica)
    with pytest.raises(PredictionFailed, match="ValueError: poison"):
        await waiting[1]
    assert [texts(await one) for one in (held[0], waiting[0], waiting[2])] == [["hold"], ["a"], ["b"]]


async def test_each_thread_has_batches_of_its_own(yard: Yard) -> None:
    replica = await yard.load(GATED, threads=2, batching=BatchingInfo(max_size=8))
    held = await hold_all_threads(replica, 2)
    waiting = [asyncio.create_task(replica.link.call(request(f"{number}"))) for number in range(12)]
    await asyncio.sleep(0)
    await open_gate(replica)
    assert [texts(await one) for one in waiting] == [[f"{number}"] for number in range(12)]
    await asyncio.gather(*held)
    assert sorted(len(call.split()) for call in read_calls(replica)) == [1, 1, 4, 8]


async def test_stream_is_answered_between_batches(yard: Yard) -> None:
    replica = await yard.load(GATED, threads=1, batching=BatchingInfo(max_size=8))
    exchange = replica.link.open("stream", request("first"))
    answers = aiter(exchange)
    assert texts(await anext(answers)) == ["first"]
    assert texts(await replica.link.call(request("beside"))) == ["beside"]
    await exchange.send(request("second"))
    assert texts(await anext(answers)) == ["second"]
    exchange.cancel()


@pytest.mark.parametrize("batching", [NO_BATCHING, BatchingInfo(max_size=8)])
async def test_predict_whose_caller_is_gone_before_it_began_is_never_run(yard: Yard, batching: BatchingInfo) -> None:
    replica = await yard.load(GATED, threads=1, batching=batching)
    held = await hold_all_threads(replica)
    gone = [asyncio.create_task(replica.link.call(request(f"gone {number}"))) for number in range(3)]
    await asyncio.sleep(0)
    for one in gone:
        one.cancel()
    await asyncio.gather(*gone, return_exceptions=True)
    await open_gate(replica)
    assert texts(await replica.link.call(request("after"))) == ["after"]
    await asyncio.gather(*held)
    assert read_calls(replica) == ["hold", "after"]


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("raise", PredictionFailed, r"ValueError: no such label \(1/model.py line \d+, in predict\)"),
        ("memory", PredictionFailed, "MemoryError: too much"),
        ("exit", PredictionFailed, "SystemExit: 5"),
        ("none", InvalidModelOutput, "predict gave nothing"),
        ("dict", InvalidModelOutput, "predict gave a value of type dict"),
    ],
)
async def test_failing_predict_fails_that_request_only(
    yard: Yard, text: str, error: type[ModelyardError], message: str
) -> None:
    replica = await yard.load()
    with pytest.raises(error, match=message):
        await replica.link.call(request(text))
    assert texts(await replica.link.call(request("still there"))) == ["still there"]


async def test_traceback_of_a_failing_predict_has_the_authors_frames_alone(yard: Yard) -> None:
    replica = await yard.load()
    with pytest.raises(PredictionFailed) as caught:
        await replica.link.call(request("raise"))
    assert 'File "1/model.py", line' in caught.value.details
    assert 'raise ValueError("no such label")' in caught.value.details
    assert "invoke.py" not in caught.value.details


async def test_method_that_the_class_lacks_says_so(yard: Yard) -> None:
    replica = await yard.load("class Only(ModelRunner):\n    def generate(self, request):\n        yield answer('x')\n")
    with pytest.raises(NotImplementedByModel, match="not implemented by this model"):
        await replica.link.call(request("a"))
    assert await collect(replica.link.open("generate", request("a"))) == ["x"]
    with pytest.raises(NotImplementedByModel, match="not implemented by this model"):
        await collect(replica.link.open("stream", None))


@pytest.fixture(params=["shared memory", "the socket", "no room to map it"])
def is_shared(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Do large messages go through memory that is shared?"""

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOMEM, "no room")

    if request.param == "the socket":
        monkeypatch.delattr(os, "memfd_create")
    elif request.param == "no room to map it":
        monkeypatch.setattr(shared.mmap, "mmap", refuse)
    return bool(request.param == "shared memory")


@pytest.mark.usefixtures("is_shared")
async def test_payload_of_32_mib_arrives(yard: Yard) -> None:
    replica = await yard.load()
    payload = request("size", image=os.urandom(1 << 20) * 32)
    assert texts(await replica.link.call(payload)) == [str(32 << 20)]


@pytest.mark.usefixtures("is_shared")
async def test_answer_of_32_mib_arrives(yard: Yard) -> None:
    replica = await yard.load(
        "class Big(ModelRunner):\n    def predict(self, request):\n        return answer('x' * (32 << 20))\n"
    )
    assert len(texts(await replica.link.call(request("a")))[0]) == 32 << 20


async def test_large_messages_keep_their_answers_apart(yard: Yard, is_shared: bool) -> None:
    """Far more than the memory that is shared holds at once."""
    replica = await yard.load(
        """
        class Mirror(ModelRunner):
            def predict(self, request):
                image = request.inputs[0].data.image.base64
                found = answer(f"{len(set(image))} {image[0]}")
                found.outputs[0].data.image.base64 = image
                return found
        """
    )

    async def ask(number: int) -> None:
        image = bytes([number]) * (3 << 20)
        found = MultiOutputResponse.FromString(await replica.link.call(request("a", image=image)))
        assert found.outputs[0].data.text.raw == f"1 {number}"
        assert found.outputs[0].data.image.base64 == image

    await asyncio.gather(*map(ask, range(80)))
    status = Path(f"/proc/{replica.pid}/status").read_text()
    assert ("RssShmem:\t       0 kB" not in status) == is_shared


async def test_generate_gives_items_in_order(yard: Yard) -> None:
    replica = await yard.load()
    assert await collect(replica.link.open("generate", request("300"))) == [str(number) for number in range(300)]


async def test_generate_that_raises_gives_what_came_before(yard: Yard) -> None:
    replica = await yard.load()
    got: list[str] = []
    with pytest.raises(PredictionFailed, match="three are enough"):
        await collect(replica.link.open("generate", request("7")), got)
    assert got == ["0", "1", "2"]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("def generate(self, request):\n        return [answer('a'), answer('b')]", ["a", "b"]),
        ("def generate(self, request):\n        return answer('single')", ["single"]),
        ("async def generate(self, request):\n        yield answer('a')\n        yield answer('b')", ["a", "b"]),
    ],
)  # fmt: skip
async def test_generate_may_be_written_in_other_ways(yard: Yard, body: str, expected: list[str]) -> None:
    replica = await yard.load(f"class Model(ModelRunner):\n    {body}\n")
    assert await collect(replica.link.open("generate", request("x"))) == expected


async def test_predict_and_load_model_may_be_coroutines(yard: Yard) -> None:
    replica = await yard.load("""
        class Model(ModelRunner):
            async def load_model(self):
                await asyncio.sleep(0)
                self.text = "loaded"

            async def predict(self, request):
                await asyncio.sleep(0)
                return answer(self.text)
        """)
    assert texts(await replica.link.call(request("x"))) == ["loaded"]


async def test_stream_answers_each_message_as_it_comes(yard: Yard) -> None:
    replica = await yard.load()
    exchange = replica.link.open("stream", None)
    answers = aiter(exchange)
    for word in ("one", "two"):
        await exchange.send(request(word))
        assert texts(await anext(answers)) == [word.upper()]
    exchange.end()
    with pytest.raises(StopAsyncIteration):
        await anext(answers)
    assert (replica.spec.folder / "closed").exists()


async def test_long_stream_flows_in_both_directions(yard: Yard) -> None:
    replica = await yard.load()
    exchange = replica.link.open("stream", None)

    async def send_all() -> None:
        for number in range(500):
            await exchange.send(request(f"m{number}"))
        exchange.end()

    sending = asyncio.create_task(send_all())
    assert await collect(exchange) == [f"M{number}" for number in range(500)]
    await sending


async def test_author_who_reads_slowly_holds_the_sender(yard: Yard) -> None:
    replica = await yard.load()
    exchange = replica.link.open("stream", None)
    sent: list[int] = []

    async def send_many() -> None:
        await exchange.send(request("hold"))
        for number in range(10_000):
            await exchange.send(request("x"))
            sent.append(number)

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(send_many(), 0.3)
    assert len(sent) < 70
    exchange.cancel()


async def test_caller_who_reads_slowly_holds_the_generator(yard: Yard) -> None:
    replica = await yard.load()
    exchange = replica.link.open("generate", request("900"))
    answers = aiter(exchange)
    await anext(answers)
    progress = replica.spec.folder / "progress"
    await wait_for(lambda: progress.read_text() == "64")
    assert texts(await anext(answers)) == ["1"]
    assert len(await collect(exchange)) == 898


@pytest.mark.parametrize("method", ["generate", "stream"])
async def test_cancel_closes_the_authors_generator(yard: Yard, method: str) -> None:
    replica = await yard.load(threads=1)
    exchange = replica.link.open(method, request("900") if method == "generate" else None)
    if method == "stream":
        await exchange.send(request("x"))
    await anext(aiter(exchange))
    exchange.cancel()
    await wait_for(lambda: (replica.spec.folder / "closed").exists())
    assert texts(await replica.link.call(request("free again"))) == ["free again"]


async def test_cancelled_call_frees_its_place_in_the_worker(yard: Yard) -> None:
    replica = await yard.load(threads=1)
    slow = asyncio.create_task(replica.link.call(request("slow")))
    waiting = asyncio.create_task(replica.link.call(request("crash")))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert texts(await slow) == ["slow"]
    assert texts(await replica.link.call(request("alive"))) == ["alive"]


async def test_request_whose_time_is_up_is_not_begun(yard: Yard) -> None:
    replica = await yard.load(threads=1)
    slow = asyncio.create_task(replica.link.call(request("slow")))
    late = asyncio.create_task(replica.link.call(request("crash"), time_left_s=0.05))
    with pytest.raises(DeadlineExceeded, match="before the model could begin"):
        await late
    assert texts(await slow) == ["slow"]
    assert texts(await replica.link.call(request("alive"), time_left_s=60)) == ["alive"]


async def test_express_request_is_begun_before_what_waits_of_others(yard: Yard) -> None:
    replica = await yard.load(threads=1)
    order: list[str] = []

    async def call(text: str, *, is_express: bool = False) -> None:
        order.extend(texts(await replica.link.call(request(text), is_express=is_express)))

    async with asyncio.timeout(20):
        slow, *flood = (asyncio.create_task(call(text)) for text in ("slow", "a", "b"))
        await wait_for(lambda: (replica.spec.folder / "begun").exists())
        await asyncio.gather(slow, *flood, call("other", is_express=True))
    assert order == ["slow", "other", "a", "b"]


async def test_crash_in_predict_fails_what_is_in_flight_and_exits(yard: Yard) -> None:
    replica, other = await yard.load(), await yard.load()
    with pytest.raises(WorkerCrashed):
        await replica.link.call(request("crash"))
    assert (await until(replica, WorkerState.EXITED)).exit_code == 3
    assert not replica.link.is_open
    with pytest.raises(WorkerCrashed):
        await replica.link.call(request("x"))
    assert texts(await other.link.call(request("unharmed"))) == ["unharmed"]


async def test_crash_in_a_stream_gives_what_came_before(yard: Yard) -> None:
    replica = await yard.load()
    exchange = replica.link.open("stream", None)
    for word in ("one", "two", "crash"):
        await exchange.send(request(word))
    got: list[str] = []
    with pytest.raises(WorkerCrashed):
        await collect(exchange, got)
    assert got == ["ONE", "TWO"]
    await exchange.send(request("nobody hears"))


async def test_kill_is_named_in_the_exit(yard: Yard) -> None:
    replica = await yard.load("""
        class Model(ModelRunner):
            def predict(self, request):
                print("last words")
                os.kill(os.getpid(), 9)
        """)
    with pytest.raises(WorkerCrashed):
        await replica.link.call(request("x"))
    status = await until(replica, WorkerState.EXITED)
    assert status.exit_code == -signal.SIGKILL
    assert "SIGKILL" in status.message
    assert "last words" in status.details


@pytest.mark.parametrize(
    ("body", "needles"),
    [
        ("import no_such_module\n", ["1/model.py line", "ModuleNotFoundError", "no_such_module", "requirements.txt"]),
        ("def broken(:\n", ["1/model.py line", "SyntaxError"]),
        ("class A(ModelRunner):\n    def load_model(self):\n        raise RuntimeError('no weights')\n",
         ["1/model.py line", "RuntimeError: no weights"]),
        ("class A(ModelRunner):\n    def __init__(self, needed):\n        pass\n", ["TypeError", "default"]),
        ("sys.exit(4)\n", ["1/model.py line", "SystemExit: 4"]),
        ("x = 1\n", ["no subclass of ModelRunner"]),
        ("class A(ModelRunner):\n    pass\nclass B(ModelRunner):\n    pass\n", ["2 subclasses"]),
    ],
)  # fmt: skip
async def test_model_that_cannot_load_fails_with_file_and_line(yard: Yard, body: str, needles: list[str]) -> None:
    replica = await yard.start(body)
    async with asyncio.timeout(20):
        seen = {status.state: status async for status in replica.watch()}
    failed = seen[WorkerState.FAILED]
    for needle in needles:
        assert needle in failed.message
    assert "load.py" not in failed.details
    assert seen[WorkerState.EXITED].exit_code == 1


async def test_process_that_dies_while_loading_exits_with_its_code(yard: Yard) -> None:
    replica = await yard.start("print('so far so good', flush=True)\nos._exit(7)\n")
    async with asyncio.timeout(20):
        seen = [status async for status in replica.watch()]
    assert seen[-1].state is WorkerState.EXITED
    assert seen[-1].exit_code == 7
    assert "exit code 7" in seen[-1].message
    assert "so far so good" in seen[-1].details


async def test_output_of_the_author_becomes_log_lines(yard: Yard) -> None:
    replica = await yard.load()
    await replica.link.call(request("print"))
    await wait_for(lambda: len(yard.lines) >= 3)
    assert yard.lines == ["loading the echo", "said by the author", "and é to stderr"]


async def test_stop_lets_requests_finish(yard: Yard) -> None:
    replica = await yard.load()
    slow = asyncio.create_task(replica.link.call(request("slow")))
    await asyncio.sleep(0.05)
    await replica.stop(grace_s=5)
    assert texts(await slow) == ["slow"]
    assert (await until(replica, WorkerState.EXITED)).exit_code == 0


async def test_stop_ends_what_does_not_finish_in_time(yard: Yard) -> None:
    replica = await yard.load("""
        class Endless(ModelRunner):
            def predict(self, request):
                while True:
                    time.sleep(1)
        """)
    endless = asyncio.create_task(replica.link.call(request("x")))
    await asyncio.sleep(0.05)
    await replica.stop(grace_s=0.2)
    with pytest.raises(WorkerCrashed, match="not wanted any more"):
        await endless


async def test_a_worker_that_somebody_else_ends_says_so_and_answers_what_is_under_way(yard: Yard) -> None:
    replica = await yard.load()
    assert replica.pid
    os.kill(replica.pid, signal.SIGTERM)
    await until(replica, WorkerState.LEAVING)
    assert texts(await replica.link.call(request("late"))) == ["late"]
    assert (await until(replica, WorkerState.EXITED)).exit_code == 0


async def test_stop_while_loading_does_not_wait_for_the_model(yard: Yard) -> None:
    replica = await yard.start("time.sleep(600)\n")
    await until(replica, WorkerState.LOADING)
    await asyncio.wait_for(replica.stop(grace_s=600), 60)


async def test_processes_that_the_author_started_end_with_the_replica(yard: Yard) -> None:
    replica = await yard.load("""
        import subprocess

        class Parent(ModelRunner):
            def predict(self, request):
                child = subprocess.Popen(["sleep", "60"])
                return answer(str(child.pid))
        """)
    child = int(texts(await replica.link.call(request("x")))[0])
    await replica.stop(grace_s=1)
    await wait_for(lambda: not _is_running(child))


async def test_interpreter_that_is_not_there_is_told(yard: Yard) -> None:
    spec = (await yard.start(ECHO)).spec
    broken = ReplicaSpec(
        replica_id="broken",
        version_id="v",
        key=spec.key,
        folder=spec.folder,
        python=spec.folder / "no-python",
        threads=1,
        memory_bytes=None,
    )
    with pytest.raises(InternalError, match="no-python"):
        await yard.backend.start(broken, yard.lines.append)


def _is_running(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False
