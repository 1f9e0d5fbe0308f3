"""Images between bytes and Pillow, as published folders import it."""

from __future__ import annotations

from modelyard.sdk.images import bytes_to_image, image_to_bytes
from modelyard.sdk.published import load_published

__all__ = ["bytes_to_image", "image_to_bytes"]


def __getattr__(name: str) -> object:
    return load_published(__name__, name)
