"""Exit codes by cause: the one table, which docs/reference/cli.md repeats."""

from __future__ import annotations

from modelyard import errors
from modelyard.errors import ModelyardError

OK = 0
TABLE: tuple[tuple[type[ModelyardError], int, str], ...] = (
    (errors.ModelLoadFailed, 9, "the model did not load: import or load_model raised"),
    (errors.InvalidModelOutput, 10, "an answer breaks what the model's type or its concepts promise"),
    (errors.NotConformant, 12, "the conformance run found what the model does not survive"),
    (errors.ModelError, 1, "the model failed: it raised, or does not implement the method"),
    (errors.CheckpointsFailed, 7, "the checkpoints could not be downloaded"),
    (
        errors.BuildFailed,
        8,
        "the version could not be built: its requirements cannot be installed",
    ),
    (errors.InvalidRequest, 2, "the folder, its config, an input or an option is wrong"),
    (errors.TooLarge, 2, "a file or message is above its limit"),
    (errors.Unauthenticated, 3, "no token, or one that is not valid"),
    (errors.Forbidden, 3, "the token may not do this"),
    (errors.NotFound, 4, "there is no such model, version or token"),
    (errors.MethodNotImplemented, 4, "the server does not know the method"),
    (errors.WorkerCrashed, 11, "the model's process died: it crashed, or took more memory than there is"),
    (errors.ModelNotDeployed, 1, "the model has no version that can serve"),
    (errors.Unavailable, 5, "not now: no server answers, or the model is busy or not ready"),
    (errors.DeadlineExceeded, 5, "it took too long"),
    (errors.Conflict, 6, "it exists already, or is in use"),
    (errors.Cancelled, 130, "interrupted"),
    (ModelyardError, 70, "a fault of ours"),
)
USAGE = 2
INTERRUPTED = 130


def exit_code_of(error: ModelyardError) -> int:
    """The code of an error: the first row of the table that it belongs to."""
    return next(code for kind, code, _ in TABLE if isinstance(error, kind))
