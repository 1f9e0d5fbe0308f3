"""The rows of the server, frozen: what the store gives and takes. Times are UTC, ids are the V2 ids."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import Enum

JsonObject = Mapping[str, object]


@dataclass(frozen=True, kw_only=True)
class AppKey:
    """The full name of an app."""

    user_id: str
    app_id: str


@dataclass(frozen=True, kw_only=True)
class ModelKey:
    """The full name of a model."""

    user_id: str
    app_id: str
    model_id: str

    @property
    def app(self) -> AppKey:
        """The app that the model is in."""
        return AppKey(user_id=self.user_id, app_id=self.app_id)

    def __str__(self) -> str:
        return f"{self.user_id}/{self.app_id}/{self.model_id}"


@dataclass(frozen=True, kw_only=True)
class User:
    """A person or a team that owns apps."""

    user_id: str
    created_at: datetime


@dataclass(frozen=True, kw_only=True)
class Token:
    """A personal access token. Only its HMAC is kept; the token itself is shown once."""

    token_id: str
    """Public id, part of the token's text: tokens are looked up by it."""
    user_id: str
    description: str
    digest: str
    """HMAC-SHA-256 of the token's text with the server's pepper, hex."""
    scopes: frozenset[str]
    """Names as in the descriptor (`Models_Get`); `All` stands for every scope."""
    app_ids: frozenset[str]
    """The apps that the token is bound to; empty: all of the user's."""
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class App:
    """A folder of models."""

    user_id: str
    app_id: str
    name: str
    description: str
    notes: str
    metadata: JsonObject
    created_at: datetime
    modified_at: datetime

    @property
    def key(self) -> AppKey:
        """The full name."""
        return AppKey(user_id=self.user_id, app_id=self.app_id)


@dataclass(frozen=True, kw_only=True)
class Model:
    """A model: a name under which versions are served."""

    key: ModelKey
    model_type_id: str
    name: str
    description: str
    notes: str
    metadata: JsonObject
    created_at: datetime
    modified_at: datetime


class VersionState(Enum):
    """Where a version is on its way.

    UPLOADING ── UPLOADED ── BUILDING ── BUILT ── READY
        │            └───────────┴──────────┴──── BUILD_FAILED
        └── UPLOAD_FAILED

    EMPTY is a version that was made without an upload (`PostModelVersions`).
    """

    EMPTY = "empty"
    UPLOADING = "uploading"
    UPLOAD_FAILED = "upload_failed"
    UPLOADED = "uploaded"
    """All bytes are in the depot, acknowledged; a build job is queued."""
    BUILDING = "building"
    """The environment is being resolved and installed."""
    BUILT = "built"
    """The three parts are there; the first replica is loading the model."""
    READY = "ready"
    """A replica has loaded it: it can serve."""
    BUILD_FAILED = "build_failed"
    """The environment could not be made, or the model could not be loaded the first time."""


class WarmUp(Enum):
    """How a version took its first request, which the server itself sends. One that crashes of it never gets ready."""

    NONE = ""
    """It was sent none."""
    ANSWERED = "answered"
    RAISED = "raised"
    """The author's method raised, or gave what is no answer: the sample may not be what this model takes."""
    SILENT = "silent"
    """There was no answer in time."""


@dataclass(frozen=True, kw_only=True)
class Version:
    """One version of a model: a manifest of three parts, and what the client said about it."""

    version_id: str
    """32 hexadecimal digits, as the public API makes them."""
    key: ModelKey
    number: int
    """1, 2, 3, ... within the model: for people."""
    state: VersionState
    state_message: str
    """One line on the state: why it failed, what it waits for."""
    state_details: str
    """The longer story, such as the author's traceback."""
    spec: bytes
    """The client's `ModelVersion` message, serialised: compute info, output info with concepts, signatures, ..."""
    code_digest: str
    """sha256 of the code part, empty until uploaded."""
    weights_digest: str
    """sha256 of the weights part, empty where the version has none."""
    environment_digest: str
    """sha256 of the environment part, empty until built."""
    manifest_digest: str
    """sha256 of the manifest that names the three, empty until built."""
    size_bytes: int
    created_at: datetime
    modified_at: datetime
    completed_at: datetime | None = None
    warm_up: WarmUp = WarmUp.NONE


