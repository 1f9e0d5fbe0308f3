"""Counts what the author's code does, for the gateway to ask: `wire/stats.py`."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Sequence

from modelyard.wire.messages import MultiOutputResponse
from modelyard.wire.stats import COUNTS, MADE, SECONDS, Stats

_TOKENS = tuple(name for name in MADE if name != "outputs")


class Made:
    """What one request was given, added up by its own thread."""

    __slots__ = ("outputs", "tokens")

    def __init__(self) -> None:
        self.outputs = 0
        self.tokens: dict[str, int] = {}
        """Empty where the author tells none."""

    def add(self, answer: object) -> None:
        """One answer. Tokens are looked for where its first output tells any."""
        if not isinstance(answer, MultiOutputResponse):
            return
        outputs = answer.outputs
        count = len(outputs)
        if not count:
            return
        self.outputs += count
        first = outputs[0]
        if getattr(first, "prompt_tokens", 0) or getattr(first, "completion_tokens", 0):
            for name in _TOKENS:
                self.tokens[name] = self.tokens.get(name, 0) + sum(getattr(one, name, 0) for one in outputs)


class Tally:
    """Any thread counts, once a call or a stream: not once an input."""

    def __init__(self) -> None:
        self._stats = Stats()
        counts = self._stats.counts
        self._waits, self._calls, self._inputs = counts["wait_s"], counts["predict_s"], counts["batch_inputs"]
        self._lock = threading.Lock()

    def count_call(self, waits_s: Sequence[float], inputs: int, took_s: float, made: Made) -> None:
        """One call of predict: how long its requests had waited, its inputs, how long it took, and what it gave."""
        with self._lock:
            totals = self._stats.totals
            for wait_s in waits_s:
                self._waits[bisect_left(SECONDS, wait_s)] += 1
                totals["wait_s"] += wait_s
            self._calls[bisect_left(SECONDS, took_s)] += 1
            totals["predict_s"] += took_s
            self._inputs[bisect_left(COUNTS, inputs)] += 1
            totals["batch_inputs"] += inputs
            self._add(made)

    def count_made(self, made: Made) -> None:
        """What the author gave in a stream."""
        with self._lock:
            self._add(made)

    def encode(self) -> bytes:
        """All since the start."""
        with self._lock:
            return self._stats.encode()

    def _add(self, made: Made) -> None:
        self._stats.made["outputs"] += made.outputs
        for name, count in made.tokens.items():
            self._stats.made[name] += count
