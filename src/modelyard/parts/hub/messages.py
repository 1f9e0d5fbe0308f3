"""What the gateway or a command and the download process say to each other: one line of JSON each."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field

from modelyard.parts.files import FileEntry


@dataclass(frozen=True, kw_only=True)
class Order:
    """What to fetch. Goes over the standard input, never over arguments or the environment: it has the token."""

    repo_id: str
    revision: str
    token: str = field(repr=False)
    allow: tuple[str, ...]
    ignore: tuple[str, ...]
    depot: str
    """Root of the depot."""
    work: str
    """Folder of unfinished files."""
    known_commit: str = ""
    """A commit of which everything is here; where the revision still leads to it, nothing is to do."""
    retry_wait_s: float = 1.0
    """Before the first repetition; it doubles from one to the next."""

    def to_line(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_line(cls, line: str) -> Order:
        values = json.loads(line)
        return cls(**{**values, "allow": tuple(values["allow"]), "ignore": tuple(values["ignore"])})


@dataclass(frozen=True, kw_only=True)
class Said:
    """A line for the author."""

    line: str


@dataclass(frozen=True, kw_only=True)
class Advanced:
    """So much is here by now, the file being the last one that grew."""

    bytes_done: int
    bytes_total: int
    file: str


@dataclass(frozen=True, kw_only=True)
class Unchanged:
    """The revision still leads to the known commit."""


@dataclass(frozen=True, kw_only=True)
class Fetched:
    """Everything is in the depot. Paths are those of the repository."""

    commit: str
    is_public: bool
    """Anybody may have these files, without a token."""
    files: tuple[FileEntry, ...]


@dataclass(frozen=True, kw_only=True)
class Failed:
    """It did not work."""

    message: str
    hint: str = ""
    details: str = ""
    is_unreachable: bool = False
    """The hub could not be asked: what it said earlier may be used."""


Event = Said | Advanced | Unchanged | Fetched | Failed
_KINDS: dict[str, type[Event]] = {kind.__name__: kind for kind in (Said, Advanced, Unchanged, Fetched, Failed)}


def write_event(event: Event) -> str:
    """The event's line."""
    return json.dumps({"event": type(event).__name__, **asdict(event)}) + "\n"


def read_event(line: bytes) -> Event:
    """What `write_event` wrote. Raises ValueError, KeyError or TypeError for anything else."""
    values = json.loads(line)
    kind = _KINDS[values.pop("event")]
    if kind is Fetched:
        values["files"] = tuple(FileEntry(**row) for row in values["files"])
    return kind(**values)
