"""The probes of a conformance run: each sends what production will, and says whether the model survives it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from modelyard.errors import DeadlineExceeded, ModelBusy, ModelyardError, WorkerCrashed
from modelyard.local.bench import Bench, explain, list_gists
from modelyard.local.hard_inputs import kinds_of, make_broken, make_empty, make_huge, make_other, make_wrong
from modelyard.local.machine import read_memory_of_group_bytes, show_bytes
from modelyard.local.session import start_session
from modelyard.local.traffic import Pending
from modelyard.wire.messages import Input, PostModelOutputsRequest

AT_ONCE = 8
MANY_INPUTS = 16
MANY_REQUESTS = 60
GROWTH_BYTES = 32 << 20
"""Memory that a model may keep after `MANY_REQUESTS`: caches fill, allocators round up."""
LEAVE_S = 10.0
"""How long a process may take to leave after SIGTERM when its requests are answered."""
ODD_PARAMS = {"temperature": "hot", "max_tokens": -1, "top_p": 1e9, "no_such_parameter": [1, {"a": None}]}


class Verdict(Enum):
    """What a probe found."""

    SURVIVED = "survived"
    UNUSUAL = "unusual"
    """Survived, and yet worth a look."""
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What one probe found, and why."""

    verdict: Verdict
    reason: str = ""
    fix: str = ""


Run = Callable[[Bench], Outcome]


@dataclass(frozen=True, kw_only=True)
class Probe:
    """One thing that production does."""

    name: str
    what: str
    run: Run


FINE = Outcome(verdict=Verdict.SURVIVED)


def skip(bench: Bench) -> Outcome:
    """Nothing is sent: whoever runs the probes looks by themselves."""
    del bench
    return Outcome(verdict=Verdict.SKIPPED)


def survive_empty(bench: Bench) -> Outcome:
    """An input without anything, and one of each kind without content."""
    return _send_each(bench, make_empty(kinds_of(bench.inputs)), "an empty input")


def survive_huge(bench: Bench) -> Outcome:
    """An input that is right, and far larger than what the model was tried with."""
    kinds = kinds_of(bench.inputs)
    return _send_each(bench, [make_huge(kind) for kind in kinds[-1:]], f"a huge {' '.join(kinds[-1:])}")


def survive_wrong_kind(bench: Bench) -> Outcome:
    """Kinds of data that the model does not take."""
    return _send_each(bench, make_wrong(kinds_of(bench.inputs)), "an input of another kind")


def survive_broken(bench: Bench) -> Outcome:
    """Data that is damaged, or text of odd characters."""
    broken = [one for kind in kinds_of(bench.inputs) for one in make_broken(kind)]
    return _send_each(bench, broken, "a damaged input")


def keep_neighbours(bench: Bench) -> Outcome:
    """A damaged input beside a good one: the good one should get its answer."""
    if bench.method != "predict":
        return Outcome(verdict=Verdict.SKIPPED, reason="the class has no predict")
    media = [kind for kind in kinds_of(bench.inputs) if kind != "text"]
    bad = make_broken(media[0])[1] if media else Input()
    pending = _ask(bench, bench.make_request(bench.inputs[0], bad))
    if pending.error:
        return Outcome(
            verdict=Verdict.UNUSUAL,
            reason=f"one damaged input fails the whole request: {pending.error.message}",
            fix="catch the error in the loop over inputs, and answer an Output whose status says it failed",
        )
    count = len(pending.answers[0].outputs)
    return FINE if count == 2 else _fail(f"{count} outputs for 2 inputs", "answer one Output for each input")


def keep_order(bench: Bench) -> Outcome:
    """Many inputs in one request: as many outputs, in order."""
    if bench.method != "predict":
        return Outcome(verdict=Verdict.SKIPPED, reason="the class has no predict")
    given = [make_other(bench.inputs[0], number % 2) for number in range(MANY_INPUTS)]
    pending = _ask(bench, bench.make_request(*given))
    if error := explain(pending):
        return _fail(f"a request of {MANY_INPUTS} inputs: {error.message}", "answer one Output for each input")
    outputs = pending.answers[0].outputs
    if len(outputs) != MANY_INPUTS:
        return _fail(f"{len(outputs)} outputs for {MANY_INPUTS} inputs", "answer one Output for each input, in order")
    alone = [list_gists(_ask(bench, bench.make_request(given[at])).answers)[:1] for at in (0, 1)]
    mixed = sum([gist] != alone[at % 2] for at, gist in enumerate(list_gists(pending.answers)))
    if bench.baseline.is_steady and mixed:
        return _fail(
            f"{mixed} of {MANY_INPUTS} inputs in one request got another answer than alone",
            "keep outputs in the order of the inputs, and look whether padding changes the result",
        )
    return FINE


