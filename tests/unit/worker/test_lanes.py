from __future__ import annotations

import threading
from collections import deque
from queue import SimpleQueue

from hypothesis import given
from hypothesis import strategies as st

from modelyard.wire.frames import FIRST, LAST
from modelyard.worker.lanes import Lanes
from modelyard.worker.task import Task


def make_task(number: int) -> Task:
    return Task(number, FIRST | LAST, b"", lambda request_id, credit: None)


def test_a_caller_with_nothing_else_here_goes_ahead_of_a_flood() -> None:
    lanes = Lanes()
    for number in range(3):
        lanes.put(make_task(number), is_express=False)
    lanes.put(make_task(9), is_express=True)
    assert [lanes.take().request_id for _ in range(4)] == [9, 0, 1, 2]


def test_neither_lane_waits_for_ever() -> None:
    lanes = Lanes()
    for number in range(3):
        lanes.put(make_task(number), is_express=False)
        lanes.put(make_task(10 + number), is_express=True)
    assert [lanes.take().request_id for _ in range(6)] == [10, 0, 11, 1, 12, 2]


@given(st.lists(st.one_of(st.booleans(), st.none())))
def test_each_lane_keeps_its_order_and_none_is_lost(steps: list[bool | None]) -> None:
    """True and False put into a lane, None takes."""
    lanes = Lanes()
    waiting = {True: deque[int](), False: deque[int]()}
    lane_of: dict[int, bool] = {}

    def take() -> None:
        number = lanes.take().request_id
        assert waiting[lane_of[number]].popleft() == number

    for number, step in enumerate(steps):
        if step is None:
            if any(waiting.values()):
                take()
            continue
        lane_of[number] = step
        waiting[step].append(number)
        lanes.put(make_task(number), is_express=step)
    while any(waiting.values()):
        take()


def test_many_threads_take_each_task_once() -> None:
    lanes, count, taken = Lanes(), 2000, deque[int]()

    def work() -> None:
        for _ in range(count // 4):
            taken.append(lanes.take().request_id)

    threads = [threading.Thread(target=work, daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    for number in range(count):
        lanes.put(make_task(number), is_express=number % 3 == 0)
    for thread in threads:
        thread.join(30)
    assert sorted(taken) == list(range(count))


def test_a_thread_is_woken_for_a_task_that_was_put_quietly() -> None:
    lanes, taken = Lanes(), SimpleQueue[int]()
    threading.Thread(target=lambda: taken.put(lanes.take().request_id), daemon=True).start()
    lanes.put_quietly(make_task(1), is_express=False)
    lanes.rouse(len(lanes))
    assert taken.get(timeout=10) == 1
    assert lanes.take_now() is None
