"""What the outputs of an answer say of themselves."""

from __future__ import annotations

from modelyard.errors import PredictionFailed
from modelyard.wire.messages import Data, MultiOutputResponse, StatusCode
from modelyard.wire.signatures import RESULT


def unwrap_results(answer: MultiOutputResponse) -> MultiOutputResponse:
    """What typed methods answered, as other models answer it: a text in `text`, all else in its own field.

    Outputs of other models stay as they are.
    """
    if not any(_is_wrapped(output.data) for output in answer.outputs):
        return answer
    plain = MultiOutputResponse()
    plain.CopyFrom(answer)
    for output in plain.outputs:
        if _is_wrapped(output.data):
            result = Data()
            result.CopyFrom(output.data.parts[0].data)
            if result.string_value or not result.ByteSize():
                result.text.raw = result.string_value
                result.ClearField("string_value")
            output.data.CopyFrom(result)
    return plain


def _is_wrapped(data: Data) -> bool:
    return len(data.parts) == 1 and bool(data.parts[0].id == RESULT)


def find_failure(answer: MultiOutputResponse, method: str = "") -> PredictionFailed | None:
    """What the first failed output says, if there is one: an answer may be fine in parts."""
    for number, output in enumerate(answer.outputs, start=1):
        if output.status.code not in (StatusCode.ZERO, StatusCode.SUCCESS):
            told = output.status.description or f"status {output.status.code}"
            which = f"output {number} of {method or len(answer.outputs)}"
            return PredictionFailed(f"{which} failed: {told}", details=output.status.details)
    return None
