"""A model hub's token: where it comes from, and how it stays out of what people read."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from urllib.parse import quote

from modelyard.config.placeholders import is_token_placeholder
from modelyard.config.schema import CheckpointsInfo
from modelyard.errors import CheckpointsFailed

HIDDEN = "[token]"


def choose_token(info: CheckpointsInfo, environ: Mapping[str, str]) -> str:
    """The token to ask with: `hf_token` of the config, else HF_TOKEN, else none ("").

    The guide's placeholder `your_hf_token` counts as none. Raises CheckpointsFailed as `clean_token` does.
    """
    return clean_token(info.hf_token) or clean_token(environ.get("HF_TOKEN", ""))


def clean_token(token: str) -> str:
    """The token without blanks around it; "" for none and for a placeholder.

    Raises:
        CheckpointsFailed: It has characters that cannot be sent.
    """
    text = token.strip()
    if is_token_placeholder(text):
        return ""
    if not all("!" <= one <= "~" for one in text):
        raise CheckpointsFailed(
            "checkpoints: the given token has blanks or characters that no token has",
            hint="copy it again: to hf_token under checkpoints in config.yaml, or to HF_TOKEN",
        )
    return text


def hide_token(text: str, token: str) -> str:
    """The text without the token, by value."""
    if not token:
        return text
    return text.replace(token, HIDDEN).replace(quote(token, safe=""), HIDDEN)


def fingerprint_token(token: str, key: bytes) -> str:
    """Recognises the token again; without the key it says nothing, not even to who guesses."""
    return hmac.new(key, token.encode(), hashlib.sha256).hexdigest()
