"""Counts what the author's code does, for the gateway to ask: `wire/stats.py`."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Sequence

from modelyard.wire.messages import MultiOutputResponse
from modelyard.wire.stats import BOUNDS, MADE, Stats

_TOKENS = tuple(name for name in MADE if name != "outputs")


class Tally:
    """Any thread counts, once a call or a stream: not once an input."""

    def __init__(self) -> None:
        self._stats = Stats()
        self._lock = threading.Lock()

    def count_call(self, waits_s: Sequence[float], inputs: int, took_s: float) -> None:
        """One call of predict: how long its requests had waited, its inputs, and how long it took."""
        with self._lock:
            for wait_s in waits_s:
                self._observe("wait_s", wait_s)
            self._observe("batch_inputs", inputs)
            self._observe("predict_s", took_s)

    def count_made(self, made: Made) -> None:
        """What the author gave."""
        with self._lock:
            for name, count in made.numbers.items():
                self._stats.made[name] += count

    def encode(self) -> bytes:
        """All since the start."""
        with self._lock:
            return self._stats.encode()

    def _observe(self, name: str, value: float) -> None:
        self._stats.counts[name][bisect_left(BOUNDS[name], value)] += 1
        self._stats.totals[name] += value


class Made:
    """What one request was given, added up by its own thread."""

    __slots__ = ("numbers",)

    def __init__(self) -> None:
        self.numbers = dict.fromkeys(MADE, 0)

    def add(self, answer: object) -> None:
        """One answer. Tokens are looked for where its first output tells any."""
        if not isinstance(answer, MultiOutputResponse):
            return
        outputs, numbers = answer.outputs, self.numbers
        numbers["outputs"] += len(outputs)
        if outputs and (getattr(outputs[0], "prompt_tokens", 0) or getattr(outputs[0], "completion_tokens", 0)):
            for name in _TOKENS:
                numbers[name] += sum(getattr(one, name, 0) for one in outputs)
