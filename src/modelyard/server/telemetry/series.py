"""Counters and histograms for one thread: plain numbers, without locks. A request costs a few of them.

A library counts under locks that one event loop does not need: docs/adr/0025.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from modelyard.wire.stats import SECONDS, add_up

LONG_SECONDS = (0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0)
NOTED = 256
"""Values that are added up at once, where nobody looks before: one by one they cost a request twice as much."""
MAX_SERIES = 1000
"""Of one family; what is beyond is counted together."""
OTHER = "other"
Labels = tuple[str, ...]
Sample = tuple[str, tuple[tuple[str, str], ...], float]


class Histogram:
    """How often values fell below each bound."""

    __slots__ = ("_counts", "_noted", "_total", "bounds")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._total = 0.0
        self._noted: list[float] = []

    def observe(self, value: float) -> None:
        """Count one value."""
        noted = self._noted
        noted.append(value)
        if len(noted) >= NOTED:
            self._add_up()

    def add(self, counts: Sequence[int], total: float) -> None:
        """Count what another histogram of the same bounds has counted."""
        for place, count in enumerate(counts):
            self._counts[place] += count
        self._total += total

    @property
    def counts(self) -> Sequence[int]:
        """How many values lie up to each bound and above the one before; the last: above all."""
        self._add_up()
        return self._counts

    @property
    def total(self) -> float:
        """Of all values."""
        self._add_up()
        return self._total

    def _add_up(self) -> None:
        self._total += add_up(self._counts, self.bounds, self._noted)
        self._noted.clear()


class Family:
    """One metric: its series by the values of their labels."""

    kind = ""

    def __init__(self, name: str, meaning: str, labels: Sequence[str] = ()) -> None:
        self.name = name
        self.meaning = meaning
        self.labels = tuple(labels)

    def samples(self) -> Iterator[Sample]:
        """Every line of it: the ending of its name, its labels and its value."""
        raise NotImplementedError


class Counters(Family):
    """Numbers that grow."""

    kind = "counter"

    def __init__(self, name: str, meaning: str, labels: Sequence[str] = ()) -> None:
        super().__init__(name, meaning, labels)
        self._values: dict[Labels, float] = {}

    def add(self, labels: Labels, amount: float = 1) -> None:
        """Count."""
        values = self._values
        if labels in values:
            values[labels] += amount
            return
        place = labels if len(values) < MAX_SERIES else (OTHER,) * len(self.labels)
        values[place] = values.get(place, 0.0) + amount

    def samples(self) -> Iterator[Sample]:
        """See `Family.samples`."""
        for labels, value in self._values.items():
            yield "", tuple(zip(self.labels, labels, strict=True)), value


class Gauges(Family):
    """Numbers as they are now: set anew for each reading."""

    kind = "gauge"

    def __init__(self, name: str, meaning: str, labels: Sequence[str], values: Iterable[tuple[Labels, float]]) -> None:
        super().__init__(name, meaning, labels)
        self._values = list(values)

    def samples(self) -> Iterator[Sample]:
        """See `Family.samples`."""
        for labels, value in self._values:
            yield "", tuple(zip(self.labels, labels, strict=True)), value


class Histograms(Family):
    """Histograms by their labels."""

    kind = "histogram"

    def __init__(self, name: str, meaning: str, labels: Sequence[str] = (), bounds: Sequence[float] = SECONDS) -> None:
        super().__init__(name, meaning, labels)
        self._bounds = bounds
        self._series: dict[Labels, Histogram] = {}

    def of(self, labels: Labels) -> Histogram:
        """The histogram of these labels."""
        found = self._series.get(labels)
        if found is None:
            place = labels if len(self._series) < MAX_SERIES else (OTHER,) * len(self.labels)
            found = self._series.setdefault(place, Histogram(self._bounds))
        return found

    def samples(self) -> Iterator[Sample]:
        """See `Family.samples`."""
        for labels, one in self._series.items():
            named = tuple(zip(self.labels, labels, strict=True))
            running = 0
            for bound, count in zip((*one.bounds, float("inf")), one.counts, strict=True):
                running += count
                yield "_bucket", (*named, ("le", _write_bound(bound))), running
            yield "_sum", named, one.total
            yield "_count", named, running


def _write_bound(bound: float) -> str:
    return "+Inf" if bound == float("inf") else f"{bound:g}"
