"""Counts what the author's code does, for the gateway to ask: `wire/stats.py`."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from itertools import repeat, starmap
from typing import TypeVar

from modelyard.wire.messages import MultiOutputResponse, Output
from modelyard.wire.stats import BOUNDS, MADE, Stats, add_up

T = TypeVar("T")

_FIELDS = Output.DESCRIPTOR.fields_by_name
_TOKENS = tuple(name for name in MADE if name in _FIELDS)
_TELLS_TOKENS = "prompt_tokens" in _FIELDS and "completion_tokens" in _FIELDS
"""Not in older packages: to look for a field that is not there costs as much as all else here."""

NOTED = 256
"""Calls that are added up at once, where nobody asks before."""


def tells_tokens(output: Output) -> bool:
    """Does the author tell how many tokens it took?"""
    return _TELLS_TOKENS and bool(output.prompt_tokens or output.completion_tokens)


class Made:
    """What one request was given, added up by its own thread."""

    __slots__ = ("outputs", "tokens")

    def __init__(self) -> None:
        self.outputs = 0
        self.tokens: dict[str, int] = {}
        """Empty where the author tells none."""

    def add_tokens(self, answer: MultiOutputResponse) -> None:
        """Those of one answer."""
        for name in _TOKENS:
            self.tokens[name] = self.tokens.get(name, 0) + sum(getattr(one, name) for one in answer.outputs)


class Tally:
    """Any thread counts, once a call or a stream: not once an input. Calls are noted, and added up many at once."""

    def __init__(self) -> None:
        self._stats = Stats()
        self._waits_s: deque[float] = deque()
        self._noted: deque[tuple[int, float, int]] = deque()
        self._lock = threading.Lock()

    def count_call(self, waits_s: Sequence[float], inputs: int, took_s: float, outputs: int) -> None:
        """One call of predict: how long each of its requests had waited, its inputs, how long it took, and its outputs.
        Only numbers are noted: the garbage collector has no work with them."""
        noted = self._noted
        self._waits_s.extend(waits_s)
        noted.append((inputs, took_s, outputs))
        if len(noted) >= NOTED:
            with self._lock:
                self._add_up()

    def count_made(self, made: Made) -> None:
        """What the author gave in a stream, and tokens."""
        with self._lock:
            self._add(made)

    def encode(self) -> bytes:
        """All since the start."""
        with self._lock:
            self._add_up()
            return self._stats.encode()

    def _add_up(self) -> None:
        """All that is noted so far; threads may go on noting."""
        self._count("wait_s", _take_all(self._waits_s))
        calls = _take_all(self._noted)
        if calls:
            inputs, took_s, outputs = zip(*calls, strict=True)
            self._count("batch_inputs", inputs)
            self._count("predict_s", took_s)
            self._stats.made["outputs"] += sum(outputs)

    def _count(self, name: str, values: Sequence[float]) -> None:
        self._stats.totals[name] += add_up(self._stats.counts[name], BOUNDS[name], values)

    def _add(self, made: Made) -> None:
        self._stats.made["outputs"] += made.outputs
        for name, count in made.tokens.items():
            self._stats.made[name] += count


def _take_all(noted: deque[T]) -> list[T]:
    """What is there, without a step of Python for each."""
    return list(starmap(noted.popleft, repeat((), len(noted))))
