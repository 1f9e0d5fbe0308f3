"""Versions, their builds and their deployments, in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from modelyard.errors import ModelNotFound
from modelyard.server.records import (
    Build,
    BuildState,
    Deployment,
    ModelKey,
    Page,
    Version,
    VersionState,
)
from modelyard.server.store.memory.endpoints import give_all_traffic
from modelyard.server.store.memory.rows import Rows, check_moments, cut


class MemoryVersions:
    """Implements `VersionStore`."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    async def add(self, version: Version) -> Version:
        if version.key not in self._rows.models:
            raise ModelNotFound(f"Model does not exist: {version.key}")
        number = self._rows.last_numbers.get(version.key, 0) + 1
        self._rows.last_numbers[version.key] = number
        added = self._rows.versions[version.version_id] = check_moments(replace(version, number=number))
        return added

    async def get(self, key: ModelKey, version_id: str) -> Version | None:
        found = self._rows.versions.get(version_id)
        return found if found and found.key == key else None

    async def get_by_id(self, version_id: str) -> Version | None:
        return self._rows.versions.get(version_id)

    async def get_by_number(self, key: ModelKey, number: int) -> Version | None:
        return next((one for one in self._newest_first(key) if one.number == number), None)

    async def latest(
        self, key: ModelKey, states: frozenset[VersionState] | None = None, *, without: str = ""
    ) -> Version | None:
        found = [one for one in self._newest_first(key) if one.version_id != without]
        return next((one for one in found if states is None or one.state in states), None)

    async def current(self, keys: Sequence[ModelKey]) -> Mapping[ModelKey, Version]:
        found = {}
        for key in keys:
            versions = self._newest_first(key)
            if versions:
                found[key] = next((one for one in versions if self._is_default(one)), versions[0])
        return found

    async def list(self, key: ModelKey, page: Page) -> Sequence[Version]:
        return cut(self._newest_first(key), page)

    async def list_in_states(self, states: frozenset[VersionState]) -> Sequence[Version]:
        return [one for one in self._rows.versions.values() if one.state in states]

    async def list_digests(self) -> Sequence[tuple[str, str, str, str]]:
        versions = self._rows.versions.values()
        found = ((one.code_digest, one.weights_digest, one.environment_digest, one.manifest_digest) for one in versions)
        return list(dict.fromkeys(found))

    async def list_parts(self, user_id: str) -> Sequence[tuple[str, str, str]]:
        theirs = [one for one in self._rows.versions.values() if one.key.user_id == user_id and one.code_digest]
        return list(dict.fromkeys((one.key.app_id, one.code_digest, one.weights_digest) for one in reversed(theirs)))

    async def update(self, version: Version, *, expected: frozenset[VersionState] | None = None) -> bool:
        found = await self.get(version.key, version.version_id)
        if found is None or (expected is not None and found.state not in expected):
            return False
        self._replace(version, number=found.number, created_at=found.created_at, spec=found.spec)
        return True

    async def set_spec(self, key: ModelKey, version_id: str, spec: bytes, at: datetime) -> bool:
        found = await self.get(key, version_id)
        if found is None:
            return False
        self._replace(found, spec=spec, modified_at=at)
        return True

    async def acknowledge_upload(self, version: Version, build: Build) -> bool:
        if not await self.update(version, expected=frozenset({VersionState.UPLOADING})):
            return False
        self._replace(self._rows.versions[version.version_id], spec=version.spec)
        self._rows.builds[build.version_id] = build
        self._rows.changes.announce()
        return True

    async def become_ready(self, version: Version, deployment: Deployment) -> bool:
        if not await self.update(version, expected=frozenset({VersionState.BUILT})):
            return False
        put_deployment(self._rows, deployment)
        self._rows.changes.announce()
        return True

    async def delete(self, key: ModelKey, version_id: str) -> bool:
        found = await self.get(key, version_id)
        self._rows.delete_versions(lambda version: version is found)
        self._rows.changes.announce()
        return found is not None

    def _newest_first(self, key: ModelKey) -> Sequence[Version]:
        found = [one for one in self._rows.versions.values() if one.key == key]
        return sorted(found, key=lambda version: version.number, reverse=True)

    def _is_default(self, version: Version) -> bool:
        deployment = self._rows.deployments.get(version.version_id)
        return deployment is not None and deployment.is_default

    def _replace(self, version: Version, **changes: object) -> None:
        changed = replace(version, **changes)  # type: ignore[arg-type]  # its fields
        self._rows.versions[version.version_id] = check_moments(changed)


