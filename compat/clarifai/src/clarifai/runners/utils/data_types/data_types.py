"""The same names in the module where newer releases keep them."""

from __future__ import annotations

from clarifai.runners.utils.data_types import (
    JSON,
    Audio,
    Concept,
    Frame,
    Image,
    MessageData,
    NamedFields,
    Region,
    Stream,
    Text,
    Video,
    cast,
)
from modelyard.sdk.published import load_published

__all__ = [
    "JSON",
    "Audio",
    "Concept",
    "Frame",
    "Image",
    "MessageData",
    "NamedFields",
    "Region",
    "Stream",
    "Text",
    "Video",
    "cast",
]


def __getattr__(name: str) -> object:
    return load_published(__name__, name)
