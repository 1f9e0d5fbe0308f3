"""Test a model folder on this machine: its environment, its worker, one request to each method, and what came back."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from modelyard.client.outputs import find_failure, unwrap_results
from modelyard.config.quantities import parse_memory_bytes
from modelyard.errors import (
    DeadlineExceeded,
    InvalidModelOutput,
    ModelError,
    ModelyardError,
    PredictionFailed,
    WorkerCrashed,
)
from modelyard.local.checks import Finding, check_answers
from modelyard.local.machine import read_peak_memory_bytes, show_bytes
from modelyard.local.request import make_request
from modelyard.local.session import Options, Prepared, Session, open_session
from modelyard.parts.sample_inputs import make_other_samples, make_samples
from modelyard.parts.typed_samples import make_typed_sample
from modelyard.wire.messages import Input, MultiOutputResponse, StatusCode
from modelyard.wire.signatures import kind_of, name_method
from modelyard.wire.status import error_of

METHODS = ("predict", "generate", "stream")
FINE = (StatusCode.ZERO, StatusCode.SUCCESS)
Tell = Callable[[str], None]
Inputs = tuple[Input, ...]


@dataclass(frozen=True, kw_only=True)
class Step:
    """One method that was asked."""

    method: str
    kind: str
    """`predict`, `generate` or `stream`: how it was called."""
    inputs: tuple[Input, ...]
    """What it was asked with."""
    latency_s: float
    """Until its last answer."""
    first_s: float | None
    """Until its first answer; None where there was none."""
    answers: tuple[MultiOutputResponse, ...]
    findings: tuple[Finding, ...] = ()
    """What its answers break or strain."""
    error: ModelyardError | None = None
    """What it raised, or the first rule that its answers break."""


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a test run found."""

    prepared: Prepared
    inputs: tuple[Input, ...]
    """What methods were asked with first; one that refused it, with other samples of the type."""
    load_s: float
    """From the start of the process until the model was loaded."""
    peak_memory_bytes: int
    """Of the worker and what it started, added up."""
    steps: tuple[Step, ...]

    @property
    def error(self) -> ModelyardError | None:
        """The first failure of a method, if there was one."""
        return next((step.error for step in self.steps if step.error), None)

    @property
    def cpu_memory_bytes(self) -> int:
        """What the config promises to need; 0 where it says nothing."""
        given = self.prepared.config.compute.cpu_memory
        return parse_memory_bytes(given) if given else 0

    @property
    def warnings(self) -> tuple[str, ...]:
        """All that is unusual, and stops nobody."""
        unusual = tuple(str(one) for step in self.steps for one in step.findings if not one.is_error)
        return (*self.prepared.warnings, *self._memory_warning(), *unusual)

    def _memory_warning(self) -> tuple[str, ...]:
        limit = self.cpu_memory_bytes
        if not limit or self.peak_memory_bytes <= limit:
            return ()
        given = self.prepared.config.compute.cpu_memory
        return (f"the model took {show_bytes(self.peak_memory_bytes)}, cpu_memory says {given}: raise it",)


def run_folder(folder: Path, options: Options, *, tell_build: Tell, tell_line: Tell) -> Report:
    """Test a folder. Blocking; the second run of the same requirements finds its environment made.

    Args:
        folder: The model folder.
        options: Inputs, cache and patience.
        tell_build: Takes each line about the environment and the checkpoint.
        tell_line: Takes each line that the model prints.

    Returns:
        What was found. A method that failed is in it, with its error.

    Raises:
        What `open_session` raises. DeadlineExceeded and WorkerCrashed name the method that was being asked.
    """
    with open_session(folder, options, tell_build=tell_build, tell_line=tell_line) as session:
        return run_session(session, options.inputs)