def survive_params(bench: Bench) -> Outcome:
    """Parameters that the model does not know, and known ones of the wrong type."""
    request = bench.make_request()
    request.model.model_version.output_info.params.update(ODD_PARAMS)
    return _judge(_ask(bench, request), "parameters of the wrong type")


def stop_when_cancelled(bench: Bench) -> Outcome:
    """A caller leaves after the first answer of a stream: the generator should be closed, and its thread be free."""
    if "generate" not in bench.session.methods:
        return Outcome(verdict=Verdict.SKIPPED, reason="the class has no generate")
    threads = max(bench.prepared.config.num_threads, 1)
    streams = [bench.traffic.start("generate", bench.make_request(method="generate")) for _ in range(threads)]
    bench.traffic.wait_for(lambda: all(one.answers or one.is_over for one in streams), timeout_s=bench.patience_s)
    for one in streams:
        bench.traffic.cancel(one)
    return _expect_free(bench, "after a caller left a stream", "yield often: it ends at its next yield")


def survive_half_stream(bench: Bench) -> Outcome:
    """A caller sends one message of a stream, says nothing more, and leaves."""
    if "stream" not in bench.session.methods:
        return Outcome(verdict=Verdict.SKIPPED, reason="the class has no stream")
    pending = bench.traffic.start("stream", bench.make_request(method="stream"), stays_open=True)
    try:
        bench.traffic.wait_for(
            lambda: bool(pending.answers) or pending.is_over, timeout_s=2.0 + bench.baseline.latency_s
        )
        answered = True
    except DeadlineExceeded:
        answered = False
    bench.traffic.cancel(pending)
    free = _expect_free(bench, "after a caller left a stream half-way", "do not wait for the end of the requests")
    if free is FINE and not answered:
        return Outcome(
            verdict=Verdict.UNUSUAL,
            reason="it answers only when the caller has sent everything",
            fix="yield an answer in the loop over the requests, so that a live caller gets it at once",
        )
    return free


def survive_deadline(bench: Bench) -> Outcome:
    """The caller's time is over while predict works: the next one is answered."""
    pending = bench.traffic.start(bench.method, bench.make_request())
    time.sleep(bench.baseline.latency_s / 2)
    bench.traffic.cancel(pending)
    return _expect_free(bench, "after a caller's deadline passed", "bound the time that one request takes")


def keep_apart(bench: Bench) -> Outcome:
    """Eight callers at once: each gets its own answer."""
    requests = [bench.make_request(make_other(bench.inputs[0], number)) for number in range(AT_ONCE)]
    alone = [list_gists(_ask(bench, request).answers) for request in requests] if bench.baseline.is_steady else []
    together = [bench.traffic.start(bench.method, request) for request in requests]
    bench.traffic.wait(*together, timeout_s=bench.patience_s * AT_ONCE)
    for one in together:
        if error := explain(one):
            return _fail(f"{AT_ONCE} requests at once: {error.message}", "keep what belongs to a request out of self")
    mixed = sum(list_gists(one.answers) != expected for one, expected in zip(together, alone, strict=False))
    if mixed:
        threads = bench.prepared.config.num_threads
        return _fail(
            f"{mixed} of {AT_ONCE} requests at once got another answer than alone (num_threads is {max(threads, 1)})",
            "keep what belongs to a request out of self, guard what is shared with a lock, or set num_threads: 1",
        )
    return FINE


def keep_memory(bench: Bench) -> Outcome:
    """Many requests: memory should not grow with their number."""
    for _ in range(5):
        bench.ask(bench.make_request())
    before = read_memory_of_group_bytes(bench.session.process_id)
    end, count = time.monotonic() + bench.patience_s, 0
    while count < MANY_REQUESTS and time.monotonic() < end:
        bench.ask(bench.make_request())
        count += 1
    grown = read_memory_of_group_bytes(bench.session.process_id) - before
    if grown <= GROWTH_BYTES:
        return FINE
    return Outcome(
        verdict=Verdict.UNUSUAL,
        reason=f"memory grew by {show_bytes(grown)} in {count} requests",
        fix="look for lists or caches that keep every request",
    )


def start_twice(bench: Bench) -> Outcome:
    """A second replica beside the first: as in a rollout, or with more replicas."""
    try:
        with start_session(bench.prepared, bench.options, bench.tell) as second:
            for _ in second.link.ask(bench.method, bench.make_request().SerializeToString()):
                pass
    except ModelyardError as error:
        return _fail(f"a second replica beside the first: {error.message}", "take no fixed port, file or device lock")
    return FINE


