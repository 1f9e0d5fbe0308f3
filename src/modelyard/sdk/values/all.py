"""All values under one roof: `from modelyard.sdk.values.all import Image`."""

from __future__ import annotations

from collections.abc import Iterator as Stream
from typing import get_args, get_origin

from modelyard.sdk.arrays import is_array
from modelyard.sdk.values.base import MessageData
from modelyard.sdk.values.concept import Concept
from modelyard.sdk.values.frame import Frame
from modelyard.sdk.values.media import Audio, Image, Video
from modelyard.sdk.values.named_fields import NamedFields
from modelyard.sdk.values.param import Param
from modelyard.sdk.values.region import Region
from modelyard.sdk.values.text import JSON, Text

__all__ = [
    "JSON",
    "Audio",
    "Concept",
    "Frame",
    "Image",
    "MessageData",
    "NamedFields",
    "Param",
    "Region",
    "Stream",
    "Text",
    "Video",
    "cast",
]


def cast(value: object, python_type: object) -> object:
    """The value as this type: an Image as Pillow's or numpy's, a Text as str, an array as a list, lists by item."""
    if isinstance(value, MessageData):
        return value.cast(python_type)
    if get_origin(python_type) is not list:
        return value
    if is_array(value):
        return value.tolist()  # type: ignore[attr-defined]  # numpy's
    arguments = get_args(python_type)
    return [cast(one, arguments[0]) for one in value] if isinstance(value, list) and arguments else value
