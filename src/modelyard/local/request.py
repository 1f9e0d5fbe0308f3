"""The request of a test run: what the server would send for this folder, with inputs that fit the model's type."""

from __future__ import annotations

from collections.abc import Sequence

from modelyard.config.schema import FolderConfig
from modelyard.parts.version_message import make_version_message
from modelyard.wire.messages import Input, PostModelOutputsRequest

USER, APP, VERSION = "local", "main", "local"


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
