"""Who reads: the reader thread and one author thread, both real, over a socket that is a queue."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue

import pytest

from modelyard.worker.shifts import QUICK_S, TRUST, Shifts


class Desk:
    """Plays the socket and the crew. A request is answered at once, unless it is kept in hand."""

    def __init__(self) -> None:
        self.socket: SimpleQueue[Callable[[], int]] = SimpleQueue()
        self.readers: SimpleQueue[str] = SimpleQueue()
        self.is_slow = threading.Event()
        self.is_author_free = threading.Event()
        self.is_author_free.set()
        self.shifts = Shifts(self.receive)
        self.shifts.connect(self.is_slow.set)
        self.woken = 0
        for name, work in (("reader", self.shifts.run), ("author", self.work)):
            threading.Thread(target=work, name=name, daemon=True).start()

    def receive(self) -> int:
        frames = self.socket.get()
        requests = frames()
        self.readers.put(threading.current_thread().name)
        return requests

    def work(self) -> None:
        while self.is_author_free.wait():
            if not self.shifts.take_over():
                threading.Event().wait(0.001)

    def send(self, frames: Callable[[], int]) -> str:
        """Who read them."""
        self.socket.put(frames)
        return self.readers.get(timeout=10)

    def take_quick_request(self) -> int:
        self.woken += self.shifts.begin(is_short=True)
        self.shifts.finish(is_short=True, seconds=0.0)
        return 1

    def take_slow_request(self) -> int:
        self.shifts.begin(is_short=True)
        self.shifts.finish(is_short=True, seconds=QUICK_S)
        return 1

    def take_request_that_lasts(self) -> int:
        self.is_author_free.clear()
        self.shifts.begin(is_short=True)
        return 1

    def take_generate(self) -> int:
        self.shifts.begin(is_short=False)
        return 1

    def take_cancellation(self) -> int:
        return 0

    def become_quick(self) -> None:
        while self.send(self.take_quick_request) != "author":
            pass


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_the_reader_thread_reads_and_wakes_a_thread_for_each_request(desk: Desk) -> None:
    for _ in range(TRUST - 1):
        assert desk.send(desk.take_quick_request) == "reader"
    assert desk.woken == TRUST - 1


def test_quick_requests_are_read_by_the_author_thread_and_nobody_is_woken(desk: Desk) -> None:
    desk.become_quick()
    woken = desk.woken
    assert [desk.send(desk.take_quick_request) for _ in range(5)] == ["author"] * 5
    assert desk.woken == woken


def test_what_is_no_request_does_not_end_a_shift(desk: Desk) -> None:
    desk.become_quick()
    assert [desk.send(desk.take_cancellation) for _ in range(3)] == ["author"] * 3
    assert desk.send(desk.take_quick_request) == "author"


def test_the_reader_thread_reads_on_when_a_request_lasts(desk: Desk) -> None:
    desk.become_quick()
    desk.send(desk.take_request_that_lasts)
    assert desk.is_slow.wait(10)
    assert desk.send(desk.take_cancellation) == "reader"


def test_it_does_so_after_a_long_silence_too(desk: Desk) -> None:
    desk.become_quick()
    while not desk.shifts._is_parked:
        threading.Event().wait(0.001)
    desk.send(desk.take_request_that_lasts)
    assert desk.is_slow.wait(10)


def test_a_generate_gets_the_reader_thread_at_once(desk: Desk) -> None:
    desk.become_quick()
    desk.send(desk.take_generate)
    assert desk.is_slow.is_set()
    assert not desk.shifts.is_quick
    for _ in range(2 * TRUST):
        desk.send(desk.take_quick_request)
    assert not desk.shifts.is_quick  # it is still in hand
    desk.shifts.finish(is_short=False, seconds=1.0)
    desk.become_quick()


def test_one_slow_request_is_forgiven_and_many_are_not(desk: Desk) -> None:
    desk.become_quick()
    desk.send(desk.take_slow_request)
    assert desk.shifts.is_quick
    for _ in range(TRUST):
        desk.send(desk.take_slow_request)
    assert desk.is_slow.wait(10)
    assert not desk.shifts.is_quick


def test_where_no_author_takes_over_the_reader_reads_again_though_nothing_is_in_hand(desk: Desk) -> None:
    desk.become_quick()
    desk.is_author_free.clear()
    assert desk.send(desk.take_quick_request) == "author"
    assert desk.send(desk.take_cancellation) == "reader", "nobody else would, for ever"
