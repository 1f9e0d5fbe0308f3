from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

from modelyard.errors import InvalidRequest, ModelBusy
from modelyard.server.routing.queues import QueueLimits
from modelyard.server.routing.router import Router
from modelyard.server.telemetry.otlp import Otlp, make_spans
from modelyard.server.telemetry.sampling import TRACES_PER_S, make_sampler
from modelyard.server.telemetry.telemetry import Telemetry
from modelyard.server.telemetry.tracing import Caller, Trace, Tracing, Verdict, current_trace, read_caller
from support.links import FakeLink, settle
from support.replicas import ALL_METHODS

PARENT = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


class Recorded:
    """Every request is sampled, and kept."""

    def __init__(self) -> None:
        self.traces: list[Trace] = []
        ids = iter(range(1, 1000))
        self.tracing = Tracing(
            sample=lambda caller, trace_id, method: Verdict(is_sampled=True),
            make_trace_id=lambda: next(ids),
            make_span_id=lambda: next(ids),
            finish=self.traces.append,
        )

    def begin(self) -> Trace:
        trace = self.tracing.begin("PostModelOutputs", "r1", [(b"content-type", b"application/grpc+proto")])
        assert trace is not None
        return trace


@given(st.lists(st.tuples(st.sampled_from([b"traceparent", b"tracestate", b"te"]), st.binary(max_size=70))))
def test_any_headers_have_a_caller_or_none(headers: list[tuple[bytes, bytes]]) -> None:
    read_caller(headers)


@pytest.mark.parametrize(
    "parent",
    [
        b"",
        PARENT[:-1],
        PARENT.upper(),
        PARENT + b"-00",
        PARENT.replace(b"00-4bf", b"ff-4bf"),
        b"00-" + b"0" * 32 + b"-00f067aa0ba902b7-01",
        b"00-4bf92f3577b34da6a3ce929d0e0e4736-" + b"0" * 16 + b"-01",
    ],
)
def test_trace_header_that_is_none_is_left_out(parent: bytes) -> None:
    assert read_caller([(b"traceparent", parent)]) is None


def test_states_of_several_headers_are_one_list() -> None:
    headers = [(b"tracestate", b"a=1"), (b"traceparent", PARENT), (b"tracestate", b"b=2")]
    assert read_caller(headers) == Caller(PARENT.decode(), "a=1,b=2")


def test_state_that_could_break_a_line_is_left_out() -> None:
    assert read_caller([(b"traceparent", PARENT), (b"tracestate", b"a=1\nb")]) == Caller(PARENT.decode(), "")


async def test_waiting_for_a_replica_is_a_span_beside_its_work() -> None:
    recorded, link = Recorded(), FakeLink()
    router = Router(telemetry=Telemetry(recorded.tracing))
    router.add("r", "v1", link, 1, ALL_METHODS)

    async def ask() -> None:
        trace = recorded.begin()
        assert current_trace() is trace
        await router.call("v1", b"payload", deadline=None)
        trace.end(10000)

    first, second = asyncio.create_task(ask()), asyncio.create_task(ask())
    await settle()
    link.answer()
    await settle()
    link.answer()
    await asyncio.gather(first, second)
    spans = [make_spans(one, Resource({})) for one in recorded.traces]
    assert [[span.name for span in one] for one in spans] == [
        ["worker", "PostModelOutputs"],
        ["queue", "worker", "PostModelOutputs"],
    ]
    queue, worker, server = spans[1]
    assert queue.parent == worker.parent == server.context
    assert queue.end_time <= worker.start_time <= worker.end_time <= server.end_time
    assert len({span.context.span_id for span in spans[1]}) == 3
    assert current_trace() is None


