"""The store's contract, one Protocol a noun. Every adapter passes `tests/contract/test_store_*.py`.

Common to all: each call is one short transaction; a call that returns has been committed durably; `get` answers None
where there is no such row; `list` answers in creation order, and an empty list past the last page; `delete` of what is
not there answers False. A row whose parent is gone cannot be added: UserNotFound, AppNotFound or ModelNotFound.
Nothing here waits for a network, a build or a model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from modelyard.server.records import (
    App,
    AppKey,
    Build,
    Deployment,
    Endpoint,
    LogLine,
    LogType,
    Model,
    ModelKey,
    Page,
    Token,
    User,
    Version,
    VersionState,
)
from modelyard.server.store.changes import Waiter


class UserStore(Protocol):
    """Users."""

    async def add(self, user: User) -> bool:
        """Add a user; False where the id is taken."""
        ...

    async def get(self, user_id: str) -> User | None: ...


class TokenStore(Protocol):
    """Personal access tokens."""

    async def add(self, token: Token) -> None:
        """Add; its public id must be new."""
        ...

    async def get(self, token_id: str) -> Token | None:
        """The token by its public id, revoked and expired ones included."""
        ...

    async def list(self, user_id: str, page: Page) -> Sequence[Token]:
        """The user's tokens that are not revoked."""
        ...

    async def update(self, token: Token) -> bool:
        """Replace description, scopes and app_ids; False where the user has no such token or it is revoked."""
        ...

    async def revoke(self, user_id: str, token_id: str, at: datetime) -> bool:
        """Revoke; False where the user has no such token or it was revoked before."""
        ...


class AppStore(Protocol):
    """Apps, always within one user."""

    async def add(self, app: App) -> bool:
        """Add; False where the id is taken."""
        ...

    async def get(self, key: AppKey) -> App | None: ...

    async def list(self, user_id: str, page: Page) -> Sequence[App]: ...

    async def update(self, app: App) -> bool:
        """Replace the row; False where there is none."""
        ...

    async def delete(self, key: AppKey) -> bool:
        """Delete the app with its models, versions, builds, deployments and logs."""
        ...


class ModelStore(Protocol):
    """Models, always within one app."""

    async def add(self, model: Model) -> bool:
        """Add; False where the id is taken."""
        ...

    async def get(self, key: ModelKey) -> Model | None: ...

    async def list(self, app: AppKey, page: Page, *, model_type_id: str = "") -> Sequence[Model]: ...

    async def find(self, user_id: str, model_id: str) -> Sequence[Model]:
        """The user's models of this id, whatever app they are in."""
        ...

    async def list_by_user(self, user_id: str, page: Page, *, model_type_id: str = "") -> Sequence[Model]:
        """All models of all apps of the user."""
        ...

    async def update(self, model: Model) -> bool: ...

    async def delete(self, key: ModelKey) -> bool:
        """Delete the model with its versions, builds, deployments and logs."""
        ...


class VersionStore(Protocol):
    """Versions of models."""

    async def add(self, version: Version) -> Version:
        """Add; the row that comes back has its `number` set to one more than the model's highest so far, deleted
        versions included."""
        ...

    async def get(self, key: ModelKey, version_id: str) -> Version | None: ...

    async def get_by_id(self, version_id: str) -> Version | None:
        """For the control loops, which work for all users. Services use `get`."""
        ...

    async def get_by_number(self, key: ModelKey, number: int) -> Version | None: ...

    async def latest(
        self, key: ModelKey, states: frozenset[VersionState] | None = None, *, without: str = ""
    ) -> Version | None:
        """The version with the highest number, of those in `states` where given, the id `without` left out."""
        ...

    async def current(self, keys: Sequence[ModelKey]) -> Mapping[ModelKey, Version]:
        """The version that each model answers with: the default one, else the latest. A model without versions, or
        without existence, is left out."""
        ...

    async def list(self, key: ModelKey, page: Page) -> Sequence[Version]:
        """Newest first, as the public API lists them."""
        ...

    async def list_in_states(self, states: frozenset[VersionState]) -> Sequence[Version]:
        """All users' versions in these states, oldest first. For the control loops."""
        ...

    async def list_digests(self) -> Sequence[tuple[str, str, str, str]]:
        """(code, weights, environment, manifest) digests of every version. For the depot's garbage collection."""
        ...

    async def list_parts(self, user_id: str) -> Sequence[tuple[str, str, str]]:
        """(app, code, weights) of the user's versions that have code, without repetitions, the newest first."""
        ...

    async def update(self, version: Version, *, expected: frozenset[VersionState] | None = None) -> bool:
        """Replace the row but for `number`, `created_at` and `spec`; False where there is none, or where its state is
        not one of `expected`."""
        ...

    async def set_spec(self, key: ModelKey, version_id: str, spec: bytes, at: datetime) -> bool:
        """Replace what the client says about the version; False where there is none."""
        ...

    async def become_ready(self, version: Version, deployment: Deployment) -> bool:
        """Replace the version (BUILT -> READY) and put its deployment, in one transaction: whoever sees that it is
        ready also asks it. False where the version is gone or no longer BUILT."""
        ...

    async def acknowledge_upload(self, version: Version, build: Build) -> bool:
        """Replace the version, `spec` too, (UPLOADING -> UPLOADED) and queue its build, in one transaction; False
        where the version is gone or no longer UPLOADING."""
        ...

    async def delete(self, key: ModelKey, version_id: str) -> bool:
        """Delete the version with its build, deployment and logs."""
        ...


