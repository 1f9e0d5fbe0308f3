"""The server's settings, frozen: read once by the command line, handed down by `compose`."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from modelyard.errors import InvalidRequest

LOOPBACK_HOSTS = frozenset({"127.0.0.1", "::1", "localhost"})
ACCELERATOR_RULES = ("optional", "required")
CARRIERS = ("inloop", "pyvoy")
ORIGIN_GRAMMAR = re.compile(r"https?://[a-z0-9.\-\[\]:]+")
USER_ID_GRAMMAR = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


@dataclass(frozen=True, kw_only=True)
class FetchSettings:
    """What the URL fetcher may do (docs/how-to/urls.md)."""

    is_enabled: bool = True
    allow: tuple[str, ...] = ()
    """`host`, `host:port` or CIDR entries that pass although they are private or on another port."""
    max_size_bytes: int = 128 * 1024 * 1024
    total_timeout_s: float = 30.0
    idle_timeout_s: float = 10.0
    concurrent_per_user: int = 8


@dataclass(frozen=True, kw_only=True)
class UploadSettings:
    """Limits of an upload."""

    max_size_bytes: int = 10 * 1024**3
    idle_timeout_s: float = 30.0
    concurrent_per_user: int = 4
    arrivals_bytes: int = 20 * 1024**3
    """What one user may have sent that no version uses yet. 0: there is no limit."""
    quota_bytes: int = 0
    """What the versions of one user may have together, each content counted once. 0: there is no limit."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything that `modelyard up` can be told."""

    data_dir: Path
    host: str = "127.0.0.1"
    port: int = 8080
    carrier: str = "inloop"
    """What carries the doors on the network: one of `CARRIERS`."""
    gateways: int = 1
    """How many processes accept on the port."""
    cors_origins: tuple[str, ...] = ()
    """Origins of web pages that may call: `https://console.example`. None may by default."""
    user_id: str = "local"
    default_threads: int = 1
    """Requests that a model takes at once where its config has no `num_threads`."""
    queue_size: int = 1024
    """Requests that may wait for a version's replicas (docs/how-to/limits.md)."""
    queue_bytes: int = 256 * 1024 * 1024
    """What these requests may have of payload together."""
    hold_s: float = 600.0
    """How long a request waits for a replica that is starting."""
    idle_stop_s: float = 60.0
    """A version that gets no traffic stops after this long without a request."""
    keep_warm_s: float = 600.0
    """The same for the version that had the traffic before, so that a rollback finds it warm."""
    warm_up_s: float = 60.0
    """How long a new version may take to answer the first request, which the server itself sends."""
    accelerators: str = "optional"
    """Does a model that asks for more accelerators than the machine has run on the CPU (`optional`), or not at all
    (`required`)?"""
    drain_s: float = 30.0
    """How long SIGTERM waits for requests in flight."""
    traces: str | None = None
    """Where spans go: an address of a collector, empty for what the environment says (OTEL_*). None: nowhere."""
    metrics_need_token: bool = False
    """Is a token needed for `GET /metrics` from the loopback, too?"""
    hub_token: str = field(default="", repr=False)
    """A Hugging Face token for checkpoints whose author sent none."""
    uploads: UploadSettings = field(default_factory=UploadSettings)
    fetch: FetchSettings = field(default_factory=FetchSettings)

    def __post_init__(self) -> None:
        if self.host not in LOOPBACK_HOSTS:
            raise InvalidRequest(
                f"--host {self.host}: this release serves the loopback only (127.0.0.1, ::1 or localhost)",
                hint="models run without a sandbox; put a TLS proxy of yours in front to reach it from elsewhere",
            )
        if self.accelerators not in ACCELERATOR_RULES:
            raise InvalidRequest(f"--accelerators {self.accelerators!r}: use {' or '.join(ACCELERATOR_RULES)}")
        for origin in self.cors_origins:
            if not ORIGIN_GRAMMAR.fullmatch(origin):
                raise InvalidRequest(
                    f"--cors-origin {origin!r}: an origin is a scheme, a host and perhaps a port, as in "
                    "https://console.example:8443; there is no '*'"
                )
        if not USER_ID_GRAMMAR.fullmatch(self.user_id):
            raise InvalidRequest(
                f"--user-id {self.user_id!r}: allowed are 1 to 64 letters, digits and _ . -, starting with a letter "
                "or digit"
            )

    @property
    def database_url(self) -> str:
        """Where the store is, as SQLAlchemy writes it."""
        return f"sqlite+aiosqlite:///{self.data_dir / 'modelyard.db'}"

    @property
    def secrets_dir(self) -> Path:
        """`token` and `pepper`, 0600, in a folder that is 0700."""
        return self.data_dir / "secrets"

    @property
    def server_file(self) -> Path:
        """What `modelyard env` reads: the address and the user of the running server."""
        return self.data_dir / "server.json"

    @property
    def uploads_dir(self) -> Path:
        """Archives as they arrive."""
        return self.data_dir / "uploads"

    @property
    def arrivals_dir(self) -> Path:
        """Files of delta uploads as they arrive."""
        return self.data_dir / "arrivals"

    @property
    def depot_dir(self) -> Path:
        """Files of versions, under their digests."""
        return self.data_dir / "depot"

    @property
    def environments_dir(self) -> Path:
        """Installed environments, under their digests."""
        return self.data_dir / "environments"

    @property
    def checkpoints_dir(self) -> Path:
        """Checkpoints on their way from a hub, and what hubs said."""
        return self.data_dir / "checkpoints"

    @property
    def versions_dir(self) -> Path:
        """Assembled model folders, one a version."""
        return self.data_dir / "versions"
