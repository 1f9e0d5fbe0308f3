"""Runs one request through the author's class and sends what it answers, or why it does not."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Protocol, cast

from modelyard.errors import (
    DeadlineExceeded,
    InvalidModelOutput,
    InvalidRequest,
    ModelyardError,
    NotImplementedByModel,
    PredictionFailed,
)
from modelyard.sdk.request import CurrentRequest, begin_work, end_work
from modelyard.wire.frames import ITEM, LAST, Kind
from modelyard.wire.messages import DecodeError, MultiOutputResponse, PostModelOutputsRequest
from modelyard.wire.worker_errors import encode_error, is_believed
from modelyard.worker.advice import advise
from modelyard.worker.answers import asks_for_signatures, describe_value, encode_answer, encode_signatures
from modelyard.worker.coroutines import finish_coroutine, iterate_async
from modelyard.worker.load import LoadedModel
from modelyard.worker.output import say
from modelyard.worker.tally import Made, Tally, tells_tokens
from modelyard.worker.task import Task
from modelyard.worker.traces import tell


class Outbox(Protocol):
    """Where answers go: the link."""

    def send(self, kind: Kind, request_id: int = 0, payload: bytes = b"", flags: int = 0) -> None:
        """Send one frame."""
        ...

    def send_soon(self, kind: Kind, request_id: int, payload: bytes) -> None:
        """Send one frame, which may wait a moment for the next."""
        ...

    def send_now(self) -> None:
        """What waits for more leaves."""
        ...

    def gathering(self) -> AbstractContextManager[None]:
        """What is sent in this block leaves together at its end."""
        ...


class Invoker:
    """Calls predict, generate and stream of one loaded model. Threads may share it."""

    def __init__(self, model: LoadedModel, folder: Path, outbox: Outbox, tally: Tally | None = None) -> None:
        self._model = model
        self._folder = folder
        self._outbox = outbox
        self._tally = tally or Tally()
        self._has_warned = False

    def replace_methods(self, methods: frozenset[str]) -> None:
        """The class implements other methods now."""
        self._model = replace(self._model, methods=methods)

    def run(self, task: Task) -> None:
        """Answer one request: items and their end, or an error. Nothing is sent for a request that was cancelled."""
        try:
            if (task.is_cancelled or task.deadline is not None) and not self.is_awaited(task):
                return
            if task.method == "predict":
                self.send_answer(task, self._predict(task))
            else:
                self._answer_in_items(task)
        except BaseException as error:  # noqa: BLE001 - the boundary to the author's code: it fails this request only
            self.report(task, error)

    def is_awaited(self, task: Task) -> bool:
        """Does its caller still wait? Out of time is told."""
        if task.is_cancelled:
            return False
        try:
            task.check_deadline()
        except DeadlineExceeded as error:
            self.report(task, error)
            return False
        return True

    def check_implemented(self, method: str) -> None:
        """Raise `NotImplementedByModel` for what the class does not have."""
        if method not in self._model.methods:
            known = ", ".join(sorted(self._model.methods)) or "nothing"
            raise NotImplementedByModel(
                f"{method} is not implemented by this model; it implements {known}",
                hint=f"define {method} in the class of 1/model.py, or call what it implements",
            )

    def call_predict(self, request: PostModelOutputsRequest, tasks: Sequence[Task]) -> object:
        """What the author's predict returns for the request of these. Raises what it raises."""
        working = begin_work(CurrentRequest(tasks))
        try:
            answer = self._model.front.predict(request)
            return answer if isinstance(answer, MultiOutputResponse) else finish_coroutine(answer)
        finally:
            end_work(working)

    def count_call(self, tasks: Sequence[Task], inputs: int, began: float, answer: MultiOutputResponse | None) -> None:
        """A call of predict for these is over, which began at this time and gave this; None: it failed."""
        took_s = time.monotonic() - began
        outputs = () if answer is None else answer.outputs
        self._tally.count_call([began - task.came_at for task in tasks], inputs, took_s, len(outputs))
        if answer is not None and outputs and tells_tokens(outputs[-1]):
            self._count_tokens(answer)

    def send_answer(self, task: Task, payload: bytes) -> None:
        """Send the one answer of a `predict`, if its caller is still there."""
        task.answered_at = time.monotonic()
        if not task.is_cancelled:
            self._outbox.send(ITEM, task.request_id, payload, LAST)

    def gathering(self) -> AbstractContextManager[None]:
        """See `Outbox.gathering`."""
        return self._outbox.gathering()

    def report(self, task: Task, error: BaseException) -> None:
        """Send an error to the caller, if still there; the author's own is in the log, too."""
        if task.is_cancelled:
            return
        told = self._tell(task.method, error)
        self._outbox.send(Kind.ERROR, task.request_id, encode_error(told))
        if isinstance(told, PredictionFailed):
            of = f" request_id={task.wire_id}" if task.wire_id else ""
            say(f"{task.method} failed{of}: {told.message}\n{told.details}".rstrip())

    def _predict(self, task: Task) -> bytes:
        payload = task.take_first()
        request = parse_request(payload)
        if asks_for_signatures(request, payload):
            return encode_signatures(self._model.front.signatures)
        del payload  # a large request is kept once, as the message
        if "predict" not in self._model.methods:
            self.check_implemented("predict")
        inputs, outputs, began, took_s = len(request.inputs), 0, time.monotonic(), None
        try:
            answer = self.call_predict(request, (task,))
            took_s = time.monotonic() - began
            encoded, outputs, has_tokens = encode_answer(answer, "predict", task.note.request_id)
        finally:
            if took_s is None:
                took_s = time.monotonic() - began
            self._tally.count_call((began - task.came_at,), inputs, took_s, outputs)
        if has_tokens:
            self._count_tokens(answer)
        if inputs != outputs and not self._has_warned:
            self._warn(inputs, outputs)
        return encoded

    def _answer_in_items(self, task: Task) -> None:
        working = begin_work(CurrentRequest((task,)))
        try:
            self._send_all(task, self._generate(task) if task.method == "generate" else self._stream(task))
        finally:
            end_work(working)

    def _generate(self, task: Task) -> object:
        self.check_implemented("generate")
        return finish_coroutine(self._model.front.generate(parse_request(task.take_first())))

    def _stream(self, task: Task) -> object:
        self.check_implemented("stream")
        return finish_coroutine(self._model.front.stream(_Requests(task, self._outbox)))

    def _send_all(self, task: Task, answers: object) -> None:
        """Send each answer as it comes, while the caller takes them; close the author's generator however it ends."""
        iterator, made = _iterate(answers, task.method), Made()
        try:
            for answer in iterator:
                payload, outputs, has_tokens = encode_answer(answer, task.method, task.wire_id)
                if not task.has_credit:
                    self._outbox.send_now()
                task.wait_credit(len(payload))
                self._outbox.send_soon(Kind.ITEM, task.request_id, payload)
                made.outputs += outputs
                if has_tokens:
                    made.add_tokens(cast("MultiOutputResponse", answer))
        finally:
            self._tally.count_made(made)
            close: Callable[[], object] | None = getattr(iterator, "close", None)
            if close is not None:
                close()
        self._outbox.send(Kind.END, task.request_id)

    def _count_tokens(self, answer: object) -> None:
        made = Made()
        made.add_tokens(cast("MultiOutputResponse", answer))
        self._tally.count_made(made)

    def _warn(self, inputs: int, outputs: int) -> None:
        """The contract is one output for each input. What the author gave goes out as it is; the log says so once."""
        self._has_warned = True
        say(f"warning: predict gave {outputs} outputs for {inputs} inputs; callers match them by position")

    def _tell(self, method: str, error: BaseException) -> ModelyardError:
        if isinstance(error, ModelyardError) and is_believed(error):
            return error
        trouble = tell(error, self._folder)
        if isinstance(error, NotImplementedError) and trouble.function == method:
            return NotImplementedByModel(f"{method} is not implemented by this model: {trouble.what}")
        where = f" ({trouble.place}, in {trouble.function})" if trouble.file else ""
        return PredictionFailed(f"{trouble.what}{where}", hint=advise(error), details=trouble.details)


