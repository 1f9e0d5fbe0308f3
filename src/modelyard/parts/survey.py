"""What an upload of a folder would send, what would stay here and why, and what had better not be sent."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from modelyard.parts.code import DOCKERFILE, IgnoreRule, walk_folder
from modelyard.parts.hub.sizes import show_size
from modelyard.parts.weights import is_weight

LARGE_BYTES = 50_000_000
"""From this size on a file is hardly code."""
HEAD_BYTES = 64 * 1024
_SECRET_NAMES = re.compile(
    r"id_(rsa|dsa|ecdsa|ed25519)|.*\.(pem|key|p12|pfx|jks|keystore|kdbx|ovpn)|\.netrc|_netrc|\.npmrc|\.pypirc|\.htpasswd|"
    r"\.git-credentials|\.dockercfg|credentials(\.json|\.csv|\.ya?ml)?|client_secrets?.*\.json|.*service[_-]account.*\.json|"
    r"secrets?(\.json|\.ya?ml|\.toml|\.txt|\.env)|.*\.env|kubeconfig|terraform\.tfstate.*",
    re.IGNORECASE,
)
_SECRET_FOLDERS = frozenset({".aws", ".ssh", ".gnupg", ".kube", ".docker"})
_PUBLIC = re.compile(rb"-----BEGIN (?:PUBLIC KEY|CERTIFICATE|RSA PUBLIC KEY)-----")
_PRIVATE = re.compile(rb"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----")
_TOKENS = (
    (re.compile(rb"\bhf_[A-Za-z0-9]{30,}\b"), "a Hugging Face token"),
    (re.compile(rb"\bAKIA[0-9A-Z]{16}\b"), "an AWS access key"),
    (re.compile(rb"\bgh[pousr]_[A-Za-z0-9]{36,}\b"), "a GitHub token"),
    (re.compile(rb"\bsk-[A-Za-z0-9_-]{32,}\b"), "an API key"),
    (_PRIVATE, "a private key"),
)
_CONFIG = "config.yaml"


@dataclass(frozen=True, kw_only=True)
class SentFile:
    """A file that would be sent."""

    path: str
    size_bytes: int

    @property
    def part(self) -> str:
        """`code` or `weights`."""
        return "weights" if is_weight(self.path) else "code"


@dataclass(frozen=True, kw_only=True)
class Survey:
    """What of a folder would be sent."""

    files: tuple[SentFile, ...]
    ignored: tuple[tuple[str, str], ...]
    """What stays here, and why; a folder ends with `/`."""
    warnings: tuple[str, ...]

    @property
    def size_bytes(self) -> int:
        return sum(file.size_bytes for file in self.files)


def survey_folder(folder: Path) -> Survey:
    """Say what an upload would send. Reads the beginning of small files, for secrets.

    Raises:
        InvalidFolder: Links that lead nowhere, outside or in a circle, and files that are not plain; all at once.
    """
    paths, rules = walk_folder(folder)
    files = []
    ignored = [(path, _tell(rule)) for path, rule in rules.items()]
    for path in paths:
        if path.as_posix() == DOCKERFILE:
            ignored.append((DOCKERFILE, "not used: the environment is made from requirements.txt"))
        else:
            files.append(SentFile(path=path.as_posix(), size_bytes=(folder / path).stat().st_size))
    return Survey(files=tuple(files), ignored=tuple(sorted(ignored)), warnings=tuple(_warn(folder, files)))


def _tell(rule: IgnoreRule) -> str:
    return f"ignored by {rule}"


def _warn(folder: Path, files: list[SentFile]) -> list[str]:
    lines = []
    for file in files:
        if found := _find_secret(folder, file):
            lines.append(f"{file.path} {found}, and would be sent: name it in .modelyardignore")
        elif file.part == "code" and file.size_bytes >= LARGE_BYTES:
            lines.append(
                f"{file.path} has {show_size(file.size_bytes)}, and every upload sends it as code: move it to "
                "1/checkpoints, or name it in .modelyardignore"
            )
    return lines


def _find_secret(folder: Path, file: SentFile) -> str:
    """Why it looks like a secret: by its name, else by what is in it; "" where it does not."""
    *above, name = file.path.split("/")
    head = b""
    if file.part == "code" and file.size_bytes < LARGE_BYTES:
        with (folder / file.path).open("rb") as opened:
            head = opened.read(HEAD_BYTES)
    if _SECRET_NAMES.fullmatch(name) or not _SECRET_FOLDERS.isdisjoint(above):
        is_public = _PUBLIC.search(head) and not _PRIVATE.search(head)
        return "" if is_public else "looks like a secret by its name"
    if file.path == _CONFIG:
        return ""  # config.yaml is checked key by key
    return next((f"seems to have {what} in it" for shape, what in _TOKENS if shape.search(head)), "")
