"""Where parts that a user's commands make are kept: environments, downloaded checkpoints, our runtime."""

from __future__ import annotations

import os
from pathlib import Path


def default_cache_dir() -> Path:
    """`MODELYARD_CACHE_DIR`, else `modelyard` in the user's cache folder (XDG base directory specification)."""
    given = os.environ.get("MODELYARD_CACHE_DIR")
    if given:
        return Path(given).absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "modelyard"
