"""Images between bytes and Pillow, and defaults that say more, as published folders import them."""

from __future__ import annotations

from modelyard.sdk.images import bytes_to_image, image_to_bytes
from modelyard.sdk.published import load_published
from modelyard.sdk.values.param import Param

__all__ = ["Param", "bytes_to_image", "image_to_bytes"]


def __getattr__(name: str) -> object:
    return load_published(__name__, name)
