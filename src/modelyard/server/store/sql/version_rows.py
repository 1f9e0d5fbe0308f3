"""A version as a row, both ways."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row

from modelyard.server.records import ModelKey, Version, VersionState, WarmUp


def to_values(version: Version) -> dict[str, Any]:
    """All columns but `number`, which the store gives."""
    return {
        "version_id": version.version_id,
        "user_id": version.key.user_id,
        "app_id": version.key.app_id,
        "model_id": version.key.model_id,
        "spec": version.spec,
        "created_at": version.created_at,
        **to_changes(version),
    }


def to_changes(version: Version) -> dict[str, Any]:
    """The columns that change on a version's way."""
    return {
        "state": version.state.value,
        "state_message": version.state_message,
        "state_details": version.state_details,
        "code_digest": version.code_digest,
        "weights_digest": version.weights_digest,
        "environment_digest": version.environment_digest,
        "manifest_digest": version.manifest_digest,
        "size_bytes": version.size_bytes,
        "modified_at": version.modified_at,
        "completed_at": version.completed_at,
        "warm_up": version.warm_up.value,
    }


def to_version(row: Row[Any]) -> Version:
    """The record of a row."""
    return Version(
        version_id=row.version_id,
        key=ModelKey(user_id=row.user_id, app_id=row.app_id, model_id=row.model_id),
        number=row.number,
        state=VersionState(row.state),
        state_message=row.state_message,
        state_details=row.state_details,
        spec=row.spec,
        code_digest=row.code_digest,
        weights_digest=row.weights_digest,
        environment_digest=row.environment_digest,
        manifest_digest=row.manifest_digest,
        size_bytes=row.size_bytes,
        created_at=row.created_at,
        modified_at=row.modified_at,
        completed_at=row.completed_at,
        warm_up=WarmUp(row.warm_up),
    )
