"""A collector of OpenTelemetry spans over OTLP/HTTP on the loopback, which reads them with the published messages."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status


@dataclass(kw_only=True)
class Arrived:
    """A span as it arrived."""

    span: Span
    attributes: dict[str, object] = field(default_factory=dict)
    resource: dict[str, object] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.span.name

    @property
    def is_failed(self) -> bool:
        return self.span.status.code == Status.STATUS_CODE_ERROR


class Collector:
    """Listens for the length of a `with` block."""

    def __init__(self) -> None:
        self._spans: list[Arrived] = []
        self._changed = threading.Condition()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._make_handler())
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Collector:
        self._thread.start()
        return self

    def __exit__(self, *_raised: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def wait(self, is_wanted: Callable[[list[Arrived]], bool], timeout_s: float = 30) -> list[Arrived]:
        """All spans, once they are what is wanted."""
        with self._changed:
            assert self._changed.wait_for(lambda: is_wanted(self._spans), timeout_s), self._spans
            return list(self._spans)

    def wait_for_request(self, request_id: str, timeout_s: float = 30) -> dict[str, Arrived]:
        """The spans of one request by name, once the server's, which comes last, is here."""
        found = self.wait(
            lambda spans: any(one.attributes.get("modelyard.request_id") == request_id for one in spans), timeout_s
        )
        own = next(one for one in found if one.attributes.get("modelyard.request_id") == request_id)
        children = [one for one in found if one.span.parent_span_id == own.span.span_id]
        return {"server": own, **{one.name: one for one in children}}

    def _take(self, body: bytes) -> None:
        message = ExportTraceServiceRequest.FromString(body)
        with self._changed:
            for group in message.resource_spans:
                resource = {one.key: _read(one.value) for one in group.resource.attributes}
                for scope in group.scope_spans:
                    for span in scope.spans:
                        attributes = {one.key: _read(one.value) for one in span.attributes}
                        self._spans.append(Arrived(span=span, attributes=attributes, resource=resource))
            self._changed.notify_all()

    def _make_handler(self) -> type[BaseHTTPRequestHandler]:
        take = self._take

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.path != "/v1/traces":
                    self.send_error(404)
                    return
                take(gzip.decompress(body) if self.headers.get("content-encoding") == "gzip" else body)
                answer = ExportTraceServiceResponse().SerializeToString()
                self.send_response(200)
                self.send_header("content-type", "application/x-protobuf")
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_told: object) -> None:
                """Quiet."""

        return Handler


def _read(value: object) -> object:
    kind = value.WhichOneof("value")  # type: ignore[attr-defined]
    return getattr(value, kind) if kind else None
