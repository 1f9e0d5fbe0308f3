"""Every error of Modelyard: what happened, and what to do next. No HTTP, no gRPC: `wire/status.py` maps them.

ModelyardError
├── InvalidRequest            the request itself is wrong
│   ├── InvalidConfig         config.yaml, all problems at once
│   ├── InvalidFolder         the model folder lacks something, or holds what may not be there
│   ├── InvalidArchive        an upload that the strict reader refuses
│   ├── InvalidInput          an input of a prediction that cannot be used (unreachable URL, wrong kind)
│   └── UploadIncomplete      an upload stream that ended early, or said nothing
├── Unauthenticated           no token, or one that is not valid
├── Forbidden                 a valid token that may not do this
├── NotFound                  AppNotFound UserNotFound ModelNotFound VersionNotFound TokenNotFound DeploymentNotFound
├── Conflict                  it exists already, or it is in use
├── MethodNotImplemented      a V2 method that this server does not answer
├── ModelError                the author's side
│   ├── NotImplementedByModel the class has no such method
│   ├── ModelLoadFailed       import or load_model raised
│   ├── PredictionFailed      predict, generate or stream raised
│   ├── InvalidModelOutput    the method returned what the contract does not allow
│   └── NotConformant         the model does not survive what production sends
├── BuildFailed               the environment could not be made
│   └── CheckpointsFailed     the files of a model hub's repository could not be had or put in place
├── Unavailable               try again: ModelDeploying ModelLoading ModelBusy StreamsBusy ModelNotDeployed
│                             WorkerCrashed
├── DeadlineExceeded          the caller's time is up
├── Cancelled                 the caller went away
├── TooLarge                  a message or file above its limit
└── InternalError             ours
"""

from __future__ import annotations


class ModelyardError(Exception):
    """Base of all errors that reach a user.

    Args:
        message: What happened, with which name and value, and what is allowed.
        hint: The next step, a command where there is one.
        details: More for the author, such as their own traceback trimmed to their frames.
    """

    def __init__(self, message: str, *, hint: str = "", details: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.details = details

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class InvalidRequest(ModelyardError):
    """The request is wrong as it stands; sending it again will not help."""


class InvalidConfig(InvalidRequest):
    """config.yaml cannot be used; `message` lists every problem, one a line."""


class InvalidFolder(InvalidRequest):
    """The model folder lacks a file, or holds one that may not be there."""


class InvalidArchive(InvalidRequest):
    """The uploaded archive was refused by the strict reader."""


class InvalidInput(InvalidRequest):
    """One input of a prediction cannot be used."""


class UploadIncomplete(InvalidRequest):
    """The upload ended before all of its bytes, or before its configuration."""


class Unauthenticated(ModelyardError):
    """No token was sent, or it is unknown, expired or revoked."""


class Forbidden(ModelyardError):
    """The token is valid, but may not do this."""


class NotFound(ModelyardError):
    """The thing does not exist, or the caller may not know that it does."""


class UserNotFound(NotFound):
    """No such user."""


class AppNotFound(NotFound):
    """No such app."""


class ModelNotFound(NotFound):
    """No such model."""


class VersionNotFound(NotFound):
    """No such version of the model."""


class TokenNotFound(NotFound):
    """No such token."""


class DeploymentNotFound(NotFound):
    """No such deployment."""


class Conflict(ModelyardError):
    """It exists already, or is in use."""


class MethodNotImplemented(ModelyardError):
    """A method of the V2 contract that this server does not answer."""


class ModelError(ModelyardError):
    """The author's code, seen from outside."""


class NotImplementedByModel(ModelError):
    """The author's class does not implement the method that was called."""


class ModelLoadFailed(ModelError):
    """Importing `1/model.py`, making the class or `load_model` failed."""


class PredictionFailed(ModelError):
    """The author's method raised."""


class InvalidModelOutput(ModelError):
    """The author's method returned something that is not an answer."""


class NotConformant(ModelError):
    """A conformance run found what the model does not survive."""


class BuildFailed(ModelyardError):
    """The environment of a version could not be resolved or installed."""


class CheckpointsFailed(BuildFailed):
    """The checkpoints could not be downloaded, or not put in place; the message says whose turn it is."""


class Unavailable(ModelyardError):
    """Not now: the same request may succeed later.

    Args:
        retry_after_s: When, as far as that can be told.
    """

    def __init__(self, message: str, *, hint: str = "", details: str = "", retry_after_s: float | None = None) -> None:
        super().__init__(message, hint=hint, details=details)
        self.retry_after_s = retry_after_s


class ModelDeploying(Unavailable):
    """The version is being built or its replica is being started."""


class ModelLoading(Unavailable):
    """The replica is loading the model."""


class ModelBusy(Unavailable):
    """The deployment's queue is full, or so long that the request's deadline would pass in it."""


class StreamsBusy(ModelBusy):
    """No more streams may be open. Published clients cannot send a stream again, so the code is not one they retry."""


class ModelNotDeployed(Unavailable):
    """The model has no version that can serve."""


class WorkerCrashed(Unavailable):
    """The worker's process died while it held this request."""


class DeadlineExceeded(ModelyardError):
    """The caller's deadline passed before there was an answer."""


class Cancelled(ModelyardError):
    """The caller went away."""


class TooLarge(ModelyardError):
    """A message or a file is above its limit."""


class InternalError(ModelyardError):
    """A fault of ours; the log has it under the request id."""
