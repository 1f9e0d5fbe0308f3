"""What takes requests for the author's object: itself, or for typed methods what makes arguments of requests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from modelyard.sdk.runner import ModelRunner
from modelyard.sdk.typed_marks import list_typed_methods, takes_whole_requests
from modelyard.wire.messages import PostModelOutputsRequest


class Front(Protocol):
    """Whole requests in, whole answers out."""

    @property
    def signatures(self) -> str:
        """JSON of the typed methods; "" where there are none."""
        ...

    def predict(self, request: PostModelOutputsRequest, /) -> object:
        """See `ModelRunner.predict`."""
        ...

    def generate(self, request: PostModelOutputsRequest, /) -> object:
        """See `ModelRunner.generate`."""
        ...

    def stream(self, requests: Iterator[PostModelOutputsRequest], /) -> object:
        """See `ModelRunner.stream`."""
        ...


def make_front(runner: ModelRunner) -> Front:
    """The front of an author's object."""
    cls = type(runner)
    if not list_typed_methods(cls) and not takes_whole_requests(cls):
        return PlainFront(runner)
    # An old clarifai-grpc has no signatures: needed by typed methods alone.
    from modelyard.worker.typed_front import TypedFront

    return TypedFront(runner)


class PlainFront:
    """Of a class whose methods take whole requests."""

    signatures = ""

    def __init__(self, runner: ModelRunner) -> None:
        self._runner = runner

    def predict(self, request: PostModelOutputsRequest, /) -> object:
        """See `Front.predict`."""
        return self._runner.predict(request)

    def generate(self, request: PostModelOutputsRequest, /) -> object:
        """See `Front.generate`."""
        return self._runner.generate(request)

    def stream(self, requests: Iterator[PostModelOutputsRequest], /) -> object:
        """See `Front.stream`."""
        return self._runner.stream(requests)
