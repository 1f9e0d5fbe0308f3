"""Rows and stores for tests: real ones, over SQLite in the test's own folder."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from modelyard.server.records import (
    App,
    AppKey,
    Build,
    BuildState,
    Deployment,
    Endpoint,
    LogLine,
    LogType,
    Model,
    ModelKey,
    Share,
    Token,
    User,
    Version,
    VersionState,
)
from modelyard.server.store.base import Store
from modelyard.server.store.sql import SqlStore

START = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


class Clock:
    """A clock that moves when it is told to: wall time by call, `time.monotonic()`'s part by `monotonic`."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now

    def monotonic(self) -> float:
        return (self.now - START).total_seconds()

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@asynccontextmanager
async def open_store(folder: Path, *, kept_log_lines: int = 100_000) -> AsyncIterator[SqlStore]:
    """A store in the folder, closed at the end of the block."""
    store = await SqlStore.open(f"sqlite+aiosqlite:///{folder / 'modelyard.db'}", kept_log_lines=kept_log_lines)
    try:
        yield store
    finally:
        await store.close()


def make_user(user_id: str = "ada") -> User:
    return User(user_id=user_id, created_at=START)


def make_token(token_id: str = "t1", user_id: str = "ada") -> Token:
    return Token(
        token_id=token_id,
        user_id=user_id,
        description="laptop",
        digest="d" * 64,
        scopes=frozenset({"Models_Get", "Predict"}),
        app_ids=frozenset(),
        created_at=START,
        expires_at=START + timedelta(days=90),
    )


def make_app(app_id: str = "main", user_id: str = "ada") -> App:
    return App(
        user_id=user_id,
        app_id=app_id,
        name=app_id,
        description="",
        notes="",
        metadata={"nested": {"list": [1, 2.5, None, "é"]}},
        created_at=START,
        modified_at=START,
    )


def make_key(model_id: str = "m", app_id: str = "main", user_id: str = "ada") -> ModelKey:
    return ModelKey(user_id=user_id, app_id=app_id, model_id=model_id)


def make_model(model_id: str = "m", app_id: str = "main", user_id: str = "ada") -> Model:
    return Model(
        key=make_key(model_id, app_id, user_id),
        model_type_id="text-to-text",
        name=model_id,
        description="",
        notes="",
        metadata={},
        created_at=START,
        modified_at=START,
    )


def make_version(
    version_id: str, key: ModelKey | None = None, state: VersionState = VersionState.UPLOADING, spec: bytes = b""
) -> Version:
    return Version(
        version_id=version_id,
        key=key or make_key(),
        number=0,
        state=state,
        state_message="",
        state_details="",
        spec=spec,
        code_digest="",
        weights_digest="",
        environment_digest="",
        manifest_digest="",
        size_bytes=0,
        created_at=START,
        modified_at=START,
    )


def make_build(version: Version) -> Build:
    return Build(
        version_id=version.version_id,
        key=version.key,
        state=BuildState.QUEUED,
        attempt=0,
        lease_owner="",
        lease_until=None,
        created_at=START,
    )


def make_deployment(version: Version, *, is_default: bool = True, replicas: int = 1) -> Deployment:
    return Deployment(
        version_id=version.version_id,
        key=version.key,
        replicas=replicas,
        is_default=is_default,
        modified_at=START,
    )


def make_endpoint(deployment_id: str = "shop", *version_ids: str, key: ModelKey | None = None) -> Endpoint:
    """One that is not a model's own, with equal shares for these versions."""
    key = key or make_key()
    return Endpoint(
        user_id=key.user_id,
        deployment_id=deployment_id,
        key=key,
        is_own=False,
        traffic=tuple(Share(version_id=one, weight=1) for one in version_ids),
        created_at=START,
        modified_at=START,
    )


def make_line(version_id: str, message: str, log_type: LogType = LogType.BUILD) -> LogLine:
    return LogLine(version_id=version_id, log_type=log_type, sequence=0, message=message, created_at=START)


async def add_model(store: Store, key: ModelKey | None = None) -> ModelKey:
    """A model with its user and app, where they are not there yet."""
    key = key or make_key()
    await store.users.add(make_user(key.user_id))
    await store.apps.add(make_app(key.app_id, key.user_id))
    await store.models.add(make_model(key.model_id, key.app_id, key.user_id))
    return key


async def add_version(
    store: Store, version_id: str, key: ModelKey | None = None, state: VersionState = VersionState.READY
) -> Version:
    """A version of a model that is there."""
    return await store.versions.add(make_version(version_id, key, state))


async def add_build(store: Store, version_id: str, key: ModelKey | None = None) -> Version:
    """An acknowledged upload: a version that waits for its build."""
    version = await add_version(store, version_id, key, VersionState.UPLOADING)
    uploaded = replace(version, state=VersionState.UPLOADED)
    assert await store.versions.acknowledge_upload(uploaded, make_build(uploaded))
    return uploaded


def app_key(app_id: str = "main", user_id: str = "ada") -> AppKey:
    return AppKey(user_id=user_id, app_id=app_id)
