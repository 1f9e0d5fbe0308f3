"""Runs a batch: one `predict` for all of its requests, and an answer for each as if it had come alone.

When `predict` raises, the batch is halved until what fails is alone:

    a b c d ── raises ──┬── a b ── fine
                        └── c d ── raises ──┬── c ── raises: c's error
                                            └── d ── fine
So a request is in at most 1 + log2(n) calls, and a batch of n costs at most 2n - 1.

The answer is taken apart and sent in a thread of ours: the author's thread is already in the next batch.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from queue import SimpleQueue

from modelyard.errors import InvalidModelOutput, ModelyardError, NotImplementedByModel
from modelyard.wire.messages import MultiOutputResponse, StatusCode
from modelyard.wire.notes import add_batch
from modelyard.worker.answers import check_answer, encode_answer
from modelyard.worker.batching import Batch
from modelyard.worker.invoke import Invoker, parse_request
from modelyard.worker.merging import check_count, merge, split
from modelyard.worker.output import say
from modelyard.worker.task import Task

_FOR_ALL = (InvalidModelOutput, NotImplementedByModel)
"""What smaller batches would not mend, or only hide."""
Finish = Callable[[Task], None]


class _AllFailedError(Exception):
    """`predict` answered a batch with a status and without outputs: whose fault it is has to be found."""


class Together:
    """Answers batches through an invoker."""

    def __init__(self, invoker: Invoker) -> None:
        self._invoker = invoker
        self._answered: SimpleQueue[tuple[Batch, MultiOutputResponse, Finish]] = SimpleQueue()

    @property
    def has_answers(self) -> bool:
        """Are there answers that were not sent yet?"""
        return not self._answered.empty()

    def start(self) -> None:
        """Start the thread that sends."""
        threading.Thread(target=self._send_for_ever, name="answers", daemon=True).start()

    def run(self, batch: Batch, finish: Finish) -> None:
        """Have every request of the batch answered; `finish` is told of each once. Never raises."""
        if batch[0].parcel is None:
            self._invoker.run(batch[0].task)
            finish(batch[0].task)
            return
        groups = [batch]
        while groups:
            group = self._keep_waiting(groups.pop(), finish)
            if not group:
                continue
            try:
                self._answered.put((group, self._predict(group), finish))
            except BaseException as error:  # noqa: BLE001 - the boundary to the author's code
                groups += self._split_up(group, error, finish)

    def send_next(self) -> None:
        """Send the answers of one call, waiting for it. One that may not travel is its caller's trouble alone."""
        group, answer, finish = self._answered.get()
        payloads = _take_apart(answer, group)
        inputs = sum(member.size for member in group)
        with self._invoker.gathering():
            for member, payload in zip(group, payloads, strict=True):
                is_asked = member.task.note.asks_batch
                self._send(member.task, add_batch(payload, inputs) if is_asked else payload)
        for member in group:
            finish(member.task)

    def _send(self, task: Task, payload: bytes) -> None:
        try:
            self._invoker.send_answer(task, payload)
        except ModelyardError as error:
            self._invoker.report(task, error)

    def _send_for_ever(self) -> None:
        while True:
            self.send_next()

    def _keep_waiting(self, group: Batch, finish: Finish) -> Batch:
        """Without those whose callers are gone, or out of time."""
        kept = []
        for member in group:
            if self._invoker.is_awaited(member.task):
                kept.append(member)
            else:
                finish(member.task)
        return kept

    def _predict(self, group: Batch) -> MultiOutputResponse:
        """What `predict` gave, which can be taken apart."""
        parcels = [member.parcel for member in group if member.parcel]
        is_alone = len(group) == 1
        request = parse_request(group[0].task.see_first()) if is_alone else merge(parcels)
        self._invoker.check_implemented("predict")
        tasks, began, answer = [member.task for member in group], time.monotonic(), None
        try:
            answer = check_answer(self._invoker.call_predict(request, tasks), "predict")
        finally:
            self._invoker.count_call(tasks, len(request.inputs), began, answer)
        if not _is_failure(answer):
            check_count(answer, [len(parcel.inputs) for parcel in parcels])
        elif not is_alone:
            raise _AllFailedError(f"it answered with status {answer.status.code} and no outputs")
        return answer

    def _split_up(self, group: Batch, error: BaseException, finish: Finish) -> Iterable[Batch]:
        if len(group) == 1 or isinstance(error, _FOR_ALL):
            for member in group:
                self._invoker.report(member.task, error)
                finish(member.task)
            return ()
        say(f"predict failed for {len(group)} requests together, and is called again for halves: {error!r}"[:1000])
        middle = len(group) // 2
        return group[middle:], group[:middle]


def _take_apart(answer: MultiOutputResponse, group: Batch) -> Iterable[bytes]:
    if len(group) == 1:
        return [encode_answer(answer, "predict", group[0].task.wire_id).payload]
    return split(answer, [member.size for member in group], [member.task.wire_id for member in group])


def _is_failure(answer: MultiOutputResponse) -> bool:
    return not answer.outputs and answer.status.code not in (0, StatusCode.SUCCESS)
