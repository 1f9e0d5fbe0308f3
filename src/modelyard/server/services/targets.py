"""From what a request names to the version that answers it, remembered: the hot path asks no database.

What is remembered lasts for a second, and until a deployment changes: who sees that a version is ready also asks it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from weakref import WeakValueDictionary

from modelyard.errors import ModelDeploying, ModelNotDeployed
from modelyard.parts.version_message import make_defaults
from modelyard.server.records import Model, Version, VersionState
from modelyard.server.services.versions import Versions
from modelyard.server.store.changes import Waiter
from modelyard.wire.messages import ModelVersion, PostModelOutputsRequest

REMEMBER_S = 1.0
MAX_REMEMBERED = 10_000
BUILDING = frozenset({VersionState.UPLOADING, VersionState.UPLOADED, VersionState.BUILDING, VersionState.BUILT})


@dataclass(frozen=True, kw_only=True, slots=True)
class Address:
    """What a request says of the model: the version, and in short forms the app, may be empty."""

    user_id: str
    app_id: str
    model_id: str
    version_id: str


@dataclass(frozen=True, kw_only=True)
class Target:
    """The version that answers, and what its class is told of it."""

    version_id: str
    defaults: PostModelOutputsRequest
    """A request with nothing but what the version says: ids, concepts, params. Not to be changed."""
    prefix: bytes
    """`defaults`, serialised. Messages merge by concatenation: set before a caller's bytes, the caller's values win."""


class Targets:
    """Resolves addresses."""

    def __init__(self, versions: Versions, changes: Waiter, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._versions = versions
        self._changes = changes
        self._clock = clock
        self._remembered: dict[Address, tuple[float, Target]] = {}
        self._generation = 0
        self._resolving: WeakValueDictionary[Address, asyncio.Lock] = WeakValueDictionary()
        """Many who ask at once cause one look."""

    async def resolve(self, address: Address) -> Target:
        """The version to ask.

        Raises:
            ModelNotFound: there is no such model. VersionNotFound: or no such version of it.
            ModelDeploying: it is being built.
            ModelNotDeployed: its upload or its build failed, or nothing was uploaded.
        """
        self._follow_changes()
        target = self._recall(address)
        if target is not None:
            return target
        async with self._resolving.setdefault(address, asyncio.Lock()):
            return self._recall(address) or await self._look_up(address)

    def _follow_changes(self) -> None:
        if self._changes.has_changed():
            self._remembered.clear()
            self._generation += 1

    def _recall(self, address: Address) -> Target | None:
        remembered = self._remembered.get(address)
        if remembered is None or self._clock() - remembered[0] >= REMEMBER_S:
            return None
        return remembered[1]

    async def _look_up(self, address: Address) -> Target:
        asked_at, generation = self._clock(), self._generation
        model = await self._versions.find_model(address.user_id, address.app_id, address.model_id)
        version = await self._versions.get(model.key, address.version_id)
        _check_state(version)
        target = _make_target(model, version)
        self._follow_changes()
        if generation == self._generation:  # else it may be of before the change: good for this request, no other
            if len(self._remembered) >= MAX_REMEMBERED:
                self._remembered.clear()
            self._remembered[address] = (asked_at, target)
        return target


def _check_state(version: Version) -> None:
    if version.state is VersionState.READY:
        return
    name = f"version {version.version_id} of model {version.key}"
    if version.state in BUILDING:
        raise ModelDeploying(
            f"{name} is not ready yet: {version.state_message or version.state.value}",
            hint="the same request works once its build has ended",
        )
    if version.state is VersionState.EMPTY:
        raise ModelNotDeployed(f"{name} has no code: nothing was uploaded for it", hint="modelyard upload DIR")
    raise ModelNotDeployed(
        f"{name} cannot serve: {version.state_message}", hint="mend it and upload again", details=version.state_details
    )


def _make_target(model: Model, version: Version) -> Target:
    key = version.key
    spec = ModelVersion.FromString(version.spec)
    spec.id = version.version_id
    defaults = make_defaults(
        user_id=key.user_id,
        app_id=key.app_id,
        model_id=key.model_id,
        model_type_id=model.model_type_id,
        version=spec,
    )
    return Target(version_id=version.version_id, defaults=defaults, prefix=defaults.SerializeToString())
