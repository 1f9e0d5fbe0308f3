"""What typed methods take and answer, as published folders import it."""

from __future__ import annotations

from pkgutil import extend_path

from modelyard.sdk.published import load_published
from modelyard.sdk.values.all import (
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
__path__ = extend_path(__path__, __name__)


def __getattr__(name: str) -> object:
    return load_published(__name__, name)
