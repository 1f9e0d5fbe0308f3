"""From what the author's method returned to what the caller gets: checks that it is an answer, fills in statuses."""

from __future__ import annotations

from modelyard.errors import InvalidModelOutput
from modelyard.wire.messages import MultiOutputResponse, Output, PostModelOutputsRequest, Status, StatusCode

_SUCCESS: int = StatusCode.SUCCESS
_NEXT_STEP = "return a MultiOutputResponse with one Output for each input of the request"


def encode_answer(answer: object, method: str, request_id: str = "") -> bytes:
    """Serialise an answer of the author's, with the id of its request.

    Outputs without a status succeeded. An answer without one gets it from its outputs: all succeeded, some, or none.

    Raises:
        InvalidModelOutput: It is no `MultiOutputResponse`.
    """
    checked = check_answer(answer, method)
    _fill_statuses(checked)
    if request_id and not checked.status.req_id:
        checked.status.req_id = request_id
    payload: bytes = checked.SerializeToString()
    return payload


def check_answer(answer: object, method: str) -> MultiOutputResponse:
    """The answer, which has to be one. Raises `InvalidModelOutput`."""
    if not isinstance(answer, MultiOutputResponse):
        raise InvalidModelOutput(
            f"{method} gave {describe_value(answer)}; it has to give a MultiOutputResponse", hint=_NEXT_STEP
        )
    return answer


def asks_for_signatures(request: PostModelOutputsRequest) -> bool:
    """Is this the question by which 12.x clients learn a model's methods?"""
    if not request.inputs or not request.inputs[0].data.HasField("metadata"):
        return False
    fields = request.inputs[0].data.metadata.fields
    return "_method_name" in fields and fields["_method_name"].string_value == "_GET_SIGNATURES"


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


def _fill_statuses(answer: MultiOutputResponse) -> None:
    succeeded = 0
    for output in answer.outputs:
        fill_status(output)
        succeeded += output.status.code == _SUCCESS
    if answer.status.code == 0:
        answer.status.code, answer.status.description = sum_up(succeeded, len(answer.outputs))


def fill_status(output: Output) -> None:
    """An output without a status succeeded."""
    status = output.status
    if status.code == 0:
        status.code = _SUCCESS
        status.description = status.description or "Ok"


def sum_up(succeeded: int, outputs: int) -> tuple[int, str]:
    """Code and description of an answer, of so many outputs."""
    if succeeded == outputs:
        return _SUCCESS, "Ok"
    if succeeded:
        return StatusCode.MIXED_STATUS, "Mixed Status"
    return StatusCode.FAILURE, "Failed"
