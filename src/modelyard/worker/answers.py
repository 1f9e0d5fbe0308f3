"""From what the author's method returned to what the caller gets: checks that it is an answer, fills in statuses."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

from modelyard.errors import InvalidModelOutput
from modelyard.wire.messages import MultiOutputResponse, Output, PostModelOutputsRequest, Status, StatusCode
from modelyard.worker.tally import tells_tokens

_SUCCESS: int = StatusCode.SUCCESS
_ALL_WELL = _SUCCESS, "Ok"
_QUESTION = "_GET_SIGNATURES"
_QUESTION_BYTES, _SEARCHED_BYTES = _QUESTION.encode(), 4096
_NEXT_STEP = "return a MultiOutputResponse with one Output for each input of the request"


class Encoded(NamedTuple):
    """An answer as it travels, and what is counted of it."""

    payload: bytes
    outputs: int
    has_tokens: bool
    """Does its last output tell how many tokens it took?"""


_make_encoded = partial(tuple.__new__, Encoded)
"""As `Encoded`, without the function of Python that a named tuple has for it."""


def encode_answer(answer: object, method: str, request_id: str = "") -> Encoded:
    """Serialise an answer of the author's, with the id of its request.

    Outputs without a status succeeded. An answer without one gets it from its outputs: all succeeded, some, or none.

    Raises:
        InvalidModelOutput: It is no `MultiOutputResponse`.
    """
    checked = answer if isinstance(answer, MultiOutputResponse) else check_answer(answer, method)
    status, outputs, succeeded, output = checked.status, checked.outputs, 0, None
    count = len(outputs)
    for index in range(count):  # the end of protobuf's own iterator is an exception, with a message
        output = outputs[index]
        succeeded += (output.status.code or fill_status(output)) == _SUCCESS
    if status.code == 0:
        status.code, status.description = _ALL_WELL if succeeded == count else sum_up(succeeded, count)
    if request_id and not status.req_id:
        status.req_id = request_id
    has_tokens = output is not None and tells_tokens(output)
    return _make_encoded((checked.SerializeToString(), count, has_tokens))


def check_answer(answer: object, method: str) -> MultiOutputResponse:
    """The answer, which has to be one. Raises `InvalidModelOutput`."""
    if not isinstance(answer, MultiOutputResponse):
        raise InvalidModelOutput(
            f"{method} gave {describe_value(answer)}; it has to give a MultiOutputResponse", hint=_NEXT_STEP
        )
    return answer


def asks_for_signatures(request: PostModelOutputsRequest, payload: bytes) -> bool:
    """Is this the question by which 12.x clients learn a model's methods? `payload` is the request, serialised: what is
    small and does not have the word in it need not be looked through."""
    if len(payload) <= _SEARCHED_BYTES and payload.find(_QUESTION_BYTES) < 0:  # `in` makes an exception each time
        return False
    if not request.inputs or not request.inputs[0].data.HasField("metadata"):
        return False
    fields = request.inputs[0].data.metadata.fields
    return "_method_name" in fields and fields["_method_name"].string_value == _QUESTION


def encode_signatures(signatures: str) -> bytes:
    """The answer to that question.

    Without signatures it is the one that makes 12.x clients use the plain `predict(input)`: this code, in an answer
    that has an output.
    """
    if signatures:
        found = MultiOutputResponse(status=Status(code=_SUCCESS, description="Ok"))
        output = found.outputs.add()
        output.status.CopyFrom(found.status)
        output.data.text.raw = signatures
        return bytes(found.SerializeToString())
    status = Status(
        code=StatusCode.INPUT_UNSUPPORTED_FORMAT,
        description="this model has no method signatures",
        details="its class has predict, generate and stream, which take whole requests",
    )
    payload: bytes = MultiOutputResponse(status=status, outputs=[Output(status=status)]).SerializeToString()
    return payload


def describe_value(value: object) -> str:
    """What an author gave instead of an answer: `a value of type dict`."""
    return "nothing (None)" if value is None else f"a value of type {type(value).__name__}"


def fill_status(output: Output) -> int:
    """An output without a status succeeded. The code that it has now."""
    status = output.status
    code: int = status.code
    if code:
        return code
    status.code = _SUCCESS
    if not status.description:
        status.description = "Ok"
    return _SUCCESS


def sum_up(succeeded: int, outputs: int) -> tuple[int, str]:
    """Code and description of an answer, of so many outputs."""
    if succeeded == outputs:
        return _ALL_WELL
    if succeeded:
        return StatusCode.MIXED_STATUS, "Mixed Status"
    return StatusCode.FAILURE, "Failed"
