"""The one error table: our error <-> V2 code <-> gRPC code <-> HTTP status. A test fails on an unmapped class."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from modelyard import errors
from modelyard.wire.messages import Status, StatusCode

if TYPE_CHECKING:
    from modelyard.errors import ModelyardError

SUCCESS = StatusCode.SUCCESS


@dataclass(frozen=True, kw_only=True)
class Codes:
    """How one class of error looks at each door."""

    v2: int
    grpc: int
    http: int


GRPC_OK, GRPC_CANCELLED, GRPC_UNKNOWN, GRPC_INVALID_ARGUMENT, GRPC_DEADLINE_EXCEEDED = 0, 1, 2, 3, 4
GRPC_NOT_FOUND, GRPC_ALREADY_EXISTS, GRPC_PERMISSION_DENIED, GRPC_RESOURCE_EXHAUSTED = 5, 6, 7, 8
GRPC_FAILED_PRECONDITION, GRPC_UNIMPLEMENTED, GRPC_INTERNAL, GRPC_UNAVAILABLE, GRPC_UNAUTHENTICATED = 9, 12, 13, 14, 16

_S = StatusCode
# By number, because a worker's clarifai-grpc may be too old to know the names.
MODEL_BUILDING_FAILED, MODEL_BUSY_PLEASE_RETRY, MODEL_LOADING = 21108, 21354, 21355

TABLE: dict[type[ModelyardError], Codes] = {
    errors.ModelyardError: Codes(v2=_S.INTERNAL_UNCATEGORIZED, grpc=GRPC_INTERNAL, http=500),
    errors.InvalidRequest: Codes(v2=_S.CONN_BAD_REQUEST_FORMAT, grpc=GRPC_INVALID_ARGUMENT, http=400),
    errors.InvalidConfig: Codes(v2=_S.MODEL_UPLOADING_FAILED, grpc=GRPC_INVALID_ARGUMENT, http=400),
    errors.InvalidFolder: Codes(v2=_S.MODEL_UPLOADING_FAILED, grpc=GRPC_INVALID_ARGUMENT, http=400),
    errors.InvalidArchive: Codes(v2=_S.MODEL_UPLOADING_FAILED, grpc=GRPC_INVALID_ARGUMENT, http=400),
    errors.InvalidInput: Codes(v2=_S.INPUT_DOWNLOAD_FAILED, grpc=GRPC_INVALID_ARGUMENT, http=400),
    errors.UploadIncomplete: Codes(v2=_S.MODEL_UPLOADING_FAILED, grpc=GRPC_INVALID_ARGUMENT, http=400),
    errors.Unauthenticated: Codes(v2=_S.CONN_KEY_INVALID, grpc=GRPC_UNAUTHENTICATED, http=401),
    errors.Forbidden: Codes(v2=_S.CONN_INSUFFICIENT_SCOPES, grpc=GRPC_PERMISSION_DENIED, http=403),
    errors.NotFound: Codes(v2=_S.CONN_DOES_NOT_EXIST, grpc=GRPC_NOT_FOUND, http=404),
    errors.UserNotFound: Codes(v2=_S.CONN_DOES_NOT_EXIST, grpc=GRPC_NOT_FOUND, http=404),
    errors.AppNotFound: Codes(v2=_S.CONN_DOES_NOT_EXIST, grpc=GRPC_NOT_FOUND, http=404),
    errors.ModelNotFound: Codes(v2=_S.MODEL_DOES_NOT_EXIST, grpc=GRPC_NOT_FOUND, http=404),
    errors.VersionNotFound: Codes(v2=_S.MODEL_DOES_NOT_EXIST, grpc=GRPC_NOT_FOUND, http=404),
    errors.DeploymentNotFound: Codes(v2=_S.CONN_DOES_NOT_EXIST, grpc=GRPC_NOT_FOUND, http=404),
    errors.TokenNotFound: Codes(v2=_S.CONN_KEY_NOT_FOUND, grpc=GRPC_NOT_FOUND, http=404),
    errors.Conflict: Codes(v2=_S.CONN_INVALID_REQUEST, grpc=GRPC_ALREADY_EXISTS, http=409),
    errors.MethodNotImplemented: Codes(v2=_S.RPC_UNKNOWN_METHOD, grpc=GRPC_UNIMPLEMENTED, http=501),
    errors.ModelError: Codes(v2=_S.MODEL_PREDICTION_FAILED, grpc=GRPC_UNKNOWN, http=500),
    errors.NotImplementedByModel: Codes(v2=_S.MODEL_INVALID_REQUEST, grpc=GRPC_UNIMPLEMENTED, http=501),
    errors.ModelLoadFailed: Codes(v2=_S.MODEL_DEPLOYMENT_FAILED, grpc=GRPC_FAILED_PRECONDITION, http=500),
    errors.PredictionFailed: Codes(v2=_S.MODEL_PREDICTION_FAILED, grpc=GRPC_UNKNOWN, http=500),
    errors.InvalidModelOutput: Codes(v2=_S.MODEL_PREDICTION_FAILED, grpc=GRPC_UNKNOWN, http=500),
    errors.NotConformant: Codes(v2=_S.MODEL_PREDICTION_FAILED, grpc=GRPC_FAILED_PRECONDITION, http=500),
    errors.BuildFailed: Codes(v2=MODEL_BUILDING_FAILED, grpc=GRPC_FAILED_PRECONDITION, http=400),
    errors.CheckpointsFailed: Codes(v2=MODEL_BUILDING_FAILED, grpc=GRPC_FAILED_PRECONDITION, http=400),
    errors.Unavailable: Codes(v2=MODEL_BUSY_PLEASE_RETRY, grpc=GRPC_UNAVAILABLE, http=503),
    errors.ModelDeploying: Codes(v2=_S.MODEL_DEPLOYING, grpc=GRPC_UNAVAILABLE, http=503),
    errors.ModelLoading: Codes(v2=MODEL_LOADING, grpc=GRPC_UNAVAILABLE, http=503),
    errors.ModelBusy: Codes(v2=_S.CONN_THROTTLED, grpc=GRPC_RESOURCE_EXHAUSTED, http=429),
    errors.StreamsBusy: Codes(v2=_S.RPC_REQUEST_QUEUE_FULL, grpc=GRPC_RESOURCE_EXHAUSTED, http=429),
    errors.ModelNotDeployed: Codes(v2=_S.MODEL_NOT_DEPLOYED, grpc=GRPC_FAILED_PRECONDITION, http=409),
    errors.WorkerCrashed: Codes(v2=_S.MODEL_PREDICTION_FAILED, grpc=GRPC_UNAVAILABLE, http=502),
    errors.DeadlineExceeded: Codes(v2=_S.RPC_REQUEST_TIMEOUT, grpc=GRPC_DEADLINE_EXCEEDED, http=504),
    errors.Cancelled: Codes(v2=_S.RPC_CANCELED, grpc=GRPC_CANCELLED, http=499),
    errors.TooLarge: Codes(v2=_S.RPC_MAX_MESSAGE_SIZE_EXCEEDED, grpc=GRPC_RESOURCE_EXHAUSTED, http=413),
    errors.InternalError: Codes(v2=_S.INTERNAL_UNCATEGORIZED, grpc=GRPC_INTERNAL, http=500),
}

_BY_V2_CODE: dict[int, type[ModelyardError]] = {}
for _class, _codes in TABLE.items():
    _BY_V2_CODE.setdefault(_codes.v2, _class)


def codes_of(error: ModelyardError) -> Codes:
    """The codes of an error, by its class or the nearest one above it."""
    return next(TABLE[one] for one in type(error).__mro__ if one in TABLE)


def http_status_of(v2_code: int) -> int:
    """The HTTP status that goes with a V2 code in an answer: 200 for success and for codes that are states."""
    error = _BY_V2_CODE.get(v2_code)
    return TABLE[error].http if error is not None else 200


def success(description: str = "Ok", *, request_id: str = "") -> Status:
    """The status of an answer that worked."""
    return Status(code=SUCCESS, description=description, req_id=request_id)


def status_of(error: ModelyardError, *, request_id: str = "") -> Status:
    """The V2 status that tells this error: what happened in `description`, the next step and more in `details`, and in
    `time_remaining` after how many seconds it may be sent again, where that is known."""
    details = "\n".join(part for part in (error.hint, error.details) if part)
    status = Status(code=codes_of(error).v2, description=error.message, details=details, req_id=request_id)
    if isinstance(error, errors.Unavailable) and error.retry_after_s is not None:
        status.time_remaining = max(1, math.ceil(error.retry_after_s))
    return status


def error_of(status: Status) -> ModelyardError:
    """The error that a V2 status tells, for clients. The nearest class where several share a code."""
    message = status.description or f"the server answered with status {status.code}"
    kind = _BY_V2_CODE.get(status.code, errors.ModelyardError)
    if issubclass(kind, errors.Unavailable):
        return kind(message, details=status.details, retry_after_s=status.time_remaining or None)
    return kind(message, details=status.details)
