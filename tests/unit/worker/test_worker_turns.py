"""Turns to run the author's code."""

from __future__ import annotations

import threading

from modelyard.worker.turns import Turns


def test_as_many_have_a_turn_as_there_are() -> None:
    turns = Turns(2)
    turns.take()
    turns.take()
    assert not turns.take_within(0.0)
    turns.give_back()
    assert turns.take_within(0.0)
    assert not turns.take_within(0.01)


def test_who_waits_is_given_what_comes_back() -> None:
    turns = Turns()
    waiting = threading.Thread(target=turns.take)
    waiting.start()
    assert waiting.is_alive()
    turns.add(1)
    waiting.join(10)
    assert not waiting.is_alive()
    assert not turns.take_within(0.0)


def test_many_threads_are_never_more_than_the_turns() -> None:
    turns, inside, most, lock = Turns(3), [0], [0], threading.Lock()

    def work() -> None:
        for _ in range(50):
            turns.take()
            with lock:
                inside[0] += 1
                most[0] = max(most[0], inside[0])
            with lock:
                inside[0] -= 1
            turns.give_back()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(30)
    assert most[0] <= 3
    for _ in range(3):
        assert turns.take_within(0.0)
    assert not turns.take_within(0.0)
