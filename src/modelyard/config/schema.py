"""What config.yaml says, once it is known to be right. Text stays as the author typed it; "" means: not given."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class ModelInfo:
    """Section `model`: which model the folder is. Without a user or app the upload decides them."""

    id: str
    model_type_id: str
    user_id: str = ""
    app_id: str = ""


@dataclass(frozen=True, kw_only=True)
class ComputeInfo:
    """Section `inference_compute_info`, or what `compute` stands for: Kubernetes quantities as typed."""

    cpu_limit: str = ""
    cpu_memory: str = ""
    num_accelerators: int = 0
    accelerator_type: tuple[str, ...] = ()
    accelerator_memory: str = ""


@dataclass(frozen=True, kw_only=True)
class ConceptInfo:
    """One label that the model can answer."""

    id: str
    name: str


@dataclass(frozen=True, kw_only=True)
class CheckpointsInfo:
    """Section `checkpoints`: where the weights are, if they are not in the folder."""

    type: str
    repo_id: str
    revision: str = ""
    """A branch, a tag or a commit; "" is the main branch."""
    hf_token: str = field(default="", repr=False)
    when: str = ""
    allowed_file_patterns: tuple[str, ...] = ()
    ignore_file_patterns: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class SecretInfo:
    """One entry of `secrets`: the name of an environment variable, never its value."""

    id: str
    env_var: str
    description: str = ""


@dataclass(frozen=True, kw_only=True)
class BatchingInfo:
    """Section `batching`; a size of 1 is none."""

    max_size: int = 1
    """Inputs of different requests in one call of `predict`."""
    max_wait_ms: int = 0


NO_BATCHING = BatchingInfo()


@dataclass(frozen=True, kw_only=True)
class FolderConfig:
    """All of config.yaml. `python_version` "" and `num_threads` 0 mean that the author left it to the server."""

    model: ModelInfo
    compute: ComputeInfo = ComputeInfo()
    concepts: tuple[ConceptInfo, ...] = ()
    checkpoints: CheckpointsInfo | None = None
    secrets: tuple[SecretInfo, ...] = ()
    python_version: str = ""
    """Major and minor, `3.12`."""
    platforms: tuple[str, ...] = ()
    """`linux/amd64`; empty for any."""
    num_threads: int = 0
    batching: BatchingInfo = NO_BATCHING
