"""Health for probes, as every door tells it: of the server without a token, of one model with one that may see it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from modelyard.errors import ModelyardError, NotFound
from modelyard.server.api.access import Access
from modelyard.server.services.readiness import Readiness, ReadinessService
from modelyard.wire.methods import SERVICE, load_methods

SEGMENTS = ("users", "apps", "models")


class Health(Protocol):
    """What doors ask."""

    async def check(self) -> Readiness:
        """Of the server."""
        ...

    async def check_model(self, name: str, authorization: str | None) -> bool:
        """Of `users/USER/apps/APP/models/MODEL`. Raises NotFound, or what `Access` raises."""
        ...


class Openness:
    """A `Health` of servers without deployments: ready while they take requests."""

    def __init__(self, is_open: Callable[[], bool]) -> None:
        self._is_open = is_open

    async def check(self) -> Readiness:
        """See `Health`."""
        return Readiness(is_ready=self._is_open(), models=0, models_ready=0)

    async def check_model(self, name: str, authorization: str | None) -> bool:
        """See `Health`."""
        del authorization
        raise _unknown(name)


class HealthV2:
    """A `Health` of a server that deploys models."""

    def __init__(self, readiness: ReadinessService, access: Access) -> None:
        self._readiness = readiness
        self._access = access

    async def check(self) -> Readiness:
        """See `Health`."""
        return await self._readiness.check()

    async def check_model(self, name: str, authorization: str | None) -> bool:
        """See `Health`. A token that may get the model may ask for its health."""
        parts = name.split("/")
        if tuple(parts[::2]) != SEGMENTS or not all(parts[1::2]) or len(parts) != 2 * len(SEGMENTS):
            raise _unknown(name)
        caller = await self._access.authenticate(authorization)
        key = self._access.authorize(caller, load_methods()["GetModel"], parts[1], parts[3])
        return await self._readiness.check_model(key.user_id, key.app_id, parts[5])


async def check_service(health: Health, service: str, authorization: str | None) -> bool | None:
    """Health by the name that gRPC's health protocol uses: empty and the V2 service are the server. None: unknown."""
    if service in ("", SERVICE):
        return (await health.check()).is_ready
    try:
        return await health.check_model(service, authorization)
    except ModelyardError:
        return None


def _unknown(name: str) -> NotFound:
    return NotFound(f"there is no health of {name[:200]!r}", hint="ask for users/USER/apps/APP/models/MODEL")
