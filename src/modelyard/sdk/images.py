"""Images between bytes and Pillow, as published folders convert them. Pillow is the author's own requirement."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

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