def leave_in_order(bench: Bench) -> Outcome:
    """SIGTERM while requests are in hand: they are answered, and the process leaves."""
    pending = [bench.traffic.start(bench.method, bench.make_request()) for _ in range(AT_ONCE)]
    bench.traffic.wait_taken(timeout_s=bench.patience_s)  # what lies in the socket is in nobody's hand
    process_id = bench.session.process_id
    os.kill(process_id, signal.SIGTERM)
    lost = ""
    try:
        bench.traffic.wait(*pending, timeout_s=bench.patience_s * AT_ONCE)
    except DeadlineExceeded as error:
        lost = error.message
    except WorkerCrashed:
        lost = "the process left before it had answered"
    refused = [one for one in pending if one.error and not isinstance(one.error, ModelBusy)]
    has_left = _wait_gone(bench, LEAVE_S)
    bench.drop()
    if lost and not all(one.is_over for one in pending):
        open_ones = sum(not one.is_over for one in pending)
        return _fail(f"SIGTERM lost {open_ones} of {AT_ONCE} requests: {lost}", "leave signals to the platform")
    if refused:
        return _fail(f"SIGTERM failed a request: {refused[0].error}", "leave signals to the platform")
    if not has_left:
        return _fail(f"the process was still there {LEAVE_S:g} s after SIGTERM", "make threads of your own daemons")
    return FINE


PROBES: tuple[Probe, ...] = (
    Probe(name="empty", what="an empty input, and one without content", run=survive_empty),
    Probe(name="huge", what="an input far larger than usual", run=survive_huge),
    Probe(name="wrong-kind", what="an image for a text model, a text for an image model, ...", run=survive_wrong_kind),
    Probe(name="broken", what="cut off and random bytes, odd characters", run=survive_broken),
    Probe(name="neighbours", what="a damaged input beside a good one", run=keep_neighbours),
    Probe(name="batch", what=f"{MANY_INPUTS} inputs in one request", run=keep_order),
    Probe(name="params", what="parameters that are unknown or of the wrong type", run=survive_params),
    Probe(name="cancel", what="callers that leave in the middle of a stream", run=stop_when_cancelled),
    Probe(name="half-stream", what="a caller that sends half a stream and leaves", run=survive_half_stream),
    Probe(name="deadline", what="a deadline that passes during a request", run=survive_deadline),
    Probe(name="at-once", what=f"{AT_ONCE} requests at once", run=keep_apart),
    Probe(name="memory", what=f"{MANY_REQUESTS} requests one after the other", run=keep_memory),
    Probe(name="replicas", what="a second replica beside the first", run=start_twice),
    Probe(name="sigterm", what="SIGTERM with requests in hand", run=leave_in_order),
)


def _send_each(bench: Bench, inputs: Sequence[Input], what: str) -> Outcome:
    """Each input in a request of its own. An error that names the author's line is an answer, too."""
    for one in inputs:
        found = _judge(_ask(bench, bench.make_request(one)), what)
        if found is not FINE:
            return found
    return FINE


def _judge(pending: Pending, what: str) -> Outcome:
    if pending.error or pending.answers:
        return FINE
    return _fail(f"{what} got neither an answer nor an error", "answer an Output for each input, or raise")


def _ask(bench: Bench, request: PostModelOutputsRequest) -> Pending:
    """Send and wait. Raises DeadlineExceeded and WorkerCrashed, which are failures of the probe."""
    pending = bench.traffic.start(bench.method, request)
    bench.traffic.wait(pending, timeout_s=bench.patience_s)
    return pending


def _expect_free(bench: Bench, when: str, fix: str) -> Outcome:
    """Is an ordinary request answered soon, on every thread?"""
    threads = max(bench.prepared.config.num_threads, 1)
    requests = [bench.traffic.start(bench.method, bench.make_request()) for _ in range(threads)]
    try:
        bench.traffic.wait(*requests, timeout_s=bench.patience_s)
    except DeadlineExceeded:
        bench.drop()
        return _fail(f"{when} the next requests got no answer within {bench.patience_s:.0f} s", fix)
    return FINE


def _wait_gone(bench: Bench, timeout_s: float) -> bool:
    """Has the worker closed its connection, which it does when it leaves?"""
    try:
        bench.traffic.wait_for(lambda: False, timeout_s=timeout_s)
    except WorkerCrashed:
        return True
    except DeadlineExceeded:
        return False
    raise AssertionError("a condition that never holds cannot be reached")


def _fail(reason: str, fix: str) -> Outcome:
    return Outcome(verdict=Verdict.FAILED, reason=reason, fix=fix)


def choose_probes(names: Sequence[str]) -> Iterator[Probe]:
    """The probes of these names, in their own order; all without names."""
    return (probe for probe in PROBES if not names or probe.name in names)
