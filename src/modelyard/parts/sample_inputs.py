"""The smallest input that fits a model's type: what test runs and warm-ups send where nobody gave them anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from modelyard.config.model_types import MODEL_TYPES
from modelyard.data.audio import Audio
from modelyard.data.image import Image
from modelyard.data.media import Media
from modelyard.data.text import Text
from modelyard.data.video import Video
from modelyard.wire.messages import Input

SAMPLES = Path(__file__).parent / "samples"
"""A drawn house, half a second of a 440 Hz tone, a two-second clip and a sentence: all made for this."""
SAMPLE_FILES = {"text": "text.txt", "image": "image.png", "audio": "audio.wav", "video": "video.mp4"}
MOST_LIKELY = ("text", "image", "audio", "video")
_MEDIA: Mapping[str, type[Media]] = {"image": Image, "audio": Audio, "video": Video}


def make_samples(model_type_id: str) -> list[Input]:
    """Inputs for a model of this type; a text for a type that is not known.

    One input of the kind that is most likely for the type: an image where it takes image or video. A multimodal model
    gets text and image in one input, and an embedder of both one of each.
    """
    known = MODEL_TYPES.get(model_type_id)
    fields = known.input_fields if known else ("text",)
    kinds = [kind for kind in MOST_LIKELY if kind in fields]
    if {"text", "image"} <= set(kinds):
        if known is not None and known.output_fields == ("embeddings",):
            return [make_sample("text"), make_sample("image")]
        return [join_inputs([make_sample("text"), make_sample("image")])]
    return [make_sample(kinds[0] if kinds else "text")]


def make_other_samples(model_type_id: str) -> list[list[Input]]:
    """Other inputs that a model of this type may want: of each kind alone that its samples are not already.

    A detector may take an image in `predict` and nothing but a video in `generate`.
    """
    known = MODEL_TYPES.get(model_type_id)
    usual = make_samples(model_type_id)
    alone = [[make_sample(kind)] for kind in (known.input_fields if known else ())]
    return [one for one in alone if one != usual]


def make_sample(kind: str) -> Input:
    """The bundled `text`, `image`, `audio` or `video`."""
    content = (SAMPLES / SAMPLE_FILES[kind]).read_bytes()
    made = Input()
    value = Text(raw=content.decode().strip()) if kind == "text" else _MEDIA[kind](content=content)
    value.write(made.data)
    return made


def join_inputs(inputs: Sequence[Input]) -> Input:
    """One input with the data of all of them."""
    joined = Input()
    for one in inputs:
        joined.MergeFrom(one)
    return joined
