"""The request of a test run: what the server would send for this folder, with an input that fits the model's type."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from modelyard.client.inputs import make_media_input, make_text_input
from modelyard.config.model_types import MODEL_TYPES
from modelyard.config.schema import FolderConfig
from modelyard.errors import InvalidInput
from modelyard.parts.version_message import make_version_message
from modelyard.wire.messages import Input, PostModelOutputsRequest

SAMPLES = Path(__file__).parent / "samples"
"""A 32 x 32 gradient, half a second of a 440 Hz tone, and a sentence: all made for this."""
USER, APP, VERSION = "local", "main", "local"


def make_sample(model_type_id: str) -> Input:
    """An input for a model of this type; a text for a type that is not known.

    Raises:
        InvalidInput: no sample fits, as for a model that takes only video.
    """
    known = MODEL_TYPES.get(model_type_id)
    fields = known.input_fields if known else ("text",)
    if "text" in fields:
        return make_text_input((SAMPLES / "text.txt").read_text(encoding="utf-8").strip())
    if "image" in fields:
        return make_media_input("image", str(SAMPLES / "image.png"))
    if "audio" in fields:
        return make_media_input("audio", str(SAMPLES / "audio.wav"))
    raise InvalidInput(
        f"there is no sample for a {model_type_id}, which takes {', '.join(fields)}",
        hint="give an input of your own: --text, --image, --audio, --video or --file",
    )


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
