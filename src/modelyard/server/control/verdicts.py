"""What a replica's life says of its version: the only writer of READY, and of failures to load."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from modelyard.server.records import Deployment, LogType, Model, ModelKey, Version, VersionState, WarmUp
from modelyard.server.store.base import Store
from modelyard.wire.messages import ModelVersion
from modelyard.wire.signatures import decode_signatures

WAITS_FOR_DEVICES = "it waits for accelerators"
"""How the state of a version begins that cannot start because others work with what it asks for."""
STARTS = "starting the first replica"

log = logging.getLogger(__name__)


class Verdicts:
    """Writes the outcome of a start to the store."""

    def __init__(
        self,
        *,
        store: Store,
        count: Callable[[str], int],
        write_line: Callable[[str, LogType, str], None],
        now: Callable[[], datetime],
    ) -> None:
        """`count`: how many replicas take requests of a version."""
        self._store = store
        self._count = count
        self._write_line = write_line
        self._now = now
        self._choosing = asyncio.Lock()

    async def get_model(self, version: Version) -> Model | None:
        """The version's model; None where it was deleted."""
        return await self._store.models.get(version.key)

    async def get_serving(self, key: ModelKey) -> Version | None:
        """The version that most requests of the model go to."""
        current = await self._store.deployments.get_default(key)
        return await self._store.versions.get_by_id(current.version_id) if current else None

    async def ready(self, version_id: str, warm_up: WarmUp = WarmUp.NONE) -> None:
        """A replica has loaded the version and taken its first request: it is READY, and the model's default unless a
        newer one is already, or the model does not follow its latest version."""
        version = await self._store.versions.get_by_id(version_id)
        if version is None:
            return
        if version.state is VersionState.BUILT:
            async with self._choosing:  # of two that become ready at once, the newer one shall be the default
                await self._first_ready(replace(version, warm_up=warm_up))
        elif version.state is VersionState.READY and version.state_message:
            await self._note(version, "", "")

    async def note_wait(self, version: Version, why: str) -> None:
        """Say in its state what a version waits for; nothing, where it does not wait, or wait any more."""
        if why == version.state_message or not (why or version.state_message.startswith(WAITS_FOR_DEVICES)):
            return
        message = why or (STARTS if version.state is VersionState.BUILT else "")
        noted = replace(version, state_message=message, state_details="")
        await self._store.versions.update(noted, expected=frozenset({version.state}))

    async def note_signatures(self, version: Version, signatures: str) -> None:
        """Keep what a worker says of its typed methods. What the upload said of them stays."""
        spec = ModelVersion.FromString(version.spec)
        if spec.method_signatures or not signatures:
            return
        spec.method_signatures.extend(decode_signatures(signatures))
        if spec.method_signatures:
            packed: bytes = spec.SerializeToString(deterministic=True)
            await self._store.versions.set_spec(version.key, version.version_id, packed, self._now())

    async def _first_ready(self, version: Version) -> None:
        is_default = not await self._is_newer_serving(version) and await self._follows_latest(version.key)
        replicas = await self._count_needed(version.key) if is_default else 0
        if self._count(version.version_id) < replicas:
            await self._store.deployments.scale(version.version_id, replicas, self._now())
            return
        at = self._now()
        ready = replace(
            version, state=VersionState.READY, state_message="", state_details="", modified_at=at, completed_at=at
        )
        deployment = self._deployment(version, replicas=max(1, replicas), is_default=is_default)
        if await self._store.versions.become_ready(ready, deployment):
            said = "The model is loaded, answers and serves." if is_default else "The model is loaded and answers."
            self._write_line(version.version_id, LogType.BUILD, said)

    async def failed(self, version_id: str, message: str, details: str, *, is_final: bool) -> bool:
        """A start did not work. `is_final`: a version that has never been ready is refused; was it?"""
        for line in (message, *details.splitlines()):
            self._write_line(version_id, LogType.RUN, line)
        version = await self._store.versions.get_by_id(version_id)
        if version is None:
            return False
        if version.state is VersionState.READY:
            await self._note(version, message, details)
        elif version.state is VersionState.BUILT and is_final:
            await self._refuse(version, message, details)
            return True
        return False

    async def _note(self, version: Version, message: str, details: str) -> None:
        noted = replace(version, state_message=message, state_details=details)
        await self._store.versions.update(noted, expected=frozenset({VersionState.READY}))

    async def _refuse(self, version: Version, message: str, details: str) -> None:
        serving = await self.get_serving(version.key)
        if serving is not None:
            message += f"; version {serving.number} serves on"
        for line in (f"This version cannot serve: {message}", *details.splitlines()):
            self._write_line(version.version_id, LogType.BUILD, line)
        at = self._now()
        refused = replace(
            version,
            state=VersionState.BUILD_FAILED,
            state_message=message,
            state_details=details,
            modified_at=at,
            completed_at=at,
        )
        if await self._store.versions.update(refused, expected=frozenset({VersionState.BUILT})):
            await self._store.deployments.put(self._deployment(version, replicas=0, is_default=False))

    async def _count_needed(self, key: ModelKey) -> int:
        """How many replicas a version needs before it takes over: as many as serve now."""
        own = await self._store.endpoints.get_own(key)
        return min(self._count(own.main_version_id), own.scale.max_replicas) if own else 0

    async def _follows_latest(self, key: ModelKey) -> bool:
        own = await self._store.endpoints.get_own(key)
        return own is None or own.follows_latest

    async def _is_newer_serving(self, version: Version) -> bool:
        serving = await self.get_serving(version.key)
        return serving is not None and serving.number > version.number

    def _deployment(self, version: Version, *, replicas: int, is_default: bool) -> Deployment:
        return Deployment(
            version_id=version.version_id,
            key=version.key,
            replicas=replicas,
            is_default=is_default,
            modified_at=self._now(),
        )