def run_session(session: Session, given: Sequence[Input] = ()) -> Report:
    """Ask every method of a loaded model. An author's error in one does not keep the next from being asked."""
    model_type_id = session.config.model.model_type_id
    inputs = tuple(given) or tuple(make_samples(model_type_id))
    others = () if given else tuple(map(tuple, make_other_samples(model_type_id)))
    if session.signatures:
        steps = tuple(_take_typed_steps(session, tuple(given)))
        inputs = inputs if given else steps[0].inputs
    else:
        steps = tuple(_take_steps(session, inputs, others))
    return Report(
        prepared=session.prepared,
        inputs=inputs,
        load_s=session.load_s,
        peak_memory_bytes=read_peak_memory_bytes(session.process_id),
        steps=steps,
    )


def _take_typed_steps(session: Session, given: Inputs) -> Iterator[Step]:
    """Each typed method with a sample of its own, or with what was given."""
    for signature in session.signatures:
        inputs = tuple(name_method(one, signature.name) for one in given) or (make_typed_sample(signature),)
        yield _take_step(session, signature.name, inputs, kind_of(signature))


def _take_steps(session: Session, inputs: Inputs, others: Sequence[Inputs]) -> Iterator[Step]:
    for method in METHODS:
        if method in session.methods:
            step = _take_step(session, method, inputs)
            yield step if step.error is None else _take_other_step(session, step, others)


def _take_other_step(session: Session, failed: Step, others: Sequence[Inputs]) -> Step:
    """The method with another sample, where one suits it better than what it failed with."""
    if not isinstance(failed.error, InvalidModelOutput):
        for inputs in others:
            step = _take_step(session, failed.method, inputs)
            if step.error is None:
                return step
    return failed


def _take_step(session: Session, method: str, inputs: Inputs, kind: str = "") -> Step:
    """Ask a method. `kind`: how a typed one is called."""
    request = make_request(session.config, inputs)
    answers: list[MultiOutputResponse] = []
    error: ModelyardError | None = None
    first_s: float | None = None
    began = time.monotonic()
    try:
        for one in session.link.ask(kind or method, request.SerializeToString()):
            first_s = first_s or time.monotonic() - began
            answers.append(unwrap_results(MultiOutputResponse.FromString(one)))
        latency_s = time.monotonic() - began
        for answer in answers:
            check_answer(answer, method)
    except (WorkerCrashed, DeadlineExceeded) as lost:
        raise type(lost)(f"{method}: {lost.message}", hint=lost.hint, details=lost.details) from None
    except ModelyardError as raised:
        latency_s = time.monotonic() - began
        error = raised
    findings = () if error else _check(session, method, answers, len(inputs), kind)
    return Step(
        method=method,
        kind=kind or method,
        inputs=inputs,
        latency_s=latency_s,
        first_s=first_s,
        answers=tuple(answers),
        findings=findings,
        error=error or _make_error(findings),
    )


def _check(
    session: Session, method: str, answers: Sequence[MultiOutputResponse], inputs: int, kind: str
) -> tuple[Finding, ...]:
    """A typed method promises what its annotation says, which has been checked, and not what the model's type does."""
    config = session.config
    model_type_id = "" if kind else config.model.model_type_id
    return check_answers(
        answers,
        method=method,
        kind=kind or method,
        model_type_id=model_type_id,
        concepts=config.concepts,
        inputs=inputs,
    )


def _make_error(findings: Sequence[Finding]) -> InvalidModelOutput | None:
    broken = [one for one in findings if one.is_error]
    if not broken:
        return None
    message = "\n".join(f"{one.where}: {one.problem}" for one in broken)
    return InvalidModelOutput(message, hint="; ".join(dict.fromkeys(one.fix for one in broken if one.fix)))


def check_answer(answer: MultiOutputResponse, method: str) -> None:
    """Raise what an answer says of its own failure."""
    failure = find_failure(answer, method)
    if failure:
        raise failure
    if answer.status.code not in FINE:
        told = error_of(answer.status)
        raise told if isinstance(told, ModelError) else PredictionFailed(told.message, details=told.details)
