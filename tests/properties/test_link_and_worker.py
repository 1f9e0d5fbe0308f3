"""The gateway's link under any interleaving: with a real worker at the other end, and with a hostile one."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelyard.errors import ModelyardError
from modelyard.parts.launch import stage_runtime
from modelyard.server.backends.base import ReplicaSpec, WorkerState
from modelyard.server.backends.link import WorkerLink
from modelyard.server.backends.processes import ProcessBackend
from modelyard.server.records import ModelKey
from modelyard.wire.frames import HEADER, LARGE_BYTES, LAST, SHARED, Kind, encode_credit, encode_frame
from modelyard.wire.handshake import Hello, State
from modelyard.wire.messages import MultiOutputResponse, PostModelOutputsRequest
from modelyard.wire.shared import SharedMemory, make_file
from support.doors import eventually
from support.folders import write_folder

TIMEOUT_S = 30
WORDS = st.integers(0, 150)
"""More than the credit of a stream."""
PADDING = st.sampled_from([0, 10, 70_000, 300_000])
LARGE = bytes(LARGE_BYTES + 1)


class House:
    """One real worker and the loop that its link lives in, for all examples."""

    def __init__(self, folder: Path) -> None:
        self.runner = asyncio.Runner()
        self.unhandled: list[dict[str, Any]] = []
        self.runner.get_loop().set_exception_handler(lambda _, context: self.unhandled.append(context))
        self.link = self.runner.run(self._start(folder))

    async def _start(self, folder: Path) -> Any:
        self.backend = ProcessBackend(Path(tempfile.mkdtemp(prefix="modelyard-")), stage_runtime(folder / "runtime"))
        spec = ReplicaSpec(
            replica_id="r1",
            version_id="v1",
            key=ModelKey(user_id="local", app_id="main", model_id="echo"),
            folder=write_folder(folder / "echo"),
            python=Path(sys.executable),
            threads=4,
            memory_bytes=None,
        )
        replica = await self.backend.start(spec, print)
        async for status in replica.watch():
            if status.state is WorkerState.READY:
                return replica.link
        raise AssertionError("the worker did not start")

    def close(self) -> None:
        self.runner.run(self.backend.close())
        self.runner.close()


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    one = House(tmp_path_factory.mktemp("house"))
    yield one
    one.close()


def request_of(text: str, padding: int = 0) -> bytes:
    request = PostModelOutputsRequest(model_id="echo")
    data = request.inputs.add().data
    data.text.raw = text
    data.image.base64 = bytes(padding)
    return request.SerializeToString()


def text_of(payload: bytes) -> str:
    return MultiOutputResponse.FromString(payload).outputs[0].data.text.raw


async def call(link: Any, number: int, padding: int) -> None:
    text = f"call {number}"
    assert text_of(await link.call(request_of(text, padding))) == text


async def generate(link: Any, words: int, stop_after: int) -> None:
    """Read all answers, or go away in the middle."""
    exchange = link.open("generate", request_of(" ".join("w" * words)))
    seen = 0
    async for payload in exchange:
        assert text_of(payload) == f"{seen}:w"
        seen += 1
        if seen == stop_after:
            exchange.cancel()
            return
    assert seen == words


async def stream(link: Any, messages: int, padding: int, stop_after: int) -> None:
    """Send as fast as the worker takes, read at the same time; or go away in the middle."""
    exchange = link.open("stream", None)

    async def send() -> None:
        for number in range(messages):
            await exchange.send(request_of(f"m{number}", padding))
        exchange.end()

    sender = asyncio.create_task(send())
    seen = 0
    async for payload in exchange:
        assert text_of(payload) == f"M{seen}"
        seen += 1
        if seen == stop_after:
            exchange.cancel()
            break
    await sender
    assert seen in (messages, stop_after)


async def abandon(link: Any, padding: int, turns: int) -> None:
    """A caller that leaves after a few turns of the loop."""
    task = asyncio.create_task(link.call(request_of("sleep 0.01", padding)))
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


NEVER = 10_000
STOPS = st.one_of(st.just(NEVER), st.integers(1, 100))
STEPS = st.one_of(
    st.tuples(st.just(call), st.integers(0, 99), PADDING),
    st.tuples(st.just(generate), WORDS, STOPS),
    st.tuples(st.just(stream), st.integers(0, 40), st.sampled_from([0, 100, 100_000]), STOPS),
    st.tuples(st.just(abandon), PADDING, st.integers(0, 5)),
)


@settings(max_examples=max(15, settings.default.max_examples // 4))
@given(steps=st.lists(STEPS, min_size=1, max_size=12))
def test_whatever_is_in_flight_together_each_gets_its_own_answers_in_order(house: House, steps: list[Any]) -> None:
    async def run_all() -> None:
        async with asyncio.timeout(TIMEOUT_S):
            await asyncio.gather(*(step(house.link, *arguments) for step, *arguments in steps))
            await call(house.link, 0, 0)

    house.runner.run(run_all())
    assert house.link.is_open
    assert house.unhandled == []


class Owner:
    def __init__(self) -> None:
        self.lost = 0

    def on_hello(self, link: WorkerLink, hello: Hello) -> bool:
        return hello.token == "right"

    def on_state(self, state: State) -> None:
        pass

    def on_lost(self, link: WorkerLink) -> None:
        self.lost += 1


IDS = st.sampled_from([0, 1, 2, 3, 4, 5, 2**64 - 1])
SIZES = st.integers(0, 2**32 - 1)
BAD_FRAMES = st.one_of(
    st.builds(encode_frame, st.sampled_from(list(Kind)), IDS, st.binary(max_size=40), st.integers(0, 255)),
    st.builds(encode_frame, st.just(Kind.ITEM), IDS, st.binary(max_size=40), st.sampled_from([0, 2])),
    st.builds(encode_credit, IDS, st.integers(0, 2**32 - 1)),
    st.builds(
        lambda kind, number, place, flags: encode_frame(kind, number, struct.pack("!II", *place), flags),
        st.sampled_from([Kind.ITEM, Kind.TAKEN]),
        IDS,
        st.tuples(st.sampled_from([0, 64, 1 << 19, 2**32 - 1]), st.sampled_from([0, 1, 1 << 19, 2**32 - 1])),
        st.sampled_from([0, SHARED, SHARED | LAST]),
    ),
    st.builds(
        lambda size, kind, number: HEADER.pack(size, kind, 0, 0, number),
        st.integers(0, 2**32 - 1),
        st.integers(0, 255),
        IDS,
    ),
    st.binary(max_size=40),
)


@given(
    hello=st.sampled_from(["right", "wrong", ""]),
    frames=st.lists(BAD_FRAMES, max_size=25),
    cut=st.integers(1, 64),
    shares=st.booleans(),
)
def test_hostile_worker_breaks_its_own_link_and_nothing_else(
    hello: str, frames: list[bytes], cut: int, shares: bool
) -> None:
    unhandled: list[dict[str, Any]] = []

    async def meet() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: unhandled.append(context))
        ours, theirs = socket.socketpair()
        theirs.setblocking(False)
        owner = Owner()
        _, link = await loop.create_unix_connection(lambda: WorkerLink(owner), sock=ours)
        first = encode_frame(Kind.HELLO, payload=Hello(token=hello, replica_id="r").encode()) if hello else b""
        requests: list[asyncio.Task[Any]] = []
        if hello == "right":
            await loop.sock_sendall(theirs, first)
            await eventually(lambda: link.is_open)
            if shares:
                link.share(make_memory())
            requests = [asyncio.create_task(one) for one in (link.call(LARGE), read_all(link.open("generate", b"x")))]
            requests.append(asyncio.create_task(talk(link.open("stream", None))))
            await asyncio.sleep(0)
            first = b""
        data = first + b"".join(frames)
        try:
            for start in range(0, len(data), cut):
                await loop.sock_sendall(theirs, data[start : start + cut])
                await asyncio.sleep(0)
        except OSError:
            pass  # it hung up
        theirs.close()
        await link.closed.wait()
        for outcome in await asyncio.gather(*requests, return_exceptions=True):
            assert not isinstance(outcome, BaseException) or isinstance(outcome, ModelyardError), outcome
        assert owner.lost == 1

    async def bounded() -> None:
        await asyncio.wait_for(meet(), TIMEOUT_S)

    asyncio.run(bounded())
    assert unhandled == []


def make_memory() -> SharedMemory:
    file = make_file(1 << 20)
    try:
        return SharedMemory(file, is_gateway=True)
    finally:
        os.close(file)


async def read_all(exchange: Any) -> None:
    async for _ in exchange:
        pass


async def talk(exchange: Any) -> None:
    for _ in range(3):
        await exchange.send(b"x")
    exchange.end()
    await read_all(exchange)
