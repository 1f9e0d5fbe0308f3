"""Image, Audio and Video: the bytes of a file, or a URL. The server has fetched what a caller's URL points to."""

from __future__ import annotations

import base64
from typing import Any, TypeVar, get_origin

from modelyard.sdk.arrays import is_array, is_array_class, to_array
from modelyard.sdk.images import array_to_image, bytes_to_image, image_to_bytes, is_image, is_image_class
from modelyard.sdk.values.base import MessageData
from modelyard.wire.messages import Audio as AudioMessage
from modelyard.wire.messages import Image as ImageMessage
from modelyard.wire.messages import Video as VideoMessage

MediaT = TypeVar("MediaT", bound="Media")
Content = bytes
"""The type; inside of the classes `bytes` is their property."""


class Media(MessageData):
    """What the three share. `bytes` are as they are in a file: PNG, WAV, MP4, ..."""

    message_class: type[Any]

    def __init__(self, proto: Any = None, url: str | None = None, bytes: Content | None = None) -> None:  # noqa: A002 - the documented names
        self.proto = self.message_class() if proto is None else proto
        if url:
            self.proto.url = url
        if bytes:
            self.proto.base64 = bytes

    @property
    def url(self) -> str:
        """Where it lies; "" where that is not known."""
        return str(self.proto.url)

    @url.setter
    def url(self, value: str) -> None:
        self.proto.url = value

    @classmethod
    def from_url(cls: type[MediaT], url: str) -> MediaT:
        """What lies behind a URL."""
        return cls(url=url)

    def to_base64_str(self) -> str:
        """The bytes as base64 text. Raises ValueError where there are none."""
        return base64.b64encode(self._content()).decode("ascii")

    def to_proto(self) -> Any:
        """The V2 message."""
        return self.proto

    @classmethod
    def from_proto(cls: type[MediaT], proto: Any) -> MediaT:
        """The value of a V2 message."""
        return cls(proto)

    def __repr__(self) -> str:
        parts = [f"url={self.url!r}"] if self.url else []
        if self.proto.base64:
            parts.append(f"bytes=<{len(self.proto.base64)} bytes>")
        return f"{type(self).__name__}({', '.join(parts)})"

    def _content(self) -> Content:
        content: Content = self.proto.base64
        if not content:
            raise ValueError(f"the {type(self).__name__} has no bytes")
        return content

    def _get_bytes(self) -> Content:
        content: Content = self.proto.base64
        return content

    def _set_bytes(self, value: Content) -> None:
        self.proto.base64 = value

    bytes = property(_get_bytes, _set_bytes, doc="The bytes of its file; empty where only a URL is known.")


class Audio(Media):
    """A sound.

    Example:
        >>> Audio(bytes=b"RIFF").to_base64_str()
        'UklGRg=='
    """

    message_class = AudioMessage


class Video(Media):
    """A video.

    Example:
        >>> Video(url="https://example.com/a.mp4")
        Video(url='https://example.com/a.mp4')
    """

    message_class = VideoMessage


class Image(Media):
    """An image.

    Example:
        >>> Image(bytes=b"...")
        Image(bytes=<3 bytes>)
    """

    message_class = ImageMessage

    @classmethod
    def from_pil(cls, pil_image: Any, img_format: str = "PNG") -> Image:
        """Of a Pillow image, encoded in this format."""
        return cls(bytes=image_to_bytes(pil_image, img_format))

    @classmethod
    def from_numpy(cls, numpy_image: Any, img_format: str = "PNG") -> Image:
        """Of an array of pixels (height, width, channels)."""
        return cls.from_pil(array_to_image(numpy_image), img_format)

    def to_pil(self) -> Any:
        """As a Pillow image. Raises ValueError where there are no bytes."""
        return bytes_to_image(self._content())

    def to_numpy(self) -> Any:
        """As an array of pixels (height, width, channels). Raises ValueError where there are no bytes."""
        return to_array(self.to_pil())

    @classmethod
    def from_value(cls, value: Any) -> Image:
        """Of an Image, a Pillow image or an array of pixels."""
        if is_image(value):
            return cls.from_pil(value)
        if is_array(value):
            return cls.from_numpy(value)
        return super().from_value(value)

    def cast(self, python_type: object) -> object:
        """As Image, Pillow's Image or numpy's ndarray."""
        if is_image_class(python_type):
            return self.to_pil()
        if is_array_class(python_type) or is_array_class(get_origin(python_type)):
            return self.to_numpy()
        return super().cast(python_type)
