"""What people leave in a file where something of their own belongs."""

from __future__ import annotations

import re

_TOKEN = re.compile(
    r"[<\[{(].*[>\]})]|\$.*|(your|my|the)[-_ ].*|(hf|hub|huggingface|hugging_face)?[-_ ]?(access)?[-_ ]?(token|key)"
    r"|(hf_)?[xX*.…]+|changeme|todo|none|null",
    re.IGNORECASE,
)


def is_token_placeholder(text: str) -> bool:
    """Say whether a text stands for a Hugging Face token: `your_hf_token`, `<token>`, `hf_xxx`, `${HF_TOKEN}`."""
    return _TOKEN.fullmatch(text.strip()) is not None
