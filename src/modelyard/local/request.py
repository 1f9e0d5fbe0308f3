"""The request of a test run: what the server would send for this folder, with inputs that fit the model's type."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from modelyard.client.inputs import make_media_input, make_text_input
from modelyard.config.model_types import MODEL_TYPES
from modelyard.config.schema import FolderConfig
from modelyard.parts.version_message import make_version_message
from modelyard.wire.messages import Input, PostModelOutputsRequest

SAMPLES = Path(__file__).parent / "samples"
"""A drawn house, half a second of a 440 Hz tone, a two-second clip and a sentence: all made for this."""
SAMPLE_FILES = {"text": "text.txt", "image": "image.png", "audio": "audio.wav", "video": "video.mp4"}
MOST_LIKELY = ("text", "image", "audio", "video")
USER, APP, VERSION = "local", "main", "local"


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


def make_sample(kind: str) -> Input:
    """The bundled `text`, `image`, `audio` or `video`."""
    path = SAMPLES / SAMPLE_FILES[kind]
    if kind == "text":
        return make_text_input(path.read_text(encoding="utf-8").strip())
    return make_media_input(kind, str(path))


def join_inputs(inputs: Sequence[Input]) -> Input:
    """One input with the data of all of them."""
    joined = Input()
    for one in inputs:
        joined.MergeFrom(one)
    return joined


def make_request(config: FolderConfig, inputs: Sequence[Input]) -> PostModelOutputsRequest:
    """A request as the author's class gets it from the server: with the model and its concepts."""
    request = PostModelOutputsRequest(model_id=config.model.id, version_id=VERSION, inputs=inputs)
    request.user_app_id.user_id = request.model.user_id = config.model.user_id or USER
    request.user_app_id.app_id = request.model.app_id = config.model.app_id or APP
    request.model.id = config.model.id
    request.model.model_type_id = config.model.model_type_id
    request.model.model_version.id = VERSION
    request.model.model_version.output_info.CopyFrom(make_version_message(config).output_info)
    return request
