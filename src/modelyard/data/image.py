"""Image: the bytes of a PNG, JPEG, WebP, ... or a URL."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from modelyard.data.media import Media


@dataclass(frozen=True)
class Image(Media):
    """An image, still encoded.

    Example:
        >>> Image(url="https://example.com/sample").url
        'https://example.com/sample'
    """

    kind: ClassVar[str] = "image"
