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
        self._noted: deque[tuple[float | Sequence[float], int, float, int]] = deque()
        self._lock = threading.Lock()

    def count_call(self, waits_s: float | Sequence[float], inputs: int, took_s: float, outputs: int) -> None:
        """One call of predict: how long its request had waited, or each of several; its inputs, how long it took, and
        its outputs. Only numbers are noted: the garbage collector has no work with them."""
        noted = self._noted
        noted.append((waits_s, inputs, took_s, outputs))
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
        counts, totals, take = self._stats.counts, self._stats.totals, self._noted.popleft
        of_waits, of_calls, of_inputs = counts["wait_s"], counts["predict_s"], counts["batch_inputs"]
        all_waited_s = all_took_s = 0.0
        all_inputs = all_outputs = 0
        for _ in range(len(self._noted)):
            waits_s, inputs, took_s, outputs = take()
            for wait_s in (waits_s,) if isinstance(waits_s, float) else waits_s:
                of_waits[bisect_left(SECONDS, wait_s)] += 1
                all_waited_s += wait_s
            of_calls[bisect_left(SECONDS, took_s)] += 1
            of_inputs[bisect_left(COUNTS, inputs)] += 1
            all_took_s += took_s
            all_inputs += inputs
            all_outputs += outputs
        totals["wait_s"] += all_waited_s
        totals["predict_s"] += all_took_s
        totals["batch_inputs"] += all_inputs
        self._stats.made["outputs"] += all_outputs

    def _add(self, made: Made) -> None:
        self._stats.made["outputs"] += made.outputs
        for name, count in made.tokens.items():
            self._stats.made[name] += count
