"""Turns requests into arguments of typed methods, and what they answer into outputs.

request ── which method? ── inputs -> arguments ── the author's method ── result -> output ── answer
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from itertools import zip_longest
from typing import Any

from modelyard.errors import InvalidModelOutput, InvalidRequest, NotImplementedByModel
from modelyard.sdk.model_class import take_tokens
from modelyard.sdk.runner import ModelRunner
from modelyard.sdk.typed.call import (
    is_plain,
    read_arguments,
    read_method_name,
    read_params,
    write_result,
)
from modelyard.sdk.typed.method import GENERATE, PREDICT, STREAM, Method
from modelyard.sdk.typed_marks import WHOLE_REQUESTS, list_typed_methods, takes_whole_requests
from modelyard.wire.messages import MultiOutputResponse, PostModelOutputsRequest
from modelyard.wire.signatures import encode_signatures
from modelyard.worker.answers import describe_value
from modelyard.worker.coroutines import finish_coroutine, iterate_async

_RPCS = {PREDICT: "PostModelOutputs", GENERATE: "GenerateModelOutputs", STREAM: "StreamModelOutputs"}
_END = object()
_PLACE = "inputs[0].data.metadata._method_name"


class TypedFront:
    """The `Front` of a class with typed methods."""

    def __init__(self, runner: ModelRunner) -> None:
        self._runner = runner
        self._methods = list_typed_methods(type(runner))
        self._takes_whole = takes_whole_requests(type(runner))
        self.signatures = encode_signatures(one.signature for one in self._methods.values())

    def predict(self, request: PostModelOutputsRequest, /) -> object:
        """One call for each input, in their order."""
        name = read_method_name(request)
        if not name and self._takes_whole:
            return getattr(self._runner, WHOLE_REQUESTS)(request)
        method = self._find(name, PREDICT)
        params = read_params(request)
        answer = MultiOutputResponse()
        for one in request.inputs:
            value = finish_coroutine(self._call(method, read_arguments(method, one.data, params)))
            self._add_output(answer, method, value, plainly=is_plain(one.data))
        return answer

    def generate(self, request: PostModelOutputsRequest, /) -> Iterator[MultiOutputResponse]:
        """Of several inputs, answers with one output for each; those that are through have an empty one."""
        method = self._find(read_method_name(request), GENERATE)
        params = read_params(request)
        arguments = [read_arguments(method, one.data, params) for one in request.inputs]
        plainly = [is_plain(one.data) for one in request.inputs]
        return self._generate(method, arguments, plainly)

    def stream(self, requests: Iterator[PostModelOutputsRequest], /) -> Iterator[MultiOutputResponse]:
        """The first request says which method, and brings the arguments; all bring an item of the iterator."""
        first = next(requests, None)
        if first is None:
            return iter(())
        method = self._find(read_method_name(first), STREAM)
        argument = method.stream_argument
        assert argument is not None
        params = read_params(first)
        arguments = read_arguments(method, _one_input(method, first).data, params)

        def iterate() -> Iterator[object]:
            if argument.name in arguments:
                yield arguments[argument.name]
            for one in requests:
                yield from read_arguments(method, _one_input(method, one).data, {}, (argument,)).values()

        return self._generate(method, [{**arguments, argument.name: iterate()}], [is_plain(first.inputs[0].data)])

    def _generate(
        self, method: Method, arguments: Sequence[dict[str, object]], plainly: Sequence[bool]
    ) -> Iterator[MultiOutputResponse]:
        iterators = [_iterate(self._call(method, one), method) for one in arguments]
        try:
            for values in zip_longest(*iterators, fillvalue=_END):
                answer = MultiOutputResponse()
                for value, is_plainly in zip(values, plainly):  # noqa: B905 - of equal length
                    if value is _END:
                        answer.outputs.add()
                    else:
                        self._add_output(answer, method, value, plainly=is_plainly)
                yield answer
        finally:
            for one in iterators:
                close: Callable[[], object] | None = getattr(one, "close", None)
                if close is not None:
                    close()

    def _find(self, name: str, kind: str) -> Method:
        """The method of this name, or the one that callers without a name mean."""
        method = self._methods.get(name or kind)
        if method is None and not name:
            of_kind = [one for one in self._methods.values() if one.kind == kind]
            method = of_kind[0] if len(of_kind) == 1 else None
        known = ", ".join(f"{one} ({method.kind})" for one, method in self._methods.items())
        if method is None and name:
            raise InvalidRequest(f"this model has no method {name[:80]!r}; it has {known}")
        if method is None:
            raise NotImplementedByModel(
                f"{kind} is not implemented by this model; it has {known}", hint=f"name a method in {_PLACE}"
            )
        if method.kind != kind:
            raise InvalidRequest(
                f"{method.name} is a method to {method.kind}, not to {kind}: {method}",
                hint=f"call {_RPCS[method.kind]}",
            )
        return method

    def _call(self, method: Method, arguments: dict[str, object]) -> Any:
        return getattr(self._runner, method.name)(**arguments)

    def _add_output(self, answer: MultiOutputResponse, method: Method, value: object, *, plainly: bool) -> None:
        output = answer.outputs.add()
        write_result(method, output.data, value, plainly=plainly)
        take_tokens(self._runner, output)


def _one_input(method: Method, request: PostModelOutputsRequest) -> Any:
    if len(request.inputs) != 1:
        raise InvalidRequest(f"{method.name}: a message of a stream has {len(request.inputs)} inputs; 1 is expected")
    return request.inputs[0]


def _iterate(values: object, method: Method) -> Iterator[object]:
    finished = finish_coroutine(values)
    if isinstance(finished, AsyncIterator):
        return iterate_async(finished)
    if isinstance(finished, Iterable) and not isinstance(finished, str | bytes | dict):
        return iter(finished)
    raise InvalidModelOutput(
        f"{method.name} gave {describe_value(finished)}; it has to yield: its annotation is {method.result.type_name}"
    )
