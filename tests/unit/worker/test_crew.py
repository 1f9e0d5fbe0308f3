"""The crew with its reader, over a real socket; what runs is a function of the test's."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from queue import SimpleQueue

import pytest

from modelyard.wire.frames import FIRST, LAST, Frame, FrameDecoder, Kind, encode_frame
from modelyard.worker.crew import Crew
from modelyard.worker.link import Link
from modelyard.worker.shifts import TRUST, Shifts
from modelyard.worker.task import Task


class Gateway:
    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        self.connection = theirs
        self.connection.settimeout(10)
        self.decoder = FrameDecoder()
        self.frames: list[Frame] = []
        self.link = Link(ours)
        self.shifts = Shifts(self._receive)
        self.crew: Crew
        self.threads: set[str] = set()
        self.release = threading.Event()
        self.cancelled = threading.Event()

    def start(self, threads: int) -> None:
        self.crew = Crew(self.run, self.link, self.shifts)
        self.crew.start(threads)
        threading.Thread(target=self.shifts.run, name="reader", daemon=True).start()

    def _receive(self) -> int:
        frames = self.link.receive()
        if frames is None:
            threading.Event().wait()
            return 0
        return sum(self.crew.take(frame) for frame in frames)

    def run(self, task: Task) -> None:
        """`wait` waits until the test releases it; everything else is answered at once."""
        payload = task.take_first()
        self.threads.add(threading.current_thread().name)
        if payload == b"wait":
            while not self.release.wait(0.001):
                if task.is_cancelled:
                    self.cancelled.set()
                    return
        self.link.send(Kind.ITEM, task.request_id, payload, LAST)

    def send(self, *requests: tuple[int, bytes]) -> None:
        frames = [encode_frame(Kind.REQUEST, number, payload, FIRST | LAST) for number, payload in requests]
        self.connection.sendall(b"".join(frames))

    def read(self, count: int) -> list[Frame]:
        while len(self.frames) < count:
            data = self.connection.recv(1 << 16)
            assert data
            self.frames += self.decoder.feed(data)
        taken, self.frames = self.frames[:count], self.frames[count:]
        return taken

    def become_quick(self) -> None:
        number = 1000
        while not self.shifts.is_quick:
            number += 1
            self.send((number, b"x"))
            self.read(1)
        for _ in range(2):  # the first may still be read by the reader thread
            self.send((number, b"x"))
            self.read(1)
        self.threads.clear()


@pytest.fixture
def make_gateway() -> Iterator[Callable[[int], Gateway]]:
    made: list[Gateway] = []

    def make(threads: int) -> Gateway:
        gateway = Gateway()
        gateway.start(threads)
        made.append(gateway)
        return gateway

    yield make
    for gateway in made:
        gateway.release.set()
        gateway.connection.close()


MakeGateway = Callable[[int], Gateway]


def test_a_burst_of_quick_requests_is_answered_in_order_by_one_thread(make_gateway: MakeGateway) -> None:
    gateway = make_gateway(4)
    gateway.become_quick()
    gateway.send(*((number, b"%d" % number) for number in range(TRUST)))
    assert [frame.payload for frame in gateway.read(TRUST)] == [b"%d" % number for number in range(TRUST)]
    assert len(gateway.threads) == 1


@pytest.mark.parametrize("is_quick", [True, False])
def test_a_request_that_lasts_holds_up_no_other_while_threads_are_free(
    make_gateway: MakeGateway, is_quick: bool
) -> None:
    gateway = make_gateway(2)
    if is_quick:
        gateway.become_quick()
    gateway.send((1, b"before"), (2, b"wait"), (3, b"behind"))
    gateway.send((4, b"later"))
    assert {frame.payload for frame in gateway.read(3)} == {b"before", b"behind", b"later"}
    gateway.release.set()
    assert gateway.read(1)[0].payload == b"wait"


def test_an_answer_does_not_wait_for_a_request_that_lasts(make_gateway: MakeGateway) -> None:
    gateway = make_gateway(1)
    gateway.become_quick()
    gateway.send((1, b"done"), (2, b"wait"))
    assert gateway.read(1)[0].payload == b"done"
    gateway.release.set()
    assert gateway.read(1)[0].payload == b"wait"


@pytest.mark.parametrize("is_quick", [True, False])
def test_cancellation_reaches_a_request_that_runs_on_the_only_thread(make_gateway: MakeGateway, is_quick: bool) -> None:
    gateway = make_gateway(1)
    if is_quick:
        gateway.become_quick()
    gateway.send((1, b"wait"))
    gateway.connection.sendall(encode_frame(Kind.CANCEL, 1))
    assert gateway.cancelled.wait(10)


def test_many_requests_of_both_kinds_are_all_answered(make_gateway: MakeGateway) -> None:
    gateway = make_gateway(3)
    count = 2000

    def send() -> None:
        for number in range(count):
            gateway.send((number, b"%d" % number))

    sender = threading.Thread(target=send)
    sender.start()
    frames = gateway.read(count)
    sender.join()
    assert sorted(int(frame.payload) for frame in frames) == list(range(count))
    assert all(int(frame.payload) == frame.request_id for frame in frames)


def test_a_request_takes_until_its_answer_is_made_however_long_that_takes_to_leave() -> None:
    gateway = Gateway()
    noted: SimpleQueue[float] = SimpleQueue()

    class Noting(Shifts):
        def finish(self, *, is_short: bool, seconds: float) -> None:
            super().finish(is_short=is_short, seconds=seconds)
            noted.put(seconds)

    def run(task: Task) -> None:
        if task.take_first() == b"answered":
            task.answered_at = time.monotonic()
        time.sleep(0.3)

    gateway.shifts = Noting(gateway._receive)
    gateway.run = run  # type: ignore[method-assign]
    gateway.start(1)
    gateway.send((1, b"answered"), (2, b"failed"))
    assert noted.get(timeout=10) < 0.3 <= noted.get(timeout=10)
    gateway.connection.close()
