"""Versions of models: which one answers, and what clients say about them. Uploads make most of them."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from modelyard.errors import Conflict, DeploymentNotFound, InvalidRequest, VersionNotFound
from modelyard.server.records import Endpoint, Model, ModelKey, Page, Version, VersionState
from modelyard.server.services.models import Models
from modelyard.server.services.patches import PatchAction, patch_message
from modelyard.server.store.base import Store
from modelyard.wire.messages import ModelVersion

MAX_SPEC_BYTES = 1024 * 1024
MAX_NUMBER_DIGITS = 9
PATCHABLE = (
    "description",
    "visibility",
    "metadata",
    "license",
    "output_info",
    "input_info",
    "method_signatures",
    "special_handling",
)
"""What clients may say about a version afterwards. The rest is what it is, or the server's to say."""
SERVER_FIELDS = ("id", "status", "created_at", "modified_at", "completed_at", "app_id", "user_id", "metrics")


SERVER_METADATA = "modelyard"
"""What the server says in a version's `metadata`, under this key: its number, its traffic, its replicas."""


class Versions:
    """Finds, makes, changes and deletes versions."""

    def __init__(self, store: Store, models: Models, *, now: Callable[[], datetime]) -> None:
        self._store = store
        self._models = models
        self._now = now

    async def get(self, key: ModelKey, version_id: str) -> Version:
        """The version, by its id or its number (`3` or `v3`); without one the one that answers: the default, else the
        latest.

        Raises ModelNotFound or VersionNotFound.
        """
        number = read_number(version_id)
        if version_id:
            version = await self._store.versions.get(key, version_id)
            if version is None and number:
                version = await self._store.versions.get_by_number(key, number)
        else:
            version = (await self._store.versions.current([key])).get(key)
        if version is not None:
            return version
        await self._models.get(key)
        if version_id:
            raise VersionNotFound(f"version {version_id[:80]!r} of model {key} does not exist")
        raise VersionNotFound(f"model {key} has no versions", hint="upload one: modelyard upload DIR")

    async def find(self, user_id: str, app_id: str, model_id: str, version_id: str) -> Version:
        """The version by what a request says of it; the app and the version's id may be empty."""
        if app_id and model_id:
            return await self.get(ModelKey(user_id=user_id, app_id=app_id, model_id=model_id), version_id)
        model = await self._models.find(user_id, app_id, model_id)
        return await self.get(model.key, version_id)

    async def find_model(self, user_id: str, app_id: str, model_id: str) -> Model:
        """The model by what a request says of it: see `Models.find`."""
        return await self._models.find(user_id, app_id, model_id)

    async def current(self, keys: Sequence[ModelKey]) -> Mapping[ModelKey, Version]:
        """The version that each model answers with; models without versions are left out."""
        return await self._store.versions.current(keys)

    async def list(self, user_id: str, app_id: str, model_id: str, page: Page) -> Sequence[Version]:
        """The model's versions, newest first. Raises ModelNotFound."""
        model = await self._models.find(user_id, app_id, model_id)
        return await self._store.versions.list(model.key, page)

    async def create_empty(self, key: ModelKey, spec: ModelVersion) -> Version:
        """Make a version without an upload: a client that runs the model by itself will say more about it.

        Raises ModelNotFound, or InvalidRequest where `spec` is too large.
        """
        return await self._store.versions.add(make_version(key, pack_spec(spec), self._now()))

    async def patch(self, key: ModelKey, version_id: str, given: ModelVersion, action: PatchAction) -> Version:
        """Change what `given` says of the fields in `PATCHABLE`. Raises VersionNotFound."""
        if not version_id:
            raise InvalidRequest("the patch names no version: model_versions[].id is empty")
        version = await self.get(key, version_id)
        spec = ModelVersion.FromString(version.spec)
        patch_message(spec, _only(given, PATCHABLE), action)
        await self._store.versions.set_spec(key, version_id, pack_spec(spec), self._now())
        return await self.get(key, version_id)

    async def delete(self, key: ModelKey, version_id: str) -> None:
        """Delete a version.

        Raises ModelNotFound or VersionNotFound, and Conflict where requests go to it.
        """
        if not version_id:
            raise InvalidRequest("the request names no version: version_id is empty")
        version = await self.get(key, version_id)
        for endpoint in await self._store.endpoints.list_of(key):
            if version.version_id in endpoint.version_ids:
                raise await self._in_use(version, endpoint)
        if not await self._store.versions.delete(key, version.version_id):
            raise VersionNotFound(f"version {version_id!r} of model {key} does not exist")

    async def _in_use(self, version: Version, endpoint: Endpoint) -> Conflict:
        """It serves: who asks and what to do first."""
        name = f"{version.key.app_id}/{version.key.model_id}"
        what = f"version {version.number} of model {version.key} serves"
        if not endpoint.is_own:
            return Conflict(
                f"{what} under deployment {endpoint.deployment_id!r}", hint="move or delete that deployment first"
            )
        heir = await self._store.versions.latest(
            version.key, frozenset({VersionState.READY}), without=version.version_id
        )
        if heir is None:
            return Conflict(
                f"{what}: it is the model's only version that can", hint=f"modelyard delete {name} deletes the model"
            )
        return Conflict(
            f"{what}: requests of the model go to it",
            hint=f"modelyard promote {name} {heir.number} moves them; then delete it",
        )

    async def find_endpoint(self, key: ModelKey) -> Endpoint | None:
        """The model's own endpoint; None while no version of it has ever been ready."""
        return await self._store.endpoints.get_own(key)

    async def get_endpoint(self, user_id: str, deployment_id: str) -> Endpoint:
        """The endpoint of this name. Raises DeploymentNotFound."""
        found = await self._store.endpoints.get(user_id, deployment_id)
        if found is None:
            raise DeploymentNotFound(
                f"deployment {deployment_id[:120]!r} does not exist",
                hint="leave runner_selector out: every model answers under its own name",
            )
        return found


