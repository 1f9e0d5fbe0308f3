"""Bundles of the delta protocol: many small files in the body of one request, instead of a request for each.

    digest (32 bytes) | size (4 bytes, big-endian) | content | digest | size | content ...

A server that takes them says so on the protocol's page, with the limits; docs/reference/delta.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from modelyard.errors import InvalidRequest, TooLarge, UploadIncomplete

MAX_BUNDLE_BYTES = 4 * 1024 * 1024
MAX_BUNDLED_BYTES = 256 * 1024
DIGEST_BYTES = 32
HEAD_BYTES = DIGEST_BYTES + 4


@dataclass(frozen=True, kw_only=True)
class Features:
    """What a server takes beside orders and pieces."""

    bundle_bytes: int = MAX_BUNDLE_BYTES
    """Of a whole bundle; 0: it takes none."""
    bundled_bytes: int = MAX_BUNDLED_BYTES
    """Of a file in it."""


def write_features(features: Features) -> dict[str, Any]:
    """What the protocol's page says of them."""
    return {"bundles": {"bytes": features.bundle_bytes, "file_bytes": features.bundled_bytes}}


def read_features(content: Mapping[str, Any]) -> Features:
    """What a page says; a server of before bundles says nothing."""
    told = content.get("bundles")
    if not isinstance(told, Mapping):
        return Features(bundle_bytes=0, bundled_bytes=0)
    limits = (told.get("bytes"), told.get("file_bytes"))
    if not all(isinstance(one, int) and one > 0 for one in limits):
        return Features(bundle_bytes=0, bundled_bytes=0)
    return Features(
        bundle_bytes=min(int(told["bytes"]), MAX_BUNDLE_BYTES),
        bundled_bytes=min(int(told["file_bytes"]), MAX_BUNDLED_BYTES),
    )


def write_bundle(files: Iterable[tuple[str, bytes]]) -> bytes:
    """Files as one body, each with its digest."""
    parts: list[bytes] = []
    for digest, content in files:
        parts += (bytes.fromhex(digest), len(content).to_bytes(4, "big"), content)
    return b"".join(parts)


class BundleReader:
    """Finds the files in a body that comes in blocks. What it keeps between two blocks is less than one file."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, block: bytes) -> list[tuple[str, bytes]]:
        """The files that are whole with this block: digest and content. Raises TooLarge for one that is not small."""
        data, at, found = self._rest + block, 0, []
        while len(data) - at >= HEAD_BYTES:
            digest = data[at : at + DIGEST_BYTES].hex()
            size = int.from_bytes(data[at + DIGEST_BYTES : at + HEAD_BYTES], "big")
            if size > MAX_BUNDLED_BYTES:
                raise TooLarge(
                    f"sha256:{digest} has {size} bytes, and a file in a bundle at most {MAX_BUNDLED_BYTES}",
                    hint="send it by itself",
                )
            end = at + HEAD_BYTES + size
            if end > len(data):
                break
            found.append((digest, data[at + HEAD_BYTES : end]))
            at = end
        self._rest = data[at:]
        return found

    def finish(self) -> None:
        """The body is over. Raises UploadIncomplete within a file, InvalidRequest where what is left is none."""
        if len(self._rest) >= HEAD_BYTES:
            raise UploadIncomplete("the bundle ends within a file", hint="send the rest")
        if self._rest:
            raise InvalidRequest(f"{len(self._rest)} bytes at the end of the bundle are no file")
