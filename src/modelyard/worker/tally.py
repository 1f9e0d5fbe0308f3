"""Counts what the author's code does, for the gateway to ask: `wire/stats.py`."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import deque
from collections.abc import Sequence

from modelyard.wire.messages import MultiOutputResponse, Output
from modelyard.wire.stats import COUNTS, MADE, SECONDS, Stats

_FIELDS = Output.DESCRIPTOR.fields_by_name
_TOKENS = tuple(name for name in MADE if name in _FIELDS)
_TELLS_TOKENS = "prompt_tokens" in _FIELDS and "completion_tokens" in _FIELDS
"""Not in older packages: to look for a field that is not there costs as much as all else here."""

NOTED = 256
"""Calls that are added up at once, where nobody asks before."""


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
    """Any thread counts, once a call or a stream: not once an input. Calls are noted, and added up many at once."""

    def __init__(self) -> None:
        self._stats = Stats()
        self._noted: deque[tuple[Sequence[float], int, float, Made]] = deque()
        self._lock = threading.Lock()

    def count_call(self, waits_s: Sequence[float], inputs: int, took_s: float, made: Made) -> None:
        """One call of predict: how long its requests had waited, its inputs, how long it took, and what it gave."""
        noted = self._noted
        noted.append((waits_s, inputs, took_s, made))
        if len(noted) >= NOTED:
            with self._lock:
                self._add_up()

    def count_made(self, made: Made) -> None:
        """What the author gave in a stream."""
        with self._lock:
            self._add(made)

    def encode(self) -> bytes:
        """All since the start."""
        with self._lock:
            self._add_up()
            return self._stats.encode()

    def _add_up(self) -> None:
        """All that is noted so far; threads may go on noting."""
        counts, totals = self._stats.counts, self._stats.totals
        for _ in range(len(self._noted)):
            waits_s, inputs, took_s, made = self._noted.popleft()
            for wait_s in waits_s:
                counts["wait_s"][bisect_left(SECONDS, wait_s)] += 1
                totals["wait_s"] += wait_s
            counts["predict_s"][bisect_left(SECONDS, took_s)] += 1
            totals["predict_s"] += took_s
            counts["batch_inputs"][bisect_left(COUNTS, inputs)] += 1
            totals["batch_inputs"] += inputs
            self._add(made)

    def _add(self, made: Made) -> None:
        self._stats.made["outputs"] += made.outputs
        for name, count in made.tokens.items():
            self._stats.made[name] += count