def read_number(text: str) -> int:
    """The number that people say for a version: 3 for `3` and `v3`, and 0 for what is an id. Ids have 32 digits."""
    digits = text.removeprefix("v")
    return int(digits) if digits.isdecimal() and digits.isascii() and len(digits) <= MAX_NUMBER_DIGITS else 0


def make_version_id() -> str:
    """A new id, as the public API makes them: 32 hexadecimal digits."""
    return uuid.uuid4().hex


def make_version(key: ModelKey, spec: bytes, at: datetime, version_id: str = "") -> Version:
    """A row of which nothing is there yet but what was said about it."""
    return Version(
        version_id=version_id or make_version_id(),
        key=key,
        number=0,
        state=VersionState.EMPTY,
        state_message="",
        state_details="",
        spec=spec,
        code_digest="",
        weights_digest="",
        environment_digest="",
        manifest_digest="",
        size_bytes=0,
        created_at=at,
        modified_at=at,
    )


def pack_spec(spec: ModelVersion) -> bytes:
    """What a client says about a version, as it is stored. Raises InvalidRequest where it is too large."""
    kept = ModelVersion()
    kept.CopyFrom(spec)
    for name in SERVER_FIELDS:
        kept.ClearField(name)
    if SERVER_METADATA in kept.metadata.fields:  # clients send back what they read
        del kept.metadata.fields[SERVER_METADATA]
    packed: bytes = kept.SerializeToString(deterministic=True)
    if len(packed) > MAX_SPEC_BYTES:
        raise InvalidRequest(f"the version's description has {len(packed)} bytes; at most {MAX_SPEC_BYTES} are kept")
    return packed


def _only(given: ModelVersion, names: Sequence[str]) -> ModelVersion:
    kept = ModelVersion()
    kept.CopyFrom(given)
    for field, _ in given.ListFields():
        if field.name not in names:
            kept.ClearField(field.name)
    return kept