class MemoryBuilds:
    """Implements `BuildStore`."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    async def get(self, version_id: str) -> Build | None:
        return self._rows.builds.get(version_id)

    async def take(self, owner: str, now: datetime, until: datetime) -> Build | None:
        for build in self._rows.builds.values():
            is_abandoned = (
                build.state is BuildState.RUNNING and build.lease_until is not None and build.lease_until < now
            )
            if build.state is BuildState.QUEUED or is_abandoned:
                taken = replace(
                    build, state=BuildState.RUNNING, attempt=build.attempt + 1, lease_owner=owner, lease_until=until
                )
                self._rows.builds[build.version_id] = taken
                return taken
        return None

    async def extend(self, version_id: str, owner: str, until: datetime) -> bool:
        return self._change(version_id, owner, lambda build: replace(build, lease_until=until))

    async def finish(self, version_id: str, owner: str, *, succeeded: bool) -> bool:
        state = BuildState.SUCCEEDED if succeeded else BuildState.FAILED
        is_ended = self._change(version_id, owner, lambda build: replace(_free(build, state), sealed_token=b""))
        self._rows.changes.announce()
        return is_ended

    async def release(self, owner_prefix: str) -> int:
        released = [
            build
            for build in self._rows.builds.values()
            if build.state is BuildState.RUNNING and not build.lease_owner.startswith(owner_prefix)
        ]
        for build in released:
            self._rows.builds[build.version_id] = _free(build, BuildState.QUEUED)
        self._rows.changes.announce()
        return len(released)

    def _change(self, version_id: str, owner: str, change: Callable[[Build], Build]) -> bool:
        build = self._rows.builds.get(version_id)
        if build is None or build.lease_owner != owner or build.state is not BuildState.RUNNING:
            return False
        self._rows.builds[version_id] = change(build)
        return True


class MemoryDeployments:
    """Implements `DeploymentStore`."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    async def get(self, version_id: str) -> Deployment | None:
        return self._rows.deployments.get(version_id)

    async def list(self) -> Sequence[Deployment]:
        rows = self._rows
        return [rows.deployments[one] for one in rows.versions if one in rows.deployments]

    async def list_of(self, key: ModelKey) -> Sequence[Deployment]:
        return [one for one in await self.list() if one.key == key]

    async def put(self, deployment: Deployment) -> None:
        put_deployment(self._rows, deployment)
        self._rows.changes.announce()

    async def scale(self, version_id: str, replicas: int, at: datetime) -> bool:
        found = self._rows.deployments.get(version_id)
        if found is not None:
            self._rows.deployments[version_id] = replace(found, replicas=replicas, modified_at=at)
        self._rows.changes.announce()
        return found is not None

    async def get_default(self, key: ModelKey) -> Deployment | None:
        return next((one for one in self._rows.deployments.values() if one.key == key and one.is_default), None)

    async def delete(self, version_id: str) -> bool:
        found = self._rows.deployments.pop(version_id, None)
        self._rows.changes.announce()
        return found is not None


def put_deployment(rows: Rows, deployment: Deployment) -> None:
    """Add or replace; nothing where the version is gone."""
    version = rows.versions.get(deployment.version_id)
    if version is None or version.key != deployment.key:
        return
    if deployment.is_default:
        for other in [one for one in rows.deployments.values() if one.key == deployment.key]:
            rows.deployments[other.version_id] = replace(other, is_default=False)
        give_all_traffic(rows, deployment.key, deployment.version_id, deployment.modified_at)
    rows.deployments[deployment.version_id] = check_moments(deployment)


def _free(build: Build, state: BuildState) -> Build:
    return replace(build, state=state, lease_owner="", lease_until=None)
