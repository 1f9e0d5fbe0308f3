"""From what a request names to the version that answers it, remembered: the hot path asks no database.

What is remembered lasts for a second, or while nothing is written, and until a deployment changes: who sees that a
version is ready also asks it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple
from weakref import WeakValueDictionary

from modelyard.errors import InvalidRequest, ModelDeploying, ModelNotDeployed, VersionNotFound
from modelyard.parts.version_message import make_defaults
from modelyard.server.records import Endpoint, HeaderRule, Model, Share, Version, VersionState
from modelyard.server.services.renewals import FRESH_S, RENEW_S, Freshness, Renewals
from modelyard.server.services.split import Headers, Split, match_rule
from modelyard.server.services.versions import Versions
from modelyard.server.store.changes import Waiter
from modelyard.wire.messages import ModelVersion, PostModelOutputsRequest

MAX_REMEMBERED = 10_000
BUILDING = frozenset({VersionState.UPLOADING, VersionState.UPLOADED, VersionState.BUILDING, VersionState.BUILT})


class Address(NamedTuple):
    """What a request says of the model: the version, and in short forms the app, may be empty. A tuple, because each
    request makes one and looks it up."""

    user_id: str
    app_id: str
    model_id: str
    version_id: str
    """Its id or its number: whoever names it gets it, whatever the traffic is."""
    deployment_id: str = ""
    """The name of an endpoint, where the request asks one instead of the model."""


make_address = partial(tuple.__new__, Address)
"""As `Address`, of a tuple of all five, without the function of Python that a named tuple has for it."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """The version that answers, and what its class is told of it."""

    version_id: str
    defaults: PostModelOutputsRequest
    """A request with nothing but what the version says: ids, concepts, params. Not to be changed."""
    prefix: bytes
    """`defaults`, serialised. Messages merge by concatenation: set before a caller's bytes, the caller's values win."""


class Route:
    """Where the requests of one address go: to one target nearly always, else to one of several."""

    __slots__ = ("_rules", "_split", "_targets", "only")

    def __init__(
        self, targets: Mapping[str, Target], shares: Sequence[Share] = (), rules: Sequence[HeaderRule] = ()
    ) -> None:
        self._targets = targets
        self._split = Split(one for one in shares if one.version_id in targets)
        self._rules = tuple(one for one in rules if one.version_id in targets)
        self.only = next(iter(targets.values())) if len(targets) == 1 and not self._rules else None
        """The target of every request, where there is one alone."""

    def choose(self, headers: Headers) -> Target:
        """The target of one request."""
        asked = match_rule(self._rules, headers) if self._rules else ""
        return self._targets[asked or self._split.choose()]


class Targets:
    """Resolves addresses."""

    def __init__(
        self,
        versions: Versions,
        changes: Waiter,
        *,
        freshness: Freshness | None = None,
    ) -> None:
        self._versions = versions
        self._changes = changes
        self._remembered: dict[Address, tuple[float, Route]] = {}
        self._generation = 0
        self._resolving: WeakValueDictionary[Address, asyncio.Lock] = WeakValueDictionary()
        """Many who ask at once cause one look."""
        self._freshness = freshness or Freshness()
        self._renewals = Renewals(self._freshness)

    def recall(self, address: Address, headers: Headers = ()) -> Target | None:
        """As `resolve`, where the answer is remembered. One that is asked for again and again is renewed in time."""
        if self._changes.has_changed:
            self._follow_changes()
        remembered = self._remembered.get(address)
        if remembered is None:
            return None
        asked_at, route = remembered
        age_s = self._freshness.age_s(asked_at)
        if age_s >= RENEW_S:
            if age_s >= FRESH_S:
                return None
            self._renewals.begin(address, asked_at, lambda: self._look_up(address))
        return route.only or route.choose(headers)

    async def resolve(self, address: Address, headers: Headers = ()) -> Target:
        """The version to ask. An endpoint's rules may look at the headers of the request.

        Raises:
            ModelNotFound: there is no such model. VersionNotFound: or no such version of it.
            ModelDeploying: it is being built.
            ModelNotDeployed: its upload or its build failed, or nothing was uploaded.
        """
        self._follow_changes()
        route = self._recall(address)
        if route is None:
            async with self._resolving.setdefault(address, asyncio.Lock()):
                route = self._recall(address) or await self._look_up(address)
        return route.only or route.choose(headers)

    def _follow_changes(self) -> None:
        if self._changes.has_changed:
            self._changes.note()
            self._remembered.clear()
            self._generation += 1

    def _recall(self, address: Address) -> Route | None:
        remembered = self._remembered.get(address)
        if remembered is None or self._freshness.age_s(remembered[0]) >= FRESH_S:
            return None
        return remembered[1]

    async def _look_up(self, address: Address) -> Route:
        asked_at, generation = self._freshness.now(), self._generation
        route = await self._find_route(address)
        self._follow_changes()
        if generation == self._generation:  # else it may be of before the change: good for this request, no other
            if len(self._remembered) >= MAX_REMEMBERED:
                self._remembered.clear()
            self._remembered[address] = (asked_at, route)
        return route

    async def _find_route(self, address: Address) -> Route:
        model, endpoint = await self._find_model(address)
        if endpoint is not None and not address.version_id:
            is_simple = len(endpoint.traffic) == 1 and not endpoint.rules and endpoint.is_own
            if not is_simple:
                return await self._make_route(model, endpoint)
        version = await self._versions.get(model.key, address.version_id)
        _check_state(version)
        return Route({version.version_id: _make_target(model, version)})

    async def _find_model(self, address: Address) -> tuple[Model, Endpoint | None]:
        if not address.deployment_id:
            model = await self._versions.find_model(address.user_id, address.app_id, address.model_id)
            return model, None if address.version_id else await self._versions.find_endpoint(model.key)
        endpoint = await self._versions.get_endpoint(address.user_id, address.deployment_id)
        named = address.model_id or endpoint.key.model_id, address.app_id or endpoint.key.app_id
        if named != (endpoint.key.model_id, endpoint.key.app_id):
            raise InvalidRequest(
                f"deployment {address.deployment_id!r} serves model {endpoint.key}, and the request names "
                f"{named[1]}/{named[0]}"
            )
        key = endpoint.key
        return await self._versions.find_model(key.user_id, key.app_id, key.model_id), endpoint

    async def _make_route(self, model: Model, endpoint: Endpoint) -> Route:
        """A route over all versions that can serve; those that cannot have had their traffic taken from them."""
        needed = {one.version_id for one in endpoint.traffic} | {one.version_id for one in endpoint.rules}
        targets: dict[str, Target] = {}
        for version_id in sorted(needed):
            with suppress(VersionNotFound):
                version = await self._versions.get(model.key, version_id)
                if version.state is VersionState.READY:
                    targets[version_id] = _make_target(model, version)
        if not any(one.version_id in targets for one in endpoint.traffic):
            version = await self._versions.get(model.key, "")
            _check_state(version)
            return Route({version.version_id: _make_target(model, version)})
        return Route(targets, endpoint.traffic, endpoint.rules)


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
