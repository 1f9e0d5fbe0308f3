"""Images between bytes and Pillow, as published folders convert them.

Pillow is the author's own requirement: told by its name, and imported where it is used.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL.Image import Image


def image_to_bytes(img: Image, format: str = "JPEG") -> bytes:  # noqa: A002 - the documented name
    """Encode an image: `JPEG`, `PNG` or another format that Pillow writes."""
    written = io.BytesIO()
    img.save(written, format=format)
    return written.getvalue()


def bytes_to_image(bytes_img: bytes) -> Image:
    """Decode an encoded image."""
    from PIL import Image  # the author's own requirement, needed by this alone

    return Image.open(io.BytesIO(bytes_img))


def array_to_image(array: Any) -> Image:
    """The picture that an array of pixels is: height, width, channels."""
    from PIL import Image  # as above

    return Image.fromarray(array)


def is_image_class(found: object) -> bool:
    """Is it Pillow's `Image` class?"""
    return isinstance(found, type) and (found.__module__, found.__qualname__) == ("PIL.Image", "Image")


def is_image(value: object) -> bool:
    """Is it an image of Pillow's, of whatever format?"""
    return any(is_image_class(one) for one in type(value).__mro__)
