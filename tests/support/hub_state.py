"""What the local hub of the tests has, has seen, and was told to do wrong."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

Content = bytes | Path
LFS_SUFFIXES = (
    ".bin",
    ".safetensors",
    ".h5",
    ".msgpack",
    ".onnx",
    ".pt",
    ".pth",
    ".ckpt",
    ".model",
    ".gguf",
    ".tflite",
)


@dataclass(frozen=True, kw_only=True)
class HubFile:
    """One file of a commit, with the hashes that the hub tells."""

    content: Content
    size_bytes: int
    sha256: str
    blob_id: str
    """Git's sha1; of a large file it is the sha1 of its pointer."""
    is_lfs: bool

    @property
    def etag(self) -> str:
        return self.sha256 if self.is_lfs else self.blob_id

    def read(self) -> bytes:
        return self.content if isinstance(self.content, bytes) else self.content.read_bytes()


@dataclass
class Repo:
    """A model repository: commits, and the branches and tags that lead to them."""

    commits: dict[str, dict[str, HubFile]] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)
    readers: frozenset[str] | None = None
    """Tokens that see a private repository; None where everybody does."""
    accepted: frozenset[str] | None = None
    """Tokens that may have the files of a gated repository; None where it is not gated."""


@dataclass(kw_only=True)
class Seen:
    """One request, as the hub saw it."""

    method: str
    path: str
    authorization: str
    byte_range: str
    user_agent: str
    is_cdn: bool
    status: int = 0
    sent_bytes: int = 0


@dataclass(kw_only=True)
class Fault:
    """What goes wrong with answers to paths that contain `path`, `times` times."""

    path: str
    times: int
    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    cut_after: int | None = None
    is_corrupt: bool = False
    hold_after: int | None = None
    wait_s: float = 0.0
    """Before the answer, and between its blocks."""
    reached: threading.Event = field(default_factory=threading.Event)
    """Set once the answer is held."""
    release: threading.Event = field(default_factory=threading.Event)


class Hub:
    """What a test asks and tells the hub."""

    def __init__(self, tokens: frozenset[str]) -> None:
        self.url = ""
        self.cdn_url = ""
        """Where large files are redirected to; empty where the hub sends them itself."""
        self.tokens = tokens
        """Valid tokens; any other one is refused."""
        self.repos: dict[str, Repo] = {}
        self.moved: dict[str, str] = {}
        """Repositories that were renamed: old name, new name."""
        self.claimed_sizes: dict[str, int] = {}
        """Sizes that the hub tells, by path of the file, instead of the true ones."""
        self.page_entries = 1000
        self.tells_blobs = True
        """Some hubs know no sizes and hashes beside a commit, only in its tree."""
        self.has_ranges = True
        """Some mirrors send a whole file whatever part was asked for."""
        self.requests: list[Seen] = []
        self.faults: list[Fault] = []
        self._lock = threading.Lock()

    def commit(self, repo_id: str, files: Mapping[str, Content], *, branch: str = "main") -> str:
        """Make a commit with exactly these files and move the branch to it; returns its hash."""
        repo = self.repos.setdefault(repo_id, Repo())
        made = {path: describe(path, content) for path, content in files.items()}
        told = json.dumps([repo_id, len(repo.commits), sorted((path, one.sha256) for path, one in made.items())])
        commit = hashlib.sha1(told.encode()).hexdigest()
        repo.commits[commit] = made
        repo.refs[branch] = commit
        return commit

    def head(self, repo_id: str, revision: str = "main") -> str:
        """The commit that a branch leads to."""
        return self.repos[repo_id].refs[revision]

    def cut(self, path: str, *, after_bytes: int, times: int = 1) -> Fault:
        """Close the connection after so many bytes of a body."""
        return self._add(Fault(path=path, times=times, cut_after=after_bytes))

    def corrupt(self, path: str, *, times: int = 1) -> Fault:
        """Send other bytes than the file has, as many."""
        return self._add(Fault(path=path, times=times, is_corrupt=True))

    def fail(self, path: str, *, status: int, times: int = 1, **headers: str) -> Fault:
        """Answer with a status; `retry_after="1"` becomes `retry-after: 1`."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self._add(Fault(path=path, times=times, status=status, headers=named))

    def hold(self, path: str, *, after_bytes: int, times: int = 1) -> Fault:
        """Stop in the middle of a body until `release` is set; `reached` is set when it is so far."""
        return self._add(Fault(path=path, times=times, hold_after=after_bytes))

    def slow(self, path: str, *, wait_s: float, times: int = 1_000_000) -> Fault:
        """Wait before an answer and between its blocks."""
        return self._add(Fault(path=path, times=times, wait_s=wait_s))

    def downloads(self, path: str = "") -> list[Seen]:
        """The requests that a file was read with."""
        return [
            one
            for one in list(self.requests)
            if one.method == "GET" and ("/resolve/" in one.path or one.is_cdn) and path in one.path
        ]

    def sent_bytes(self, path: str = "") -> int:
        """How many bytes of files went out."""
        return sum(one.sent_bytes for one in self.downloads(path))

    def forget(self) -> None:
        """Count from here."""
        self.requests.clear()

    def note(self, seen: Seen) -> None:
        with self._lock:
            self.requests.append(seen)

    def take_fault(self, path: str, *, is_body: bool) -> Fault | None:
        """The next fault for this path: of the whole answer, or of the body that it is about to send."""
        with self._lock:
            for fault in self.faults:
                needs_body = fault.cut_after is not None or fault.is_corrupt or fault.hold_after is not None
                if fault.times > 0 and fault.path in path and is_body == needs_body:
                    fault.times -= 1
                    return fault
        return None

    def _add(self, fault: Fault) -> Fault:
        with self._lock:
            self.faults.append(fault)
        return fault


def describe(path: str, content: Content) -> HubFile:
    """The hashes of a file, large ones as git-lfs keeps them."""
    raw = content if isinstance(content, bytes) else content.read_bytes()
    sha256 = hashlib.sha256(raw).hexdigest()
    is_lfs = path.endswith(LFS_SUFFIXES) or len(raw) > 10 * 1024 * 1024
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {len(raw)}\n".encode()
    blob_id = hash_blob(pointer if is_lfs else raw)
    return HubFile(content=content, size_bytes=len(raw), sha256=sha256, blob_id=blob_id, is_lfs=is_lfs)


def hash_blob(content: bytes) -> str:
    """Git's name of a file with this content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
