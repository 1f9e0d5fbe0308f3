"""Checks of what callers write into names and texts, the same for every noun."""

from __future__ import annotations

import json

from modelyard.config.identifiers import ID_RULE, is_valid_id
from modelyard.errors import InvalidRequest
from modelyard.server.records import JsonObject

MAX_TEXT_LENGTH = 10_000
MAX_NOTES_LENGTH = 100_000
MAX_METADATA_BYTES = 64 * 1024


def check_id(noun: str, text: str) -> None:
    """Raise InvalidRequest unless `text` may be the id of a `noun` (model, app, user)."""
    if not is_valid_id(text):
        what = f"{noun} id {text[:80]!r} is not valid" if text else f"the {noun}'s id is missing"
        raise InvalidRequest(f"{what}: use {ID_RULE}")


def check_text(field: str, text: str, *, max_length: int = MAX_TEXT_LENGTH) -> None:
    """Raise InvalidRequest where the text of a field is too long."""
    if len(text) > max_length:
        raise InvalidRequest(f"{field} has {len(text)} characters; at most {max_length} are kept")


def check_metadata(metadata: JsonObject) -> None:
    """Raise InvalidRequest where metadata is too large."""
    size_bytes = len(json.dumps(metadata))
    if size_bytes > MAX_METADATA_BYTES:
        raise InvalidRequest(f"metadata has {size_bytes} bytes as JSON; at most {MAX_METADATA_BYTES} are kept")
