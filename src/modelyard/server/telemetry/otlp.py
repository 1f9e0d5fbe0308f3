"""Traces to a collector over OTLP, by OpenTelemetry's SDK: the extra `modelyard[otel]`, imported only where it is asked
for. Its settings (`OTEL_*`), its queue and its thread are used as they are; spans are made in one go.

Nothing that a request does waits for the collector: what it is too slow for, or not there for, is lost.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from urllib.parse import urlsplit

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http import trace_exporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, TraceFlags, set_span_in_context
from opentelemetry.trace.span import TraceState
from opentelemetry.trace.status import Status, StatusCode

from modelyard.errors import InvalidRequest
from modelyard.server.telemetry.sampling import make_sampler
from modelyard.server.telemetry.tracing import Caller, Trace, Tracing, Verdict, never

TRACES_PATH = "/v1/traces"
STOP_S = 3.0
"""How long the last spans may take to leave when the server stops."""
FINE = 10000
_TALKERS = ("opentelemetry.exporter", "opentelemetry.sdk._shared_internal")
"""They log every failure. Ours is one line when it begins, and one when it ends."""
_SCOPE = InstrumentationScope("modelyard")
_RECORDED = TraceFlags(TraceFlags.SAMPLED)

log = logging.getLogger(__name__)


class Otlp:
    """Sends what is recorded, from a thread of its own, until `stop`.

    Args:
        endpoint: The collector's address, as in `OTEL_EXPORTER_OTLP_ENDPOINT`; empty: what the environment says.

    Raises:
        InvalidRequest: The endpoint is no address, or the environment asks for another protocol or for nonsense.
    """

    def __init__(self, endpoint: str = "") -> None:
        _check_protocol(os.environ)
        for name in _TALKERS:
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)
        try:
            inner = trace_exporter.OTLPSpanExporter(endpoint=_find_address(endpoint) if endpoint else None)
            provider = TracerProvider(resource=_make_resource(), shutdown_on_exit=False)
            self._exporter = _OnceLogged(inner)
            self._processor = BatchSpanProcessor(self._exporter)
        except ValueError as error:
            raise InvalidRequest(f"OpenTelemetry's settings in the environment (OTEL_*): {error}") from None
        self._provider = provider
        sampler = make_sampler(os.environ)
        self.tracing = Tracing(
            sample=self._ask_sampler if sampler is None else sampler.sample,
            is_spent=never if sampler is None else sampler.is_spent,
            make_trace_id=provider.id_generator.generate_trace_id,
            make_span_id=provider.id_generator.generate_span_id,
            finish=self._finish,
        )

    def stop(self) -> None:
        """Send what is left, for `STOP_S` at most. Blocking."""
        leaving = threading.Thread(target=self._processor.shutdown, name="traces-leave", daemon=True)
        leaving.start()
        leaving.join(STOP_S)
        self._exporter.shutdown()

    def _ask_sampler(self, caller: Caller | None, trace_id: int, method: str) -> Verdict:
        context = None if caller is None else _make_context(caller)
        found = self._provider.sampler.should_sample(context, trace_id, method, SpanKind.SERVER)
        state = found.trace_state
        return Verdict(
            is_sampled=found.decision is Decision.RECORD_AND_SAMPLE, tracestate=state.to_header() if state else ""
        )

    def _finish(self, trace: Trace) -> None:
        for span in make_spans(trace, self._provider.resource):
            self._processor.on_end(span)


class _OnceLogged(SpanExporter):
    """Says once that spans are lost, and once that they arrive again."""

    def __init__(self, inner: SpanExporter) -> None:
        self._inner = inner
        self._is_failing = False
        self._is_shut = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        try:
            result = self._inner.export(spans)
        except Exception:  # noqa: BLE001  the boundary to a library: whatever it is, only spans are lost
            result = SpanExportResult.FAILURE
        is_failing = result is not SpanExportResult.SUCCESS
        if is_failing != self._is_failing:
            self._is_failing = is_failing
            if is_failing:
                log.warning("traces.lost reason='the collector does not take them' next='said again when it does'")
            else:
                log.info("traces.arrive")
        return result

    def shutdown(self) -> None:
        if not self._is_shut:
            self._is_shut = True
            self._inner.shutdown()


def make_spans(trace: Trace, resource: Resource) -> list[ReadableSpan]:
    """The spans of a request: the server's, and those of its queue and of the worker where it came so far."""
    state = TraceState.from_header([trace.tracestate]) if trace.tracestate else None

    def context(span_id: int) -> SpanContext:
        return SpanContext(trace.trace_id, span_id, is_remote=False, trace_flags=_RECORDED, trace_state=state)

    def at(moment: float) -> int:
        return trace.began_ns + int((moment - trace.began) * 1e9)

    own = context(trace.span_id)
    parent = SpanContext(trace.trace_id, trace.parent_id, is_remote=True) if trace.parent_id else None
    is_failed = trace.code not in (FINE, None)
    status = Status(StatusCode.ERROR) if is_failed else Status()

    def make(
        name: str,
        span: SpanContext,
        above: SpanContext | None,
        kind: SpanKind,
        times: tuple[float, float],
        attributes: dict[str, str | int | bool],
        end: Status,
    ) -> ReadableSpan:
        return ReadableSpan(
            name=name,
            context=span,
            parent=above,
            resource=resource,
            attributes=attributes,
            kind=kind,
            status=end,
            start_time=at(times[0]),
            end_time=at(times[1]),
            instrumentation_scope=_SCOPE,
        )

    spans = []
    if trace.waited is not None:
        span_id = trace.span_id ^ trace.worker_id or 1
        spans.append(make("queue", context(span_id), own, SpanKind.INTERNAL, trace.waited, {}, Status()))
    if trace.worked is not None:
        batch: dict[str, str | int | bool] = {}
        if trace.batch_inputs:
            batch["modelyard.batch.inputs"] = trace.batch_inputs
        spans.append(make("worker", context(trace.worker_id), own, SpanKind.CLIENT, trace.worked, batch, status))
    times = (trace.began, trace.ended)
    spans.append(make(trace.method, own, parent, SpanKind.SERVER, times, describe(trace), status))
    return spans


