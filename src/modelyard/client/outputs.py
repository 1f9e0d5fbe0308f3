"""What the outputs of an answer say of themselves."""

from __future__ import annotations

from modelyard.errors import PredictionFailed
from modelyard.wire.messages import MultiOutputResponse, StatusCode


def find_failure(answer: MultiOutputResponse, method: str = "") -> PredictionFailed | None:
    """What the first failed output says, if there is one: an answer may be fine in parts."""
    for number, output in enumerate(answer.outputs, start=1):
        if output.status.code not in (StatusCode.ZERO, StatusCode.SUCCESS):
            told = output.status.description or f"status {output.status.code}"
            which = f"output {number} of {method or len(answer.outputs)}"
            return PredictionFailed(f"{which} failed: {told}", details=output.status.details)
    return None
