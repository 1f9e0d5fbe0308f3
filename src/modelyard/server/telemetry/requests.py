"""Requests, counted once each: by method, and by model where it was a model's. What is shown of them is summed up when
the page is read."""

from __future__ import annotations

import time
from collections.abc import Iterator

from modelyard.server.telemetry.series import (
    LONG_SECONDS,
    MAX_SERIES,
    OTHER,
    Counters,
    Family,
    Histogram,
    Histograms,
)
from modelyard.server.telemetry.tracing import Trace
from modelyard.wire.stats import SECONDS

UPLOAD = "PostModelVersionsUpload"
GONE = -1
"""Instead of a code, where the caller left before there was one."""
OTHER_CODE = -2
"""Codes that an author made up, beyond what is kept apart."""
_WORDS = {GONE: "gone", OTHER_CODE: OTHER}
_FINE, _FINE_FIELD = 10000, b"\x08\x90\x4e"
ModelName = tuple[str, str, str]
"""User, app, model."""
_OTHERS: ModelName = (OTHER, "", "")


class Room:
    """How many more series there may be."""

    __slots__ = ("_left",)

    def __init__(self, size: int) -> None:
        self._left = size

    def take(self) -> bool:
        """Is there room for one more? Then it is taken."""
        self._left -= 1
        return self._left >= 0


class Answered:
    """Requests of one kind: how they ended, and how long they took."""

    __slots__ = ("_others", "_room", "took_s")

    def __init__(self, room: Room) -> None:
        self._room = room
        self._others: dict[int, int] = {}
        """How many ended with each code but that of success."""
        self.took_s = Histogram(SECONDS)

    def count_other(self, code: int) -> None:
        """One of those that `took_s` counts has not ended with success."""
        place = code if code in self._others or self._room.take() else OTHER_CODE
        self._others[place] = self._others.get(place, 0) + 1

    @property
    def codes(self) -> dict[int, int]:
        """How many ended with each."""
        fine = sum(self.took_s.counts) - sum(self._others.values())
        return {_FINE: fine, **self._others} if fine else self._others


class Requests:
    """All requests of a server."""

    def __init__(self) -> None:
        self._upload_s = Histograms("modelyard_upload_seconds", "Uploads, by V2 status code.", ("code",), LONG_SECONDS)
        self._method_room = Room(MAX_SERIES)
        self._model_room = Room(MAX_SERIES)
        self.known: dict[tuple[str, ModelName | None], Answered] = {}
        """By method and model; no model where the request was none's."""
        self._models = 0
        """How many of them are of models."""

    def add(self, method: str, model: ModelName | None) -> Answered:
        """Requests of a kind that is not known yet; those of models beyond a thousand are counted together."""
        is_full = model is not None and self._models >= MAX_SERIES
        kind = method, _OTHERS if is_full else model
        if kind not in self.known:
            self.known[kind] = Answered(self._method_room if model is None else self._model_room)
            self._models += model is not None
        return self.known[kind]

    def count_upload(self, code: int, took_s: float) -> None:
        """An upload is over."""
        self._upload_s.of((_name_code(code),)).observe(took_s)

    def list_families(self) -> list[Family]:
        """The metrics."""
        requests = Counters("modelyard_requests_total", "Requests by V2 method and V2 status code.", ("method", "code"))
        request_s = Histograms("modelyard_request_seconds", "From the request to the end of its answer.", ("method",))
        model_requests = Counters(
            "modelyard_model_requests_total", "Requests of models by V2 status code.", ("model", "method", "code")
        )
        model_request_s = Histograms(
            "modelyard_model_request_seconds", "From a model's request to the end of its answer.", ("model", "method")
        )
        for method, model, answered in self._list_all():
            _add(answered, requests, request_s, (method,))
            if model:
                _add(answered, model_requests, model_request_s, (model, method))
        return [requests, request_s, model_requests, model_request_s, self._upload_s]

    def _list_all(self) -> Iterator[tuple[str, str, Answered]]:
        """Method, model or nothing, and what was counted."""
        for (method, model), answered in self.known.items():
            yield method, OTHER if model == _OTHERS else "/".join(model or ()), answered


class Stopwatch:
    """One request at the choke point, from when it came."""

    __slots__ = ("_began", "_method", "_requests", "model", "trace")

    def __init__(self, requests: Requests, method: str) -> None:
        self._requests = requests
        self._method = method
        self.model: ModelName | None = None
        """Whose request it is, where that exists: what callers make up is not counted by name."""
        self.trace: Trace | None = None
        """Where the request is traced."""
        self._began = time.perf_counter()

    def stop(self, code: int) -> None:
        """It is over, with this V2 code, or `GONE` where its caller did not wait for the answer."""
        took_s = time.perf_counter() - self._began
        requests, method, model = self._requests, self._method, self.model
        answered = requests.known.get((method, model)) or requests.add(method, model)
        answered.took_s.observe(took_s)
        if code != _FINE:
            answered.count_other(code)
        if method == UPLOAD:
            requests.count_upload(code, took_s)
        if self.trace is not None:
            self.trace.model = "/".join(model or ())
            self.trace.end(None if code == GONE else code)


def _name_code(code: int) -> str:
    return _WORDS.get(code) or str(code)


def _add(answered: Answered, counters: Counters, histograms: Histograms, labels: tuple[str, ...]) -> None:
    for code, count in answered.codes.items():
        counters.add((*labels, _name_code(code)), count)
    histograms.of(labels).add(answered.took_s.counts, answered.took_s.total)


def peek_code(reply: bytes) -> int:
    """The V2 status code of a serialised answer, which passes unread: its status is its first field, and the code the
    first of the status. 0 where it is written otherwise."""
    if reply[2:5] == _FINE_FIELD and reply[0] == 0x0A and reply[1] < 0x80:
        return _FINE
    if len(reply) < 5 or reply[0] != 0x0A:
        return 0
    place = 1
    while place < min(6, len(reply)) and reply[place] & 0x80:
        place += 1
    place += 1
    if reply[place : place + 1] != b"\x08":
        return 0
    value = shift = 0
    for byte in reply[place + 1 : place + 6]:
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value
        shift += 7
    return 0
