"""What is sent: the same text or image to every server, in the words of each."""

from __future__ import annotations

import base64
import json
import random
from dataclasses import dataclass

TEXT_BYTES = 100


@dataclass(frozen=True, kw_only=True)
class Payload:
    """A text, or the bytes of an image."""

    text: str = ""
    image: bytes = b""

    @property
    def as_text(self) -> str:
        """What servers without a type for images get in a JSON string."""
        return base64.b64encode(self.image).decode() if self.image else self.text

    @property
    def as_json_bytes(self) -> bytes:
        return self.as_text.encode()

    @property
    def as_bytes(self) -> bytes:
        """What stands in the answer of a binary protocol."""
        return self.image or self.text.encode()

    def in_json(self, **keys: object) -> bytes:
        """A JSON object with the text; a value `...` stands for it, also within lists."""
        return json.dumps(_fill(keys, self.as_text)).encode()


def _fill(value: object, text: str) -> object:
    if value is ...:
        return text
    if isinstance(value, list):
        return [_fill(one, text) for one in value]
    if isinstance(value, dict):
        return {name: _fill(one, text) for name, one in value.items()}
    return value


def make_text(size_bytes: int = TEXT_BYTES) -> Payload:
    """Plain ASCII."""
    sentence = "The quick brown fox jumps over the lazy dog. "
    return Payload(text=(sentence * (size_bytes // len(sentence) + 1))[:size_bytes])


def make_image(size_bytes: int) -> Payload:
    """Bytes that no compression makes smaller, as those of an image are."""
    return Payload(image=random.Random(1).randbytes(size_bytes))