async def test_request_that_is_refused_has_no_worker() -> None:
    recorded, link = Recorded(), FakeLink()
    router = Router(queue=QueueLimits(size=1), telemetry=Telemetry(recorded.tracing))
    router.add("r", "v1", link, 1, ALL_METHODS)
    holding = [asyncio.create_task(router.call("v1", b"", deadline=None)) for _ in range(2)]
    await settle()
    trace = recorded.begin()
    with pytest.raises(ModelBusy):
        await router.call("v1", b"", deadline=None)
    trace.end(21303)
    assert recorded.traces[0].worked is None
    for one in holding:
        one.cancel()
    await asyncio.gather(*holding, return_exceptions=True)


def test_caller_who_left_is_no_error() -> None:
    recorded = Recorded()
    recorded.begin().end(None)
    span = make_spans(recorded.traces[0], Resource({}))[-1]
    assert span.status.is_ok or span.status.is_unset
    assert dict(span.attributes or {})["modelyard.caller_left"] is True


SAMPLERS = ["always_on", "always_off", "traceidratio"]
SAMPLERS += [f"parentbased_{one}" for one in SAMPLERS]


@given(
    st.sampled_from(SAMPLERS),
    st.sampled_from(["0", "0.01", "0.3", "1", "1.0"]),
    st.integers(1, 2**128 - 1),
    st.booleans(),
)
def test_samplers_decide_as_the_sdks_do(name: str, share: str, trace_id: int, is_sampled: bool) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OTEL_TRACES_SAMPLER", name)
        patch.setenv("OTEL_TRACES_SAMPLER_ARG", share)
        theirs = TracerProvider(shutdown_on_exit=False).sampler
    ours = make_sampler({"OTEL_TRACES_SAMPLER": name, "OTEL_TRACES_SAMPLER_ARG": share})
    assert ours is not None
    flags = "01" if is_sampled else "00"
    for caller in (None, Caller(f"00-{trace_id:032x}-00f067aa0ba902b7-{flags}", "a=1")):
        parent = SpanContext(trace_id, 7, is_remote=True, trace_flags=TraceFlags(int(is_sampled)))
        context = set_span_in_context(NonRecordingSpan(parent), Context()) if caller else Context()
        found = theirs.should_sample(context, trace_id, "PostModelOutputs")
        verdict = ours.sample(caller, trace_id, "PostModelOutputs")
        assert verdict.is_sampled == (found.decision is Decision.RECORD_AND_SAMPLE)


@pytest.mark.parametrize(
    ("name", "share"), [("theirs", ""), ("parentbased_", ""), ("traceidratio", "half"), ("traceidratio", "2")]
)
def test_samplers_of_others_are_left_to_the_sdk(name: str, share: str) -> None:
    assert make_sampler({"OTEL_TRACES_SAMPLER": name, "OTEL_TRACES_SAMPLER_ARG": share}) is None


def test_without_a_sampler_so_many_begin_in_a_second_and_callers_decide_for_themselves() -> None:
    now = [0.0]
    sampler = make_sampler({}, lambda: now[0])
    assert sampler is not None
    limit = int(TRACES_PER_S)

    def count(caller: Caller | None, requests: int) -> int:
        return sum(sampler.sample(caller, number, "PostModelOutputs").is_sampled for number in range(requests))

    assert not sampler.is_spent()
    assert count(None, 3 * limit) == limit
    assert sampler.is_spent()
    assert count(Caller(PARENT.decode(), ""), 3 * limit) == 3 * limit
    assert count(Caller(PARENT.decode()[:-2] + "00", ""), limit) == 0
    now[0] += 0.5
    assert not sampler.is_spent()
    assert count(None, limit) == limit // 2
    now[0] += 60.0
    assert count(None, 3 * limit) == limit


@pytest.mark.parametrize("endpoint", ["127.0.0.1:4318", "ftp://127.0.0.1", "http://"])
def test_endpoint_that_is_no_address_is_told(endpoint: str) -> None:
    with pytest.raises(InvalidRequest, match="--otlp"):
        Otlp(endpoint)


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "http/protobuf"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "-1", "max_queue_size"),
    ],
)
def test_settings_of_the_environment_that_cannot_be_are_told(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, told: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(InvalidRequest, match=told):
        Otlp("http://127.0.0.1:4318")
