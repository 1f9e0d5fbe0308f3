"""Secrets of users at rest: sealed with AES-256-GCM under a key of the server's own, so that a copy of the database
alone tells none of them.

A sealed secret is `key number (1 byte) | nonce (12) | ciphertext and tag`. The number says which key file opens it: an
operator who adds `sealing-key-2` seals with it from then on, and what the first key sealed is still opened.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from modelyard.errors import InternalError
from modelyard.server.secret_files import write_private

KEY_BYTES = 32
NONCE_BYTES = 12
_FILE = re.compile(r"sealing-key-([1-9]|[1-9][0-9]|1[0-9]{2}|2[0-4][0-9]|25[0-5])")


class Sealer:
    """Seals and opens with the keys of a folder; the first is made where there is none."""

    def __init__(self, folder: Path) -> None:
        self._keys = _load_keys(folder)
        self._newest = max(self._keys)

    def seal(self, secret: str, *, owner: str) -> bytes:
        """Seal a secret for its owner, such as a version's id: it opens for no other. An empty one stays empty."""
        if not secret:
            return b""
        nonce = os.urandom(NONCE_BYTES)
        sealed = self._keys[self._newest].encrypt(nonce, secret.encode(), owner.encode())
        return bytes([self._newest]) + nonce + sealed

    def open(self, sealed: bytes, *, owner: str) -> str:
        """What was sealed for this owner. Raises InternalError where the key is gone or the bytes were changed."""
        if not sealed:
            return ""
        number, nonce, content = sealed[0], sealed[1 : 1 + NONCE_BYTES], sealed[1 + NONCE_BYTES :]
        if number not in self._keys:
            raise InternalError(
                f"a stored secret was sealed with key {number}, which is not there",
                hint=f"restore secrets/sealing-key-{number} of the data directory from a backup",
            )
        try:
            return self._keys[number].decrypt(nonce, content, owner.encode()).decode()
        except (InvalidTag, ValueError):
            raise InternalError(
                "a stored secret cannot be opened: it, or its key, was changed", hint="upload the model again"
            ) from None


def _load_keys(folder: Path) -> dict[int, AESGCM]:
    """The key files by number; the first is made where there is none."""
    found = {path: _FILE.fullmatch(path.name) for path in folder.glob("sealing-key-*")}
    paths = {int(match[1]): path for path, match in found.items() if match}
    if not paths:
        paths[1] = folder / "sealing-key-1"
        write_private(paths[1], os.urandom(KEY_BYTES))
    return {number: _load_key(path) for number, path in paths.items()}


def _load_key(path: Path) -> AESGCM:
    key = path.read_bytes()
    if len(key) != KEY_BYTES:
        raise InternalError(f"{path} holds {len(key)} bytes instead of {KEY_BYTES}", hint="restore it from a backup")
    return AESGCM(key)
