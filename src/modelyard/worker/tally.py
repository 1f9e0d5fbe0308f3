"""Counts what the author's code does, for the gateway to ask: `wire/stats.py`."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Sequence

from modelyard.wire.messages import MultiOutputResponse, Output
from modelyard.wire.stats import COUNTS, MADE, SECONDS, Stats

_FIELDS = Output.DESCRIPTOR.fields_by_name
_TOKENS = tuple(name for name in MADE if name in _FIELDS)
_TELLS_TOKENS = "prompt_tokens" in _FIELDS and "completion_tokens" in _FIELDS
"""Not in older packages: to look for a field that is not there costs as much as all else here."""


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
        if _TELLS_TOKENS and (first.prompt_tokens or first.completion_tokens):
            for name in _TOKENS:
                self.tokens[name] = self.tokens.get(name, 0) + sum(getattr(one, name) for one in outputs)


class Tally:
    """Any thread counts, once a call or a stream: not once an input."""

    def __init__(self) -> None:
        self._stats = Stats()
        counts = self._stats.counts
        self._waits, self._calls, self._sizes = counts["wait_s"], counts["predict_s"], counts["batch_inputs"]
        self._waited_s = self._predicted_s = 0.0
        self._inputs = self._outputs = 0
        self._lock = threading.Lock()

    def count_call(self, waits_s: Sequence[float], inputs: int, took_s: float, made: Made) -> None:
        """One call of predict: how long its requests had waited, its inputs, how long it took, and what it gave."""
        with self._lock:
            for wait_s in waits_s:
                self._waits[bisect_left(SECONDS, wait_s)] += 1
                self._waited_s += wait_s
            self._calls[bisect_left(SECONDS, took_s)] += 1
            self._predicted_s += took_s
            self._sizes[bisect_left(COUNTS, inputs)] += 1
            self._inputs += inputs
            self._outputs += made.outputs
            if made.tokens:
                self._add_tokens(made)

    def count_made(self, made: Made) -> None:
        """What the author gave in a stream."""
        with self._lock:
            self._outputs += made.outputs
            self._add_tokens(made)

    def encode(self) -> bytes:
        """All since the start."""
        with self._lock:
            stats = self._stats
            stats.totals |= {
                "wait_s": self._waited_s,
                "predict_s": self._predicted_s,
                "batch_inputs": float(self._inputs),
            }
            stats.made["outputs"] = self._outputs
            return stats.encode()

    def _add_tokens(self, made: Made) -> None:
        for name, count in made.tokens.items():
            self._stats.made[name] += count
