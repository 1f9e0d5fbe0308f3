"""The server's secrets on disk: the pepper of the token digests, and the first user's token. Files are 0600."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from modelyard.errors import InternalError

PEPPER_BYTES = 32


def load_pepper(folder: Path) -> bytes:
    """The pepper; made at the first start. Kept outside the database, so that a copy of it alone verifies no token."""
    path = folder / "pepper"
    if not path.exists():
        write_private(path, secrets.token_bytes(PEPPER_BYTES))
    pepper = path.read_bytes()
    if len(pepper) != PEPPER_BYTES:
        raise InternalError(
            f"{path} holds {len(pepper)} bytes instead of {PEPPER_BYTES}",
            hint="restore it from a backup; without it no token is valid",
        )
    return pepper


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner may read: whole or not at all."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    partial.unlink(missing_ok=True)  # what a crash left, whatever its mode
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Put the new name on the disk, too: a pepper that a power cut takes back would lock everyone out."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
