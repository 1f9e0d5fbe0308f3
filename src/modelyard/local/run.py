"""Test a model folder on this machine: its environment, its worker, and one request to each of its methods."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from modelyard.client.outputs import find_failure
from modelyard.errors import (
    DeadlineExceeded,
    ModelError,
    ModelLoadFailed,
    ModelyardError,
    NotImplementedByModel,
    PredictionFailed,
    WorkerCrashed,
)
from modelyard.local.link import LocalLink
from modelyard.local.request import make_request, make_sample
from modelyard.local.worker import start_worker
from modelyard.parts.cache_dir import default_cache_dir
from modelyard.parts.environment import Environments
from modelyard.parts.folder import CheckedFolder, check_folder
from modelyard.parts.launch import stage_runtime
from modelyard.wire.handshake import FAILED
from modelyard.wire.messages import Input, MultiOutputResponse, PostModelOutputsRequest, StatusCode
from modelyard.wire.status import error_of

METHODS = ("predict", "generate", "stream")
TIMEOUT_S = 600.0
FINE = (StatusCode.ZERO, StatusCode.SUCCESS)
Tell = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Step:
    """One method that was asked."""

    method: str
    latency_s: float
    """Until its last answer."""
    first_s: float | None
    """Until its first answer; None where there was none."""
    answers: tuple[MultiOutputResponse, ...]
    error: ModelyardError | None = None


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a test run found."""

    model_id: str
    model_type_id: str
    python_version: str
    warnings: tuple[str, ...]
    environment_s: float
    load_s: float
    """From the start of the process until the model was loaded."""
    steps: tuple[Step, ...]

    @property
    def error(self) -> ModelyardError | None:
        """The first failure of a method, if there was one."""
        return next((step.error for step in self.steps if step.error), None)


@dataclass(frozen=True, kw_only=True)
class Options:
    """What a test run may be told."""

    inputs: Sequence[Input] = ()
    """Empty: a sample that fits the model's type."""
    cache_dir: Path | None = None
    timeout_s: float = TIMEOUT_S
    """How long the model may say nothing."""


def run_folder(folder: Path, options: Options, *, tell_build: Tell, tell_line: Tell) -> Report:
    """Test a folder. Blocking; the second run of the same requirements finds its environment made.

    Args:
        folder: The model folder.
        options: Inputs, cache and patience.
        tell_build: Takes each line about the environment.
        tell_line: Takes each line that the model prints.

    Returns:
        What was found. A method that failed is in it, with its error.

    Raises:
        InvalidConfig, InvalidFolder: the folder cannot be built.
        BuildFailed: its requirements cannot be installed.
        ModelLoadFailed: importing the model, or its load_model, raised.
        NotImplementedByModel: the class has none of the three methods.
        WorkerCrashed: the process died.
        DeadlineExceeded: it said nothing for longer than the options allow; the message names the method.
    """
    checked = check_folder(folder)
    inputs = list(options.inputs) or [make_sample(checked.config.model.model_type_id)]
    request = make_request(checked.config, inputs)
    cache = options.cache_dir or default_cache_dir()
    began = time.monotonic()
    python, python_version = _make_environment(folder, checked, cache, tell_build)
    environment_s = time.monotonic() - began
    began = time.monotonic()
    with start_worker(
        python=python,
        runtime=stage_runtime(cache / "runtime"),
        folder=folder.absolute(),
        bytecode=cache.absolute() / "bytecode",
        threads=max(checked.config.num_threads, 1),
        timeout_s=options.timeout_s,
        log=tell_line,
    ) as link:
        methods = _wait_loaded(link)
        load_s = time.monotonic() - began
        steps = tuple(_take_steps(link, methods, request))
    return Report(
        model_id=checked.config.model.id,
        model_type_id=checked.config.model.model_type_id,
        python_version=python_version,
        warnings=checked.warnings,
        environment_s=environment_s,
        load_s=load_s,
        steps=steps,
    )


def _make_environment(folder: Path, checked: CheckedFolder, cache: Path, tell: Tell) -> tuple[Path, str]:
    """The interpreter, and which Python it is."""
    environments = Environments(cache / "environments")
    text = (folder / "requirements.txt").read_text(encoding="utf-8-sig")
    lock = environments.lock(text, checked.config.python_version, tell)
    return environments.install(lock, tell).python, lock.python_version


def _wait_loaded(link: LocalLink) -> frozenset[str]:
    state = link.wait_loaded()
    if state.state == FAILED:
        raise ModelLoadFailed(state.message, details=state.details)
    if not state.methods:
        raise NotImplementedByModel("the class implements neither predict, generate nor stream")
    return state.methods


def _take_steps(link: LocalLink, methods: frozenset[str], request: PostModelOutputsRequest) -> Iterator[Step]:
    """Ask every method; an author's error in one does not keep the next from being asked."""
    payload: bytes = request.SerializeToString()
    for method in METHODS:
        if method in methods:
            yield _take_step(link, method, payload)


def _take_step(link: LocalLink, method: str, payload: bytes) -> Step:
    answers: list[MultiOutputResponse] = []
    error: ModelyardError | None = None
    first_s: float | None = None
    began = time.monotonic()
    try:
        for one in link.ask(method, payload):
            first_s = first_s or time.monotonic() - began
            answers.append(MultiOutputResponse.FromString(one))
        for answer in answers:
            check_answer(answer, method)
    except (WorkerCrashed, DeadlineExceeded) as lost:
        raise type(lost)(f"{method}: {lost.message}", hint=lost.hint, details=lost.details) from None
    except ModelyardError as raised:
        error = raised
    latency_s = time.monotonic() - began
    return Step(method=method, latency_s=latency_s, first_s=first_s, answers=tuple(answers), error=error)


def check_answer(answer: MultiOutputResponse, method: str) -> None:
    """Raise what an answer says of its own failure."""
    failure = find_failure(answer, method)
    if failure:
        raise failure
    if answer.status.code not in FINE:
        told = error_of(answer.status)
        raise told if isinstance(told, ModelError) else PredictionFailed(told.message, details=told.details)
