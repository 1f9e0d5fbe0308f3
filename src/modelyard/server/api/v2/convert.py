"""Records as V2 messages."""

from __future__ import annotations

from datetime import datetime
from typing import Any, cast

from modelyard.server import records
from modelyard.server.records import JsonObject, VersionState
from modelyard.server.services.deployments import VersionStanding
from modelyard.server.services.versions import SERVER_METADATA
from modelyard.wire.messages import (
    App,
    Key,
    LogEntry,
    Model,
    ModelVersion,
    Status,
    StatusCode,
    Struct,
    Timestamp,
    User,
)

KEY_TYPE = "personal_access_token"

STATES = {
    VersionState.EMPTY: (StatusCode.MODEL_UNTRAINED, "The version has no model yet."),
    VersionState.UPLOADING: (StatusCode.MODEL_UPLOADING, "The model is being uploaded."),
    VersionState.UPLOAD_FAILED: (StatusCode.MODEL_UPLOADING_FAILED, "The upload failed."),
    VersionState.UPLOADED: (StatusCode.MODEL_BUILDING, "The model waits for its build."),
    VersionState.BUILDING: (StatusCode.MODEL_BUILDING, "The model is being built."),
    VersionState.BUILT: (StatusCode.MODEL_BUILDING, "The model is being loaded for the first time."),
    VersionState.READY: (StatusCode.MODEL_TRAINED, "The model is ready."),
    VersionState.BUILD_FAILED: (StatusCode.MODEL_BUILDING_FAILED, "The build failed."),
}
"""What `status` of a version says. Clients wait while it is MODEL_BUILDING, and are content with MODEL_TRAINED only."""


def moment(at: datetime | None) -> Timestamp | None:
    """A moment as a message."""
    if at is None:
        return None
    stamp = Timestamp()
    stamp.FromDatetime(at)
    return stamp


def struct(value: JsonObject) -> Struct | None:
    """A JSON object as a message; None where it is empty, so that the field stays unset."""
    if not value:
        return None
    message = Struct()
    message.update(cast("dict[str, Any]", value))
    return message


def user_message(user: records.User) -> User:
    """A user."""
    return User(id=user.user_id, created_at=moment(user.created_at))


def app_message(app: records.App) -> App:
    """An app."""
    return App(
        id=app.app_id,
        user_id=app.user_id,
        name=app.name,
        description=app.description,
        notes=app.notes,
        metadata=struct(app.metadata),
        created_at=moment(app.created_at),
        modified_at=moment(app.modified_at),
    )


def model_message(
    model: records.Model, version: records.Version | None = None, standing: VersionStanding | None = None
) -> Model:
    """A model with the version that it answers with, or that was asked for."""
    return Model(
        id=model.key.model_id,
        app_id=model.key.app_id,
        user_id=model.key.user_id,
        model_type_id=model.model_type_id,
        name=model.name,
        description=model.description,
        notes=model.notes,
        metadata=struct(model.metadata),
        created_at=moment(model.created_at),
        modified_at=moment(model.modified_at),
        model_version=version_message(version, standing) if version else None,
    )


def version_message(version: records.Version, standing: VersionStanding | None = None) -> ModelVersion:
    """A version: what its client said, and what the server knows; our own part of that in `metadata.modelyard`."""
    message = ModelVersion.FromString(version.spec)
    message.metadata.update({SERVER_METADATA: _describe(version, standing)})
    message.MergeFrom(
        ModelVersion(
            id=version.version_id,
            app_id=version.key.app_id,
            user_id=version.key.user_id,
            status=version_status(version),
            created_at=moment(version.created_at),
            modified_at=moment(version.modified_at),
            completed_at=moment(version.completed_at),
        )
    )
    return message


def _describe(version: records.Version, standing: VersionStanding | None) -> dict[str, Any]:
    told: dict[str, Any] = {"number": version.number, "digest": version.manifest_digest}
    if version.warm_up is not records.WarmUp.NONE:
        told["warm_up"] = version.warm_up.value
    if standing is not None:
        told |= {
            "traffic": standing.traffic,
            "replicas": standing.live_replicas,
            "desired_replicas": standing.desired_replicas,
        }
    return told


def version_status(version: records.Version) -> Status:
    """Where the version is on its way."""
    code, description = STATES[version.state]
    return Status(code=code, description=version.state_message or description, details=version.state_details)


def key_message(token: records.Token, *, text: str = "") -> Key:
    """A token; its text only where it has just been made, its public id otherwise."""
    return Key(
        id=text or token.token_id,
        type=KEY_TYPE,
        description=token.description,
        scopes=[scope_name(one) for one in sorted(token.scopes)],
        apps=[App(id=one, user_id=token.user_id) for one in sorted(token.app_ids)],
        created_at=moment(token.created_at),
        expires_at=moment(token.expires_at),
    )


def scope_name(name: str) -> str:
    """A scope as people write it: `Models:Get`."""
    return name.replace("_", ":")


def log_message(line: records.LogLine) -> LogEntry:
    """A line of a log. Clients tell lines apart by their url: it is unique, and stays."""
    return LogEntry(
        message=line.message,
        log_type=line.log_type.value,
        url=f"modelyard://logs/{line.version_id}/{line.log_type.value}/{line.sequence}",
    )