class BuildStore(Protocol):
    """Build jobs under leases."""

    async def get(self, version_id: str) -> Build | None: ...

    async def take(self, owner: str, now: datetime, until: datetime) -> Build | None:
        """Lease the oldest job that is QUEUED, or RUNNING with a lease that ended before `now`: RUNNING, attempt + 1.
        None where there is none. Two takers never get the same job."""
        ...

    async def extend(self, version_id: str, owner: str, until: datetime) -> bool:
        """Renew the lease; False where `owner` no longer holds it."""
        ...

    async def finish(self, version_id: str, owner: str, *, succeeded: bool) -> bool:
        """End the job, and forget its `sealed_token`; False where `owner` no longer holds it."""
        ...

    async def release(self, owner_prefix: str) -> int:
        """Put RUNNING jobs whose owner does not start with `owner_prefix` back to QUEUED; how many. At start-up, when
        no other process can hold a lease."""
        ...


class DeploymentStore(Protocol):
    """What is wanted to run."""

    async def get(self, version_id: str) -> Deployment | None: ...

    async def list(self) -> Sequence[Deployment]:
        """All users' deployments. For the control loops."""
        ...

    async def list_of(self, key: ModelKey) -> Sequence[Deployment]:
        """The deployments of a model's versions, oldest version first."""
        ...

    async def put(self, deployment: Deployment) -> None:
        """Add or replace. One with `is_default` takes that from the model's other deployments in the same
        transaction, and all traffic of the model's own endpoint, which is made where there is none. Nothing happens
        where the version is gone."""
        ...

    async def scale(self, version_id: str, replicas: int, at: datetime) -> bool:
        """Change how many replicas are wanted, and nothing else: whoever read the row before a new default took over
        does not undo that. False where there is no such deployment."""
        ...

    async def get_default(self, key: ModelKey) -> Deployment | None: ...

    async def delete(self, version_id: str) -> bool: ...


class EndpointStore(Protocol):
    """Names under which models answer."""

    async def get(self, user_id: str, deployment_id: str) -> Endpoint | None: ...

    async def get_own(self, key: ModelKey) -> Endpoint | None:
        """The model's own; None while no version of it has ever been ready."""
        ...

    async def list(self, user_id: str, page: Page) -> Sequence[Endpoint]: ...

    async def list_all(self) -> Sequence[Endpoint]:
        """All users' endpoints. For the control loops."""
        ...

    async def list_of(self, key: ModelKey) -> Sequence[Endpoint]:
        """All endpoints of a model, its own first."""
        ...

    async def add(self, endpoint: Endpoint) -> bool:
        """Add one that is not a model's own; False where the user has one of that id."""
        ...

    async def change(self, user_id: str, deployment_id: str, change: Callable[[Endpoint], Endpoint]) -> Endpoint | None:
        """Replace a row by what `change` makes of it, in one transaction: of two that change it at once, the second
        sees what the first made. What `change` raises leaves it as it was. Where it is a model's own, the version with
        most of the traffic is the model's default afterwards. None where there is no such endpoint."""
        ...

    async def delete(self, user_id: str, deployment_id: str) -> bool:
        """Delete one that is not a model's own."""
        ...


class LogStore(Protocol):
    """Lines of build and run logs."""

    async def append(self, lines: Sequence[LogLine]) -> None:
        """Append; `sequence` of the given lines is ignored and assigned, rising by 1 from 1 within version and type.
        Lines of a version that does not exist are dropped. The oldest lines beyond 100,000 a version and type go."""
        ...

    async def list(self, version_id: str, log_type: LogType, page: Page) -> Sequence[LogLine]:
        """Oldest first; a page, once full, never changes while its lines are kept: page 2 of 50 has the sequences 51
        to 100, or those of them that are kept."""
        ...

    async def last_sequence(self, version_id: str, log_type: LogType) -> int:
        """The newest line's sequence, 0 where there is none."""
        ...


class Store(Protocol):
    """All of them, over one database."""

    @property
    def users(self) -> UserStore: ...

    @property
    def tokens(self) -> TokenStore: ...

    @property
    def apps(self) -> AppStore: ...

    @property
    def models(self) -> ModelStore: ...

    @property
    def versions(self) -> VersionStore: ...

    @property
    def builds(self) -> BuildStore: ...

    @property
    def deployments(self) -> DeploymentStore: ...

    @property
    def endpoints(self) -> EndpointStore: ...

    @property
    def logs(self) -> LogStore: ...

    def watch(self) -> Waiter:
        """A waiter that wakes when builds, deployments or endpoints have changed through this process."""
        ...

    async def mark(self) -> str | None:
        """Changes with everything that is written, by whichever process: where it is the same as before, nothing was
        written in between. None: that is not known."""
        ...

    async def close(self) -> None:
        """Finish what runs and close the database."""
        ...
