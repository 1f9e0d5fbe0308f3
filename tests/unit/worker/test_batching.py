from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from modelyard.wire.frames import FIRST, GENERATE, LAST
from modelyard.wire.messages import Data, Input, PostModelOutputsRequest, Text
from modelyard.worker.batching import Batcher, BatchRule
from modelyard.worker.task import Task


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Queue:
    """A batcher, and requests named by numbers."""

    def __init__(self, max_size: int = 4, max_wait_s: float = 0.0, clock: Callable[[], float] | None = None) -> None:
        rule = BatchRule(max_size=max_size, max_wait_s=max_wait_s)
        self.batcher = Batcher(rule, clock=clock) if clock else Batcher(rule)

    def put(
        self, number: int, *, inputs: int = 1, model: str = "m", is_express: bool = False, flags: int = FIRST | LAST
    ) -> Task:
        message = PostModelOutputsRequest(model_id=model, inputs=[Input(data=Data(text=Text(raw="x")))] * inputs)
        task = Task(number, flags, message.SerializeToString(), lambda request_id, credit: None)
        self.batcher.put(task, is_express=is_express)
        return task

    def take(self) -> list[int]:
        return [member.task.request_id for member in self.batcher.take()]

    def is_time(self, timeout_s: float = 5.0, ran: int = 0) -> bool:
        """Does `wait` return without being helped?"""
        waiter = threading.Thread(target=self.batcher.wait, args=(ran,), daemon=True)
        waiter.start()
        waiter.join(timeout_s)
        return not waiter.is_alive()


def test_what_waits_is_taken_at_once_in_order() -> None:
    queue = Queue()
    for number in range(3):
        queue.put(number)
    assert queue.take() == [0, 1, 2]
    assert queue.take() == []


def test_batch_has_no_more_inputs_than_allowed() -> None:
    queue = Queue(max_size=4)
    for number, inputs in enumerate((2, 1, 2, 1)):
        queue.put(number, inputs=inputs)
    assert queue.take() == [0, 1]
    assert queue.take() == [2, 3]


def test_request_with_more_inputs_than_allowed_is_alone_and_whole() -> None:
    queue = Queue(max_size=4)
    queue.put(0, inputs=9)
    queue.put(1)
    assert queue.take() == [0]
    assert queue.take() == [1]


def test_request_that_does_not_fit_is_not_overtaken_by_smaller_ones() -> None:
    queue = Queue(max_size=4)
    for number, inputs in enumerate((3, 3, 1)):
        queue.put(number, inputs=inputs)
    assert queue.take() == [0]
    assert queue.take() == [1, 2]


def test_other_parameters_are_another_batch_and_keep_their_place() -> None:
    queue = Queue()
    for number, model in enumerate(("m", "n", "m", "n")):
        queue.put(number, model=model)
    assert queue.take() == [0, 2]
    assert queue.take() == [1, 3]


def test_generate_is_alone_and_in_its_turn() -> None:
    queue = Queue()
    queue.put(0)
    queue.put(1, flags=FIRST | LAST | GENERATE)
    queue.put(2)
    assert queue.take() == [0, 2]
    assert queue.take() == [1]


def test_cancelled_request_leaves_before_the_batch_is_taken() -> None:
    queue = Queue()
    tasks = [queue.put(number) for number in range(3)]
    assert queue.batcher.drop(tasks[1])
    assert queue.take() == [0, 2]
    assert not queue.batcher.drop(tasks[0])


def test_express_goes_first_and_in_turn_with_others() -> None:
    queue = Queue(max_size=2)
    for number in range(4):
        queue.put(number)
    queue.put(10, is_express=True)
    assert queue.take() == [10, 0]
    queue.put(11, is_express=True)
    assert queue.take() == [1, 2]
    assert queue.take() == [11, 3]


def test_lone_request_does_not_wait_where_no_wait_is_allowed() -> None:
    queue = Queue()
    queue.put(0)
    assert queue.is_time()


def test_full_batch_does_not_wait() -> None:
    queue = Queue(max_size=2, max_wait_s=60, clock=Clock())
    queue.put(0)
    assert not queue.is_time(0.05)
    queue.put(1)
    assert queue.is_time()


def test_batch_that_is_not_full_waits_no_longer_than_allowed() -> None:
    queue = Queue(max_wait_s=0.02)
    queue.put(0)
    assert queue.is_time()
    assert queue.take() == [0]


def test_later_requests_do_not_prolong_the_wait_of_the_first() -> None:
    clock = Clock()
    queue = Queue(max_wait_s=0.5, clock=clock)
    queue.put(0)
    done = threading.Event()

    def wait() -> None:
        queue.batcher.wait()
        done.set()

    threading.Thread(target=wait, daemon=True).start()
    clock.now += 0.49
    queue.put(1)
    clock.now += 0.01
    assert done.wait(5)


def test_wait_ends_when_as_many_are_back_as_were_there() -> None:
    queue = Queue(max_size=8, max_wait_s=60, clock=Clock())
    queue.put(0)
    assert not queue.is_time(0.05, ran=2)
    queue.put(1)
    queue.put(2)
    assert queue.is_time()


def test_what_has_to_be_alone_does_not_wait_for_others() -> None:
    queue = Queue(max_wait_s=60, clock=Clock())
    queue.put(0, flags=FIRST | LAST | GENERATE)
    assert queue.is_time()


@pytest.mark.parametrize("dropped", [0, 1])
def test_dropped_request_is_not_counted(dropped: int) -> None:
    queue = Queue(max_size=2, max_wait_s=60, clock=Clock())
    tasks = [queue.put(number) for number in range(2)]
    queue.batcher.drop(tasks[dropped])
    assert not queue.is_time(0.05)