class BuildState(Enum):
    """A build job: waiting, taken by a builder under a lease, or ended."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True)
class Build:
    """One leased job that makes a version's environment, and fetches its checkpoints."""

    version_id: str
    key: ModelKey
    state: BuildState
    attempt: int
    lease_owner: str
    lease_until: datetime | None
    created_at: datetime
    sealed_token: bytes = field(default=b"", repr=False)
    """The author's Hugging Face token, sealed for the version's id; gone when the job has ended."""


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """What is wanted: `replicas` of this version running. One row a version that has ever served."""

    version_id: str
    key: ModelKey
    replicas: int
    """How many are wanted; 0 lets them stop."""
    is_default: bool
    """Is this the version that answers when a request names none? At most one a model."""
    modified_at: datetime


@dataclass(frozen=True, kw_only=True)
class Share:
    """What part of the requests a version gets: its weight, against the sum of all."""

    version_id: str
    weight: int


@dataclass(frozen=True, kw_only=True)
class HeaderRule:
    """Requests that carry this header with this value go to this version, whatever the weights say."""

    header: str
    """Lower case."""
    value: str
    version_id: str


@dataclass(frozen=True, kw_only=True)
class Scale:
    """Between how many replicas each version of an endpoint may have."""

    min_replicas: int = 1
    """0 lets it stop after `idle_s` without a request; the next request starts it again."""
    max_replicas: int = 1
    idle_s: float = 300.0


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """A name under which a model answers, and which of its versions then do. V2 calls this a deployment.

    `wanted` is where the traffic shall go as soon as those versions have replicas that answer; then it is the traffic.
    """

    user_id: str
    deployment_id: str
    key: ModelKey
    is_own: bool
    """Is it the model's own, which answers requests that name the model alone? At most one a model."""
    traffic: tuple[Share, ...]
    wanted: tuple[Share, ...] = ()
    """Empty: nothing is under way."""
    previous_version_id: str = ""
    """Which version had most of the traffic before; empty where there was none."""
    rules: tuple[HeaderRule, ...] = ()
    scale: Scale = field(default_factory=Scale)
    follows_latest: bool = True
    """Does a new version take over once it is ready?"""
    message: str = ""
    """Why the last change of traffic was given up; empty where it was not."""
    description: str = ""
    metadata: JsonObject = field(default_factory=dict)
    created_at: datetime
    modified_at: datetime

    @property
    def main_version_id(self) -> str:
        """Which version has most of the traffic; empty where none has any."""
        return max(self.traffic, key=lambda one: one.weight).version_id if self.traffic else ""

    @property
    def version_ids(self) -> frozenset[str]:
        """Every version that it needs: for its traffic, for its rules, or for what is under way."""
        shares = {one.version_id for one in (*self.traffic, *self.wanted)}
        return frozenset(shares | {one.version_id for one in self.rules})


def own_deployment_id(key: ModelKey) -> str:
    """The name of a model's own endpoint. No id that people choose may have a `~`."""
    return f"{key.app_id}~{key.model_id}"


def shift(endpoint: Endpoint, traffic: tuple[Share, ...], at: datetime) -> Endpoint:
    """The endpoint once its traffic goes there; it remembers who had most of it before."""
    moved = replace(endpoint, traffic=traffic, wanted=(), message="", modified_at=at)
    before = endpoint.main_version_id
    return replace(moved, previous_version_id=before) if before not in ("", moved.main_version_id) else moved


class LogType(Enum):
    """Which log a line belongs to; the values are the V2 `log_type`s."""

    BUILD = "builder"
    RUN = "runner"


@dataclass(frozen=True, kw_only=True)
class LogLine:
    """One line of a version's log. `sequence` never changes and is unique within version and type."""

    version_id: str
    log_type: LogType
    sequence: int
    message: str
    created_at: datetime


@dataclass(frozen=True, kw_only=True)
class Page:
    """Which part of a listing. `number` counts from 1; a page past the end is empty."""

    number: int = 1
    size: int = 128
    """Rows a page, 1 to 1000."""

    @property
    def offset(self) -> int:
        """Rows before this page."""
        return (self.number - 1) * self.size


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Who calls, established by `api/access.py` from the token."""

    user_id: str
    token_id: str
    scopes: frozenset[str] = field(default=frozenset({"All"}))
    app_ids: frozenset[str] = frozenset()
