"""How models answer: which versions get the requests, under which names, and from how many replicas.

What is asked for here is written down as wanted; `control/rollouts.py` makes it so once those versions answer.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from modelyard.errors import Conflict, DeploymentNotFound, InvalidRequest, ModelNotDeployed
from modelyard.server import failpoints
from modelyard.server.records import (
    Endpoint,
    HeaderRule,
    JsonObject,
    ModelKey,
    Page,
    Scale,
    Share,
    Version,
    VersionState,
)
from modelyard.server.routing.router import Router
from modelyard.server.services.fields import check_id, check_metadata, check_text
from modelyard.server.services.versions import Versions
from modelyard.server.store.base import Store

PREVIOUS = "previous"
"""Instead of a version: the newest one before the version that serves, which can serve."""
MAX_WEIGHT = 1_000_000
MAX_RULES = 32
MAX_REPLICAS = 64
MAX_HEADER_LENGTH = 256


@dataclass(frozen=True, kw_only=True)
class Change:
    """What a caller wants to be otherwise. None is what they did not say; versions are ids or numbers."""

    weights: Mapping[str, int] | None = None
    rules: Sequence[tuple[str, str, str]] | None = None
    """(header, value, version): all of them."""
    scale: Scale | None = None
    follows_latest: bool | None = None
    description: str | None = None
    metadata: JsonObject | None = None


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How things stand with an endpoint: what is wanted and what is."""

    live_replicas: int = 0
    desired_replicas: int = 0
    numbers: Mapping[str, int] = field(default_factory=dict)
    """Of every version that it names."""


@dataclass(frozen=True, kw_only=True)
class VersionStanding:
    """How things stand with one version."""

    traffic: float
    """Which part of the model's own requests it gets, in percent."""
    live_replicas: int
    desired_replicas: int


