"""Where a conformance run tries a model: a worker that is started again when a probe has killed it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType

from modelyard.errors import DeadlineExceeded, ModelyardError, PredictionFailed, WorkerCrashed
from modelyard.local.request import make_request
from modelyard.local.run import check_answer
from modelyard.local.session import Options, Prepared, Session, start_session
from modelyard.local.traffic import Pending, Traffic
from modelyard.parts.sample_inputs import make_samples
from modelyard.parts.typed_samples import choose_method, make_typed_sample
from modelyard.wire.messages import Input, MultiOutputResponse, Output, PostModelOutputsRequest
from modelyard.wire.signatures import name_method

MIN_PATIENCE_S = 10.0
PATIENCE = 20
"""Times what an ordinary request takes: how long a probe waits."""


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """How the model answers an ordinary request."""

    latency_s: float
    answer: bytes
    """Serialised; empty where two of them were not the same."""

    @property
    def is_steady(self) -> bool:
        """Does the same request always get the same answer?"""
        return bool(self.answer)


class Bench:
    """A prepared folder's model. Use it as a context manager."""

    def __init__(self, prepared: Prepared, options: Options, tell: Callable[[str], None]) -> None:
        self.prepared = prepared
        self.options = options
        self.tell = tell
        self._stack = ExitStack()
        self._session: Session | None = None
        self._traffic: Traffic | None = None
        self._baseline: Baseline | None = None

    def __enter__(self) -> Bench:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.drop()

    @property
    def session(self) -> Session:
        """The loaded model; loaded anew where the last one is gone. Raises what `start_session` raises."""
        if self._session is None:
            self._session = self._stack.enter_context(start_session(self.prepared, self.options, self.tell))
            self._traffic = Traffic(self._session.link)
        return self._session

    @property
    def inputs(self) -> list[Input]:
        """What an ordinary request has."""
        return self.inputs_for(self.method)

    def inputs_for(self, method: str) -> list[Input]:
        """What an ordinary request to `predict`, `generate` or `stream` has: for a typed method its arguments."""
        given = list(self.options.inputs)
        chosen = choose_method(self.session.signatures, method)
        if chosen is None:
            return given or make_samples(self.prepared.config.model.model_type_id)
        return [name_method(one, chosen.name) for one in given] or [make_typed_sample(chosen)]

    @property
    def traffic(self) -> Traffic:
        """Requests of the session."""
        assert self.session is not None
        assert self._traffic is not None
        return self._traffic

    @property
    def method(self) -> str:
        """The method that ordinary requests go to."""
        return next(one for one in ("predict", "generate", "stream") if one in self.session.methods)

    @property
    def baseline(self) -> Baseline:
        """Measured once, with two ordinary requests. Raises what they raise."""
        if self._baseline is None:
            first, _ = self.ask(self.make_request(), timeout_s=self.options.timeout_s)
            second, latency_s = self.ask(self.make_request(), timeout_s=self.options.timeout_s)
            self._baseline = Baseline(latency_s=latency_s, answer=first if first == second else b"")
        return self._baseline

    @property
    def patience_s(self) -> float:
        """How long a probe waits for an answer."""
        return max(MIN_PATIENCE_S, PATIENCE * self.baseline.latency_s)

    def drop(self) -> None:
        """Let the worker go; the next use starts another."""
        try:
            self._stack.close()
        except WorkerCrashed:
            pass  # it was gone already, and whoever noticed has said so
        finally:
            self._session = self._traffic = None

    def make_request(self, *inputs: Input, method: str = "") -> PostModelOutputsRequest:
        """A request with these inputs; an ordinary one to the method without."""
        return make_request(self.prepared.config, inputs or self.inputs_for(method or self.method))

    def ask(self, request: PostModelOutputsRequest, *, timeout_s: float | None = None) -> tuple[bytes, float]:
        """An ordinary request: all answers, serialised, and the seconds. Raises what it reports."""
        began = time.monotonic()
        pending = self.traffic.start(self.method, request)
        self.traffic.wait(pending, timeout_s=timeout_s or self.patience_s)
        if pending.error:
            raise pending.error
        for answer in pending.answers:
            check_answer(answer, self.method)
        return join_answers(pending), time.monotonic() - began

    def find_sickness(self) -> str:
        """What is wrong with the model after a probe; "" where an ordinary request is answered as before."""
        try:
            answer, _ = self.ask(self.make_request())
        except DeadlineExceeded:
            self.drop()
            return f"afterwards an ordinary request got no answer within {self.patience_s:.0f} s"
        except WorkerCrashed as crashed:
            self.drop()
            return f"afterwards {crashed.message}"
        except ModelyardError as error:
            return f"afterwards an ordinary request failed: {error.message}"
        if self.baseline.is_steady and answer != self.baseline.answer:
            return "afterwards an ordinary request got another answer than before"
        return ""


def list_gists(answers: Sequence[MultiOutputResponse]) -> list[object]:
    """What each output says, roughly: the same computation in another batch differs in its last digits."""
    return [_find_gist(output) for answer in answers for output in answer.outputs]


def _find_gist(output: Output) -> object:
    data = output.data
    best = max(data.concepts, key=lambda one: one.value, default=None)
    return (
        data.text.raw,
        best.id or best.name if best else "",
        len(data.regions),
        len(data.frames),
        [[round(number, 2) for number in one.vector] for one in data.embeddings],
        [getattr(data, kind).base64 for kind in ("image", "audio", "video")],
    )


def join_answers(pending: Pending) -> bytes:
    """All answers of a request as bytes, to be compared: without what differs from request to request anyway."""
    joined = MultiOutputResponse()
    for answer in pending.answers:
        joined.outputs.extend(answer.outputs)
    for output in joined.outputs:
        output.ClearField("id")
        output.ClearField("created_at")
    return bytes(joined.SerializeToString(deterministic=True))


def explain(pending: Pending) -> ModelyardError | None:
    """Why a request has no good answer; None where it has one."""
    if pending.error:
        return pending.error
    if not pending.answers:
        return PredictionFailed("it gave no answer")
    try:
        for answer in pending.answers:
            check_answer(answer, pending.method)
    except ModelyardError as error:
        return error
    return None
