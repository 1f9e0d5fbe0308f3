"""Weights: the checkpoint files of a version. In this release they are what the upload holds in 1/checkpoints."""

from __future__ import annotations

from modelyard.config.schema import FolderConfig

CHECKPOINTS_FOLDER = "1/checkpoints"


def is_weight(path: str) -> bool:
    """Does this file (a path relative to the model folder) belong to the weights?"""
    return path.startswith(CHECKPOINTS_FOLDER + "/")


def explain_missing_weights(config: FolderConfig, *, has_weights: bool) -> str | None:
    """A line for a config that names checkpoints which the folder does not have."""
    if config.checkpoints is None or has_weights:
        return None
    return (
        "config.yaml has a `checkpoints` section, but this release does not download them: put the files of the "
        f"repository into {CHECKPOINTS_FOLDER}/ and upload them with the folder"
    )
