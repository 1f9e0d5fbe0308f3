"""A checkpoint: the files of a model hub's repository at one commit."""

from __future__ import annotations

from dataclasses import dataclass

from modelyard.parts.files import Part

CHECKPOINTS_FOLDER = "1/checkpoints"
MARKER = f"{CHECKPOINTS_FOLDER}/.modelyard.json"
"""Names what was put there and from where. No part of the model: code.py leaves it behind."""


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A downloaded repository at one commit. Its files are in the depot."""

    repo_id: str
    revision: str
    """The commit: 40 hexadecimal digits."""
    part: Part
    """Paths begin with `1/checkpoints/`."""
