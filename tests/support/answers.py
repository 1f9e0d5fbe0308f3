"""A small V2 server over real gRPC: the tests say how each method answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc

from modelyard.wire.methods import load_methods


class Answers(grpc.GenericRpcHandler):
    """Answers by method name, and remembers what was asked."""

    def __init__(self) -> None:
        self.by_name: dict[str, Callable[[Any], Any]] = {}
        self.asked: list[tuple[str, Any]] = []
        self.authorizations: list[str] = []
        self.url = ""

    def service(self, handler_call_details: Any) -> Any:
        name = handler_call_details.method.rpartition("/")[2]
        if name not in self.by_name:
            return None
        self.authorizations.append(dict(handler_call_details.invocation_metadata)["authorization"])
        return self._make_handler(name)

    def _make_handler(self, name: str) -> Any:
        method, answer = load_methods()[name], self.by_name[name]
        codecs: dict[str, Any] = {
            "request_deserializer": method.request_type.FromString,
            "response_serializer": lambda message: message.SerializeToString(),
        }

        def one(request: Any, _: Any) -> Any:
            self.asked.append((name, request))
            return answer(request)

        def many(requests: Any, _: Any) -> Any:
            return answer(self._remember(name, requests))

        if name == "PostModelVersionsUpload" or name.startswith("Stream"):
            return grpc.stream_stream_rpc_method_handler(many, **codecs)
        if name.startswith("Generate"):
            return grpc.unary_stream_rpc_method_handler(one, **codecs)
        return grpc.unary_unary_rpc_method_handler(one, **codecs)

    def _remember(self, name: str, requests: Any) -> Iterator[Any]:
        for request in requests:
            self.asked.append((name, request))
            yield request

    def asked_of(self, name: str) -> list[Any]:
        return [request for asked, request in self.asked if asked == name]


@contextmanager
def serve_answers() -> Iterator[Answers]:
    """A server for the length of a block."""
    handler = Answers()
    server = grpc.server(ThreadPoolExecutor(4))
    server.add_generic_rpc_handlers((handler,))
    handler.url = f"http://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        yield handler
    finally:
        server.stop(None).wait()
