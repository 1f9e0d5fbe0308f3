"""The public model types: what goes in and what comes out, as paths into the V2 `Data` message.

`visual-classifier` and its like are the names that published folders carry; the guide says `image-classifier`, and
both mean the same.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

_VISUAL = ("image", "video")
_CONCEPTS = ("concepts",)
_BOXES = ("regions[...].region_info.bounding_box", "regions[...].data.concepts")
_MASKS = ("regions[...].region_info.mask", "regions[...].data.concepts")
_MANY = ("text", "image", "audio", "video")


@dataclass(frozen=True, kw_only=True)
class ModelTypeInfo:
    """One public model type. Fields are paths into V2 `Data`; an input has one of them or more, an output all."""

    id: str
    title: str
    description: str
    input_fields: tuple[str, ...]
    output_fields: tuple[str, ...]

    @property
    def needs_concepts(self) -> bool:
        """Whether its outputs are concepts, which config.yaml then has to list."""
        return any(path.endswith("concepts") for path in self.output_fields)


def _type(id_: str, description: str, inputs: tuple[str, ...], outputs: tuple[str, ...]) -> ModelTypeInfo:
    title = id_.replace("-", " ").capitalize().replace("Mcp", "MCP").replace("Openai", "OpenAI")
    return ModelTypeInfo(id=id_, title=title, description=description, input_fields=inputs, output_fields=outputs)


_ALL = (
    _type("visual-classifier", "Labels an image or the frames of a video.", _VISUAL, _CONCEPTS),
    _type("image-classifier", "Labels an image; another name of visual-classifier.", _VISUAL, _CONCEPTS),
    _type("visual-detector", "Finds labelled boxes in an image or the frames of a video.", _VISUAL, _BOXES),
    _type("image-detector", "Finds labelled boxes in an image; another name of visual-detector.", _VISUAL, _BOXES),
    _type("visual-segmenter", "Labels the pixels of an image.", _VISUAL, _MASKS),
    _type("image-segmenter", "Labels the pixels of an image; another name of visual-segmenter.", _VISUAL, _MASKS),
    _type(
        "visual-keypointer",
        "Finds labelled points in an image.",
        _VISUAL,
        ("regions[...].region_info.keypoint_locations", "regions[...].data.concepts"),
    ),
    _type("visual-embedder", "Turns an image into a vector.", _VISUAL, ("embeddings",)),
    _type("image-embedder", "Turns an image into a vector; another name of visual-embedder.", _VISUAL, ("embeddings",)),
    _type("visual-anomaly-heatmap", "Shows where an image is unusual.", ("image",), ("heatmaps", "concepts")),
    _type("image-to-text", "Describes an image in text.", ("image",), ("text",)),
    _type("image-to-image", "Makes an image from an image.", ("image",), ("image",)),
    _type("image-to-video", "Makes a video from an image.", ("image", "text"), ("video",)),
    _type("image-color-recognizer", "Names the colours of an image.", ("image",), ("colors",)),
    _type(
        "optical-character-recognizer",
        "Reads the text in an image, with its place.",
        ("image",),
        ("regions[...].region_info.bounding_box", "regions[...].data.text"),
    ),
    _type("video-to-text", "Describes a video in text.", ("video",), ("text",)),
    _type("text-classifier", "Labels a text.", ("text",), _CONCEPTS),
    _type(
        "text-token-classifier",
        "Labels spans of a text.",
        ("text",),
        ("regions[...].region_info.span", "regions[...].data.concepts"),
    ),
    _type("text-embedder", "Turns a text into a vector.", ("text",), ("embeddings",)),
    _type("text-to-text", "Answers a text with a text.", ("text",), ("text",)),
    _type("text-to-image", "Makes an image from a text.", ("text",), ("image",)),
    _type("text-to-audio", "Speaks a text, or makes a sound from it.", ("text",), ("audio",)),
    _type("text-to-video", "Makes a video from a text.", ("text",), ("video",)),
    _type("audio-classifier", "Labels a sound.", ("audio",), _CONCEPTS),
    _type("audio-embedder", "Turns a sound into a vector.", ("audio",), ("embeddings",)),
    _type("audio-to-text", "Writes down what is said.", ("audio",), ("text",)),
    _type("audio-to-audio", "Makes a sound from a sound.", ("audio",), ("audio",)),
    _type("multimodal-embedder", "Turns a text or an image into a vector.", ("text", "image"), ("embeddings",)),
    _type("multimodal-to-text", "Answers text, image, audio or video with a text.", _MANY, ("text",)),
    _type("any-to-any", "Takes and answers any kind of data.", _MANY, _MANY),
    _type("mcp", "Serves tools over the Model Context Protocol.", ("text",), ("text",)),
    _type("openai", "Serves the OpenAI-compatible API.", ("text",), ("text",)),
)

MODEL_TYPES: Mapping[str, ModelTypeInfo] = MappingProxyType({info.id: info for info in _ALL})
CERTAIN = 0.93
"""How alike a text and a public type have to be, so that one may be taken for the other unasked."""


def mend_model_type(text: str) -> str:
    """The public type that another spelling certainly means, such as `Image Classifer`; "" where there is none."""
    plain = re.sub(r"[ _]+", "-", text.strip().lower())
    close = difflib.get_close_matches(plain, MODEL_TYPES, n=2, cutoff=CERTAIN)
    return close[0] if close and (len(close) == 1 or close[0] == plain) and close[0] != text else ""
