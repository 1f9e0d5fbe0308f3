"""Audio: the bytes of a WAV, MP3, FLAC, ... or a URL."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from modelyard.data.media import Media


@dataclass(frozen=True)
class Audio(Media):
    """A sound, still encoded.

    Example:
        >>> Audio(url="https://example.com/sample").url
        'https://example.com/sample'
    """

    kind: ClassVar[str] = "audio"