def describe(trace: Trace) -> dict[str, str | int | bool]:
    """What is told of a request: names of things that exist, and no text of the caller's."""
    told: dict[str, str | int | bool] = {
        "rpc.system": "grpc" if trace.is_grpc else "http",
        "rpc.service": "clarifai.api.V2",
        "rpc.method": trace.method,
        "modelyard.caller": trace.caller or "nobody",
    }
    if trace.code is None:
        told["modelyard.caller_left"] = True
    else:
        told["modelyard.status_code"] = trace.code
    if trace.model:
        told["modelyard.model"] = trace.model
    if trace.version_id:
        told["modelyard.version"] = trace.version_id
    told["modelyard.request_id"] = trace.request_id
    return told


def _make_context(caller: Caller) -> Context:
    trace_id, span_id, flags = caller.ids
    state = TraceState.from_header([caller.tracestate]) if caller.tracestate else None
    parent = SpanContext(trace_id, span_id, is_remote=True, trace_flags=TraceFlags(flags), trace_state=state)
    return set_span_in_context(NonRecordingSpan(parent), Context())


def _make_resource() -> Resource:
    """`OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` win."""
    told = Resource.create({SERVICE_VERSION: version("modelyard")})
    if "unknown_service" in str(told.attributes.get(SERVICE_NAME)):
        return told.merge(Resource({SERVICE_NAME: "modelyard"}))
    return told


def _find_address(endpoint: str) -> str:
    """Where spans go: the collector's address with the path of traces, as `OTEL_EXPORTER_OTLP_ENDPOINT` is read."""
    parts = urlsplit(endpoint)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InvalidRequest(
            f"--otlp {endpoint!r}: a collector's address is http:// or https://, a host and a port",
            hint="as in --otlp http://127.0.0.1:4318, where collectors take OTLP over HTTP",
        )
    return endpoint if parts.path.endswith(TRACES_PATH) else endpoint.rstrip("/") + TRACES_PATH


def _check_protocol(environ: Mapping[str, str]) -> None:
    names = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
    for name in names:
        asked = environ.get(name, "").strip()
        if asked == "http/protobuf":
            return
        if asked:
            raise InvalidRequest(
                f"{name}={asked}: spoken is http/protobuf",
                hint="collectors take it on port 4318: unset the variable, and give the address with --otlp",
            )
