"""Errors on their way from worker to gateway: a V2 status that also says which class of ours it is.

Several classes share a V2 code; `internal_details` carries the name between the two processes, and never further. A
worker runs the author's code, so only errors that an author may cause are believed.
"""

from __future__ import annotations

from modelyard import errors
from modelyard.errors import ModelyardError
from modelyard.wire.messages import DecodeError, Status
from modelyard.wire.status import codes_of

MAX_MESSAGE_CHARS = 4_000
MAX_DETAILS_CHARS = 32_000
_BELIEVED: dict[str, type[ModelyardError]] = {
    one.__name__: one
    for one in (
        errors.NotImplementedByModel,
        errors.PredictionFailed,
        errors.InvalidModelOutput,
        errors.InvalidRequest,
        errors.InvalidInput,
        errors.ModelBusy,
        errors.TooLarge,
        errors.Cancelled,
        errors.DeadlineExceeded,
    )
}


def is_believed(error: BaseException) -> bool:
    """May a worker report this error as it is?"""
    return isinstance(error, ModelyardError) and type(error).__name__ in _BELIEVED


def encode_error(error: ModelyardError) -> bytes:
    """The payload of an ERROR frame."""
    status = Status(
        code=codes_of(error).v2,
        description=_encodable(error.message[:MAX_MESSAGE_CHARS]),
        details=_encodable(error.details[-MAX_DETAILS_CHARS:]),
        developer_notes=_encodable(error.hint[:MAX_MESSAGE_CHARS]),
        internal_details=type(error).__name__,
    )
    payload: bytes = status.SerializeToString()
    return payload


def decode_error(payload: bytes) -> ModelyardError:
    """The error that an ERROR frame tells; `ModelError` where it names none that a worker may cause."""
    try:
        status = Status.FromString(payload)
    except DecodeError:
        return errors.InternalError("the worker reported an error that cannot be read")
    kind = _BELIEVED.get(status.internal_details, errors.ModelError)
    return kind(
        status.description[:MAX_MESSAGE_CHARS] or "the model failed",
        hint=status.developer_notes[:MAX_MESSAGE_CHARS],
        details=status.details[-MAX_DETAILS_CHARS:],
    )


def _encodable(text: str) -> str:
    """Protobuf refuses lone surrogates, which an author's message may hold."""
    return text.encode("utf-8", "replace").decode()