class Deployments:
    """Finds, makes, changes and deletes endpoints."""

    def __init__(self, store: Store, versions: Versions, router: Router, *, now: Callable[[], datetime]) -> None:
        self._store = store
        self._versions = versions
        self._router = router
        self._now = now

    async def get(self, user_id: str, deployment_id: str) -> Endpoint:
        """Raises DeploymentNotFound."""
        found = await self._store.endpoints.get(user_id, deployment_id)
        if found is None:
            raise DeploymentNotFound(f"deployment {deployment_id[:120]!r} does not exist")
        return found

    async def get_own(self, key: ModelKey) -> Endpoint:
        """The model's own. Raises ModelNotDeployed while no version of it has ever been ready."""
        found = await self._store.endpoints.get_own(key)
        if found is None:
            raise ModelNotDeployed(
                f"no version of model {key} has ever been ready", hint=f"modelyard versions {key.app_id}/{key.model_id}"
            )
        return found

    async def list(self, user_id: str, page: Page, *, version_ids: Sequence[str] = ()) -> Sequence[Endpoint]:
        """The user's, in the order they were made; of these versions only, where any are given."""
        if not version_ids:
            return await self._store.endpoints.list(user_id, page)
        every = [one for one in await self._store.endpoints.list_all() if one.user_id == user_id]
        found = [one for one in every if not one.version_ids.isdisjoint(version_ids)]
        return found[page.offset : page.offset + page.size]

    async def stand(self, endpoint: Endpoint) -> Standing:
        """How things stand with it."""
        numbers, desired = {}, 0
        for version_id in endpoint.version_ids:
            version = await self._store.versions.get_by_id(version_id)
            row = await self._store.deployments.get(version_id)
            numbers[version_id] = version.number if version else 0
            desired += row.replicas if row else 0
        live = sum(self._router.count(one) for one in endpoint.version_ids)
        return Standing(live_replicas=live, desired_replicas=desired, numbers=numbers)

    async def stand_versions(self, key: ModelKey, versions: Sequence[Version]) -> Mapping[str, VersionStanding]:
        """How things stand with versions of one model, by their ids."""
        own = await self._store.endpoints.get_own(key)
        weights = {one.version_id: one.weight for one in own.traffic} if own else {}
        total = sum(weights.values()) or 1
        rows = {row.version_id: row.replicas for row in await self._store.deployments.list_of(key)}
        return {
            one.version_id: VersionStanding(
                traffic=round(100 * weights.get(one.version_id, 0) / total, 4),
                live_replicas=self._router.count(one.version_id),
                desired_replicas=rows.get(one.version_id, 0),
            )
            for one in versions
        }

    async def create(self, key: ModelKey, deployment_id: str, version: str, change: Change) -> Endpoint:
        """Make one that is not a model's own; without a version it starts where the model is.

        Raises Conflict for an id that is taken, ModelNotFound, VersionNotFound, ModelNotDeployed, InvalidRequest.
        """
        deployment_id = deployment_id or f"deployment-{uuid.uuid4().hex[:12]}"
        check_id("deployment", deployment_id)
        first = await self._find_ready(key, version) if version else None
        traffic = (Share(version_id=first.version_id, weight=100),) if first else (await self.get_own(key)).traffic
        at = self._now()
        made = Endpoint(
            user_id=key.user_id,
            deployment_id=deployment_id,
            key=key,
            is_own=False,
            traffic=traffic,
            follows_latest=False,
            created_at=at,
            modified_at=at,
        )
        made = (await self._make_edit(key, change))(made)
        if not await self._store.endpoints.add(made):
            raise Conflict(f"deployment {deployment_id!r} exists already", hint="choose another id, or patch that one")
        return made

    async def change(self, endpoint: Endpoint, change: Change) -> Endpoint:
        """Change what `change` says. New traffic is wanted from now on, and comes once its versions answer.

        Raises DeploymentNotFound, VersionNotFound, ModelNotDeployed for a version that cannot serve, InvalidRequest.
        """
        edit = await self._make_edit(endpoint.key, change)
        changed = await self._store.endpoints.change(endpoint.user_id, endpoint.deployment_id, edit)
        if changed is None:
            raise DeploymentNotFound(f"deployment {endpoint.deployment_id!r} was deleted")
        failpoints.hit("traffic.wanted")
        return changed

    async def promote(self, key: ModelKey, version: str) -> Endpoint:
        """All requests of the model go to this version, once it answers."""
        return await self.change(await self.get_own(key), Change(weights={version: 100}))

    async def find_before(self, key: ModelKey) -> Version:
        """The newest version below the one that serves now that can serve: where a rollback goes.

        Raises ModelNotDeployed where there is none.
        """
        serving = await self._store.versions.get_by_id((await self.get_own(key)).main_version_id)
        page = Page(size=1000)
        for one in await self._store.versions.list(key, page):
            if serving is not None and one.number < serving.number and one.state is VersionState.READY:
                return one
        number = serving.number if serving else "?"
        raise ModelNotDeployed(
            f"model {key} has no version before {number} that can serve",
            hint=f"modelyard versions {key.app_id}/{key.model_id}",
        )

    async def delete(self, user_id: str, deployment_id: str) -> None:
        """Delete one. Raises DeploymentNotFound, and Conflict for a model's own."""
        endpoint = await self.get(user_id, deployment_id)
        if endpoint.is_own:
            raise Conflict(
                f"deployment {deployment_id!r} is how model {endpoint.key} answers; it goes with the model",
                hint=f"modelyard delete {endpoint.key.app_id}/{endpoint.key.model_id}",
            )
        if not await self._store.endpoints.delete(user_id, deployment_id):
            raise DeploymentNotFound(f"deployment {deployment_id!r} does not exist")

    async def _make_edit(self, key: ModelKey, change: Change) -> Callable[[Endpoint], Endpoint]:
        """Check what is asked for, and say what it makes of an endpoint."""
        wanted = None if change.weights is None else await self._find_shares(key, change.weights)
        rules = None if change.rules is None else await self._find_rules(key, change.rules)
        if change.scale is not None:
            _check_scale(change.scale)
        if change.description is not None:
            check_text("description", change.description)
        if change.metadata is not None:
            check_metadata(change.metadata)
        at = self._now()

        def edit(one: Endpoint) -> Endpoint:
            if wanted is not None:
                is_there = set(wanted) == set(one.traffic)
                one = replace(one, wanted=() if is_there else wanted, message="")
            if change.follows_latest is not None:
                one = replace(one, follows_latest=change.follows_latest)
            return replace(
                one,
                rules=one.rules if rules is None else rules,
                scale=change.scale or one.scale,
                description=one.description if change.description is None else change.description,
                metadata=one.metadata if change.metadata is None else change.metadata,
                modified_at=at,
            )

        return edit

    async def _find_shares(self, key: ModelKey, weights: Mapping[str, int]) -> tuple[Share, ...]:
        for version, weight in weights.items():
            if not 0 <= weight <= MAX_WEIGHT:
                raise InvalidRequest(f"weight {weight} of version {version}: use a whole number from 0 to {MAX_WEIGHT}")
        shares: dict[str, Share] = {}
        for version, weight in weights.items():
            found = await self._find_ready(key, version)
            if found.version_id in shares:
                raise InvalidRequest(f"version {found.number} of model {key} is named twice")
            if weight:
                shares[found.version_id] = Share(version_id=found.version_id, weight=weight)
        if not shares:
            raise InvalidRequest("traffic: no version gets any; give at least one a weight above 0")
        return tuple(shares.values())

    async def _find_rules(self, key: ModelKey, rules: Sequence[tuple[str, str, str]]) -> tuple[HeaderRule, ...]:
        if len(rules) > MAX_RULES:
            raise InvalidRequest(f"rules: {len(rules)} are given; at most {MAX_RULES} are allowed")
        made = []
        for header, value, version in rules:
            _check_header(header, value)
            found = await self._find_ready(key, version)
            made.append(HeaderRule(header=header.lower(), value=value, version_id=found.version_id))
        return tuple(made)

    async def _find_ready(self, key: ModelKey, version: str) -> Version:
        """The version, by id, by number or as `previous`, if it can serve. Its last failure, which is over, is
        forgotten."""
        found = await (self.find_before(key) if version == PREVIOUS else self._versions.get(key, version))
        if found.state is not VersionState.READY:
            raise ModelNotDeployed(
                f"version {found.number} of model {key} cannot serve: {found.state_message or found.state.value}",
                hint=f"modelyard versions {key.app_id}/{key.model_id}",
            )
        if found.state_message and not self._router.is_ready(found.version_id):
            quiet = replace(found, state_message="", state_details="")
            await self._store.versions.update(quiet, expected=frozenset({VersionState.READY}))
        return found


def _check_scale(scale: Scale) -> None:
    if not 0 <= scale.min_replicas <= scale.max_replicas <= MAX_REPLICAS or scale.max_replicas == 0:
        raise InvalidRequest(
            f"replicas from {scale.min_replicas} to {scale.max_replicas}: use 0 to {MAX_REPLICAS} for the least and "
            f"1 to {MAX_REPLICAS} for the most, the least not above the most"
        )
    if not 1 <= scale.idle_s <= 7 * 86400:
        raise InvalidRequest(f"idle {scale.idle_s:g} s: use 1 s to 604800 s (a week)")


def _check_header(header: str, value: str) -> None:
    plain = header.replace("-", "").replace("_", "")
    if not plain.isalnum() or not plain.isascii() or len(header) > MAX_HEADER_LENGTH:
        raise InvalidRequest(f"header {header[:80]!r} is not a header's name: use letters, digits, '-' and '_'")
    if header.lower() in ("authorization", "host", "content-type", "content-length", "te"):
        raise InvalidRequest(f"header {header!r} belongs to the transport: use one of your own, such as x-group")
    if not value or len(value) > MAX_HEADER_LENGTH or not value.isprintable():
        raise InvalidRequest(f"header {header}: its value is empty, not printable, or too long")
