"""The public grammar of ids: what a model, a user or an app may be called."""

from __future__ import annotations

import re

MAX_ID_LENGTH = 48
ID_RULE = f"1 to {MAX_ID_LENGTH} letters, digits, '-', '_' or '.', starting with a letter, digit or '_'"
ID_PATTERN = rf"[A-Za-z0-9_][A-Za-z0-9._-]{{0,{MAX_ID_LENGTH - 1}}}"
_ID = re.compile(ID_PATTERN)


def is_valid_id(text: str) -> bool:
    """Say whether the text may be the id of a model, user or app (see `ID_RULE`)."""
    return _ID.fullmatch(text) is not None
