from __future__ import annotations

import threading

import pytest

from modelyard.errors import Cancelled, DeadlineExceeded
from modelyard.wire.frames import EMPTY, FIRST, LAST, STREAM, WINDOW
from modelyard.worker.task import Task


class Grants:
    def __init__(self) -> None:
        self.given: list[tuple[int, int]] = []

    def __call__(self, request_id: int, credit: int) -> None:
        self.given.append((request_id, credit))


@pytest.fixture
def grants() -> Grants:
    return Grants()


@pytest.fixture
def stream(grants: Grants) -> Task:
    return Task(4, FIRST | STREAM | EMPTY, b"", grants)


def test_messages_come_in_order_and_end(stream: Task) -> None:
    stream.add_message(0, b"a")
    stream.add_message(0, b"")
    stream.add_message(LAST | EMPTY, b"")
    assert [stream.wait_message() for _ in range(4)] == [b"a", b"", None, None]


def test_reader_is_granted_as_much_as_it_took(stream: Task, grants: Grants) -> None:
    for _ in range(WINDOW):
        stream.add_message(0, b"x")
    for _ in range(WINDOW):
        stream.wait_message()
    assert grants.given == [(4, WINDOW // 2), (4, WINDOW // 2)]


def test_large_messages_are_granted_sooner(stream: Task, grants: Grants) -> None:
    stream.add_message(0, bytes(8 << 20))
    stream.wait_message()
    assert grants.given == [(4, 65)]


def test_sender_waits_for_credit(stream: Task) -> None:
    for _ in range(WINDOW):
        stream.wait_credit(100)
    passed = threading.Event()

    def send_one_more() -> None:
        stream.wait_credit(100)
        passed.set()

    thread = threading.Thread(target=send_one_more)
    thread.start()
    assert not passed.wait(0.05)
    stream.add_credit(1)
    assert passed.wait(5)
    thread.join()


def test_message_above_the_window_passes_while_any_credit_is_left(stream: Task) -> None:
    stream.wait_credit(100 << 20)
    stream.add_credit(1000)
    stream.wait_credit(1)


@pytest.mark.parametrize("wait", ["message", "credit"])
def test_cancel_ends_every_wait(stream: Task, wait: str) -> None:
    caught = threading.Event()

    def work() -> None:
        try:
            while True:
                stream.wait_message() if wait == "message" else stream.wait_credit(100)
        except Cancelled:
            caught.set()

    thread = threading.Thread(target=work)
    thread.start()
    stream.cancel()
    assert caught.wait(5)
    thread.join()


def test_a_request_whose_time_is_up_is_not_begun(grants: Grants) -> None:
    Task(1, FIRST | LAST, b"", grants).check_deadline()
    Task(1, FIRST | LAST, b"", grants, time_left_s=60).check_deadline()
    with pytest.raises(DeadlineExceeded):
        Task(1, FIRST | LAST, b"", grants, time_left_s=0).check_deadline()
