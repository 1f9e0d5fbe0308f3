"""What a folder's config says, as the V2 message that an upload carries."""

from __future__ import annotations

from modelyard.config.schema import ComputeInfo as FolderCompute
from modelyard.config.schema import FolderConfig
from modelyard.parts.checkpoint import Checkpoint
from modelyard.wire.messages import ComputeInfo, Concept, Data, ModelVersion, OutputInfo, PretrainedModelConfig
from modelyard.wire.messages import PostModelOutputsRequest as Request


def make_version_message(config: FolderConfig) -> ModelVersion:
    """The `model_version` of `PostModelVersionsUpload`: compute, concepts and threads; values as the author typed them.

    The Python version stays in config.yaml, which travels with the folder: the message has no field for it.
    """
    version = ModelVersion(
        pretrained_model_config=PretrainedModelConfig(),
        inference_compute_info=_describe_compute(config.compute),
        num_threads=config.num_threads,
    )
    if config.concepts:
        concepts = [Concept(id=one.id, name=one.name) for one in config.concepts]
        version.output_info.CopyFrom(OutputInfo(data=Data(concepts=concepts)))
    return version


def make_defaults(*, user_id: str, app_id: str, model_id: str, model_type_id: str, version: ModelVersion) -> Request:
    """A request with nothing but what a version's class is told of it: ids, concepts, params."""
    defaults = Request(model_id=model_id, version_id=version.id)
    defaults.user_app_id.user_id = user_id
    defaults.user_app_id.app_id = app_id
    defaults.model.id = model_id
    defaults.model.user_id = user_id
    defaults.model.app_id = app_id
    defaults.model.model_type_id = model_type_id
    defaults.model.model_version.id = version.id
    defaults.model.model_version.output_info.CopyFrom(version.output_info)
    defaults.model.model_version.output_info.ClearField("params_specs")
    return defaults


def describe_source(checkpoint: Checkpoint) -> dict[str, str]:
    """Where a version's weights are from: `metadata.checkpoints` of its `ModelVersion`."""
    return {"type": "huggingface", "repo_id": checkpoint.repo_id, "revision": checkpoint.revision}


def _describe_compute(compute: FolderCompute) -> ComputeInfo:
    return ComputeInfo(
        cpu_limit=compute.cpu_limit,
        cpu_memory=compute.cpu_memory,
        num_accelerators=compute.num_accelerators,
        accelerator_type=compute.accelerator_type,
        accelerator_memory=compute.accelerator_memory,
    )