class _Requests:
    """What `stream` iterates: the caller's requests as they come."""

    def __init__(self, task: Task, outbox: Outbox) -> None:
        self._task = task
        self._outbox = outbox

    def __iter__(self) -> Iterator[PostModelOutputsRequest]:
        return self

    def __next__(self) -> PostModelOutputsRequest:
        if not self._task.has_message:
            self._outbox.send_now()  # the caller may wait for an answer before it says more
        payload = self._task.wait_message()
        if payload is None:
            raise StopIteration
        return parse_request(payload)


def parse_request(payload: bytes) -> PostModelOutputsRequest:
    """The request message. Raises `InvalidRequest`."""
    try:
        return PostModelOutputsRequest.FromString(payload)
    except DecodeError as error:
        raise InvalidRequest(f"the request is not a PostModelOutputsRequest: {error}") from error


def _iterate(answers: object, method: str) -> Iterator[object]:
    """The answers of `generate` or `stream`: what a generator or a list gives, or a single response."""
    if isinstance(answers, MultiOutputResponse):
        return iter((answers,))
    if isinstance(answers, AsyncIterator):
        return iterate_async(answers)
    if isinstance(answers, Iterable) and not isinstance(answers, str | bytes | Mapping):
        return iter(answers)
    raise InvalidModelOutput(f"{method} gave {describe_value(answers)}; it has to yield MultiOutputResponse messages")
