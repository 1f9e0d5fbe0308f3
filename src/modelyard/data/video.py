"""Video: the bytes of an MP4, WebM, ... or a URL."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from modelyard.data.media import Media


@dataclass(frozen=True)
class Video(Media):
    """A video, still encoded.

    Example:
        >>> Video(url="https://example.com/sample").url
        'https://example.com/sample'
    """

    kind: ClassVar[str] = "video"
