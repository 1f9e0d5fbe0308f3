"""What all values that stand for a V2 message share, and the way to numpy and Pillow where the author has them."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import PIL.Image

ValueT = TypeVar("ValueT", bound="MessageData")


class MessageData:
    """A value with a V2 message."""

    def to_proto(self) -> Any:
        """The V2 message."""
        raise NotImplementedError

    @classmethod
    def from_proto(cls: type[ValueT], proto: Any) -> ValueT:
        """The value of a V2 message."""
        raise NotImplementedError

    @classmethod
    def from_value(cls: type[ValueT], value: Any) -> ValueT:
        """The value itself, or what it is made of. Raises TypeError where it can be made of no such thing."""
        if isinstance(value, cls):
            return value
        raise TypeError(f"{cls.__name__} cannot be made of a value of type {type(value).__name__}")

    def cast(self, python_type: object) -> object:
        """The value as this type. Raises TypeError where there is no way."""
        if isinstance(python_type, type) and isinstance(self, python_type):
            return self
        raise TypeError(f"{type(self).__name__} cannot become {python_type}")


def is_pillow_class(found: object) -> bool:
    """Is it Pillow's `Image` class? Told by its name: Pillow is the author's own requirement."""
    return isinstance(found, type) and (found.__module__, found.__qualname__) == ("PIL.Image", "Image")


def is_array_class(found: object) -> bool:
    """Is it numpy's `ndarray`? Told by its name: numpy is the author's own requirement."""
    return isinstance(found, type) and (found.__module__, found.__qualname__) == ("numpy", "ndarray")


def is_pillow_image(value: object) -> bool:
    """Is it an image of Pillow's, of whatever format?"""
    return any(is_pillow_class(one) for one in type(value).__mro__)


def is_array(value: object) -> bool:
    """Is it an array of numpy's?"""
    return any(is_array_class(one) for one in type(value).__mro__)


def encode_pillow(image: PIL.Image.Image, img_format: str = "PNG") -> bytes:
    """The bytes of an image's file."""
    written = io.BytesIO()
    image.save(written, format=img_format)
    return written.getvalue()


def decode_pillow(content: bytes) -> PIL.Image.Image:
    """The image of a file's bytes."""
    from PIL import Image  # the author's own requirement, needed by this alone

    return Image.open(io.BytesIO(content))


def to_array(value: object) -> Any:
    """A numpy array of it."""
    import numpy as np  # type: ignore[import-not-found,unused-ignore]  # the author's own requirement, needed by this alone

    return np.asarray(value)


def array_to_pillow(array: Any) -> PIL.Image.Image:
    """The picture that an array of pixels is."""
    from PIL import Image  # the author's own requirement, needed by this alone

    return Image.fromarray(array)
