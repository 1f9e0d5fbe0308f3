"""What a folder's config says, as the V2 message that an upload carries."""

from __future__ import annotations

from modelyard.config.schema import ComputeInfo as FolderCompute
from modelyard.config.schema import FolderConfig
from modelyard.parts.checkpoint import Checkpoint
from modelyard.wire.messages import ComputeInfo, Concept, Data, ModelVersion, OutputInfo, PretrainedModelConfig


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
