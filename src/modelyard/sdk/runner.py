"""ModelRunner: what the class in `1/model.py` inherits from, and which of its methods an author has written."""

from __future__ import annotations

import dis
from collections.abc import Iterable, Iterator
from types import FunctionType
from typing import TYPE_CHECKING, NoReturn, Protocol

from modelyard.errors import NotImplementedByModel
from modelyard.sdk.typed_marks import list_typed_methods, takes_whole_requests

if TYPE_CHECKING:
    from modelyard.data.base import DataMessage

METHODS = ("predict", "generate", "stream")


class InputMessage(Protocol):
    """One input of a request: the public V2 `Input`."""

    @property
    def id(self) -> str: ...
    @property
    def data(self) -> DataMessage: ...


class Request(Protocol):
    """What the methods are given: the public V2 `PostModelOutputsRequest`."""

    @property
    def inputs(self) -> Iterable[InputMessage]: ...
    @property
    def model(self) -> object: ...


class Response(Protocol):
    """What the methods answer: the public V2 `MultiOutputResponse`, one output for each input."""

    @property
    def outputs(self) -> Iterable[object]: ...


class ModelRunner:
    """Base of the author's class. Implement `load_model` and at least one of `predict`, `generate` and `stream`.

    Several threads call the methods at once (`num_threads` in config.yaml), on one object, after one `load_model`.

    Example:
        >>> from clarifai_grpc.grpc.api import resources_pb2, service_pb2
        >>> from clarifai_grpc.grpc.api.status import status_code_pb2, status_pb2
        >>> class Shout(ModelRunner):
        ...     def load_model(self):
        ...         self.mark = "!"
        ...
        ...     def predict(self, request):
        ...         ok = status_pb2.Status(code=status_code_pb2.SUCCESS)
        ...         answers = [resources_pb2.Text(raw=one.data.text.raw.upper() + self.mark) for one in request.inputs]
        ...         outputs = [resources_pb2.Output(status=ok, data=resources_pb2.Data(text=text)) for text in answers]
        ...         return service_pb2.MultiOutputResponse(outputs=outputs)
    """

    def __init__(self, *args: object, **kwargs: object) -> None:
        """Needs nothing. Published runners hand ids up to their base (`runner_id`, ...): they are ignored."""
        del args, kwargs
        super().__init__()

    def load_model(self) -> None:
        """Load weights and make ready. Called once, before any request, with the model folder as working directory."""

    def predict(self, request: Request, /) -> Response:
        """Answer one request.

        Args:
            request: A `PostModelOutputsRequest`; `request.inputs[i].data` holds the text, image, audio or video, and
                `request.model.model_version` the concepts and, in `output_info.params`, the caller's parameters.

        Returns:
            A `MultiOutputResponse` with one output for each input, in their order.

        Raises:
            NotImplementedByModel: The class does not implement it.
        """
        del request
        _refuse("predict")

    def generate(self, request: Request, /) -> Iterator[Response]:
        """Answer one request piece by piece: yield a `MultiOutputResponse` as soon as there is something to show.

        Args:
            request: As in `predict`.

        Raises:
            NotImplementedByModel: The class does not implement it.
        """
        del request
        _refuse("generate")

    def stream(self, request_iterator: Iterator[Request], /) -> Iterator[Response]:
        """Answer a stream of requests with a stream of answers: iterate, and yield whenever there is an answer.

        Args:
            request_iterator: Requests as in `predict`; it waits for the caller's next one and ends when they are done.

        Raises:
            NotImplementedByModel: The class does not implement it.
        """
        del request_iterator
        _refuse("stream")


def implemented_methods(cls: type[ModelRunner]) -> frozenset[str]:
    """Say which of `predict`, `generate` and `stream` the class answers.

    A body that is only `pass` (as in the guide's skeleton), or only raises NotImplementedError, is not an answer. Typed
    methods of any name count as what they are called like.
    """
    typed = list_typed_methods(cls)
    if typed or takes_whole_requests(cls):
        kinds = {one.kind for one in typed.values()}
        return frozenset(kinds | {"predict"} if takes_whole_requests(cls) else kinds)
    return frozenset(name for name in METHODS if _is_implemented(cls, name))


def _refuse(method: str) -> NoReturn:
    raise NotImplementedByModel(
        f"{method} is not implemented by this model", hint=f"define `{method}` in the class of 1/model.py"
    )


def _is_implemented(cls: type[ModelRunner], name: str) -> bool:
    method: object = getattr(cls, name)
    if method is getattr(ModelRunner, name):
        return False
    return not (isinstance(method, FunctionType) and (_does_nothing(method) or _only_refuses(method)))


def _does_nothing(function: FunctionType) -> bool:
    code = function.__code__
    opcodes = {instruction.opname for instruction in dis.get_instructions(code)}
    constants = {value for value in code.co_consts if value is not None} - {function.__doc__}
    return opcodes <= {"RESUME", "NOP", "LOAD_CONST", "RETURN_VALUE", "RETURN_CONST"} and not constants


def _only_refuses(function: FunctionType) -> bool:
    code = function.__code__
    opcodes = [instruction.opname for instruction in dis.get_instructions(code)]
    returns = any(name.startswith(("RETURN", "YIELD")) for name in opcodes)
    return code.co_names == ("NotImplementedError",) and "RAISE_VARARGS" in opcodes and not returns
