"""Where the server of one folder (`modelyard run DIR --serve`) keeps its token and, while it runs, its address."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from modelyard.client.auth import Context, read_data_dir
from modelyard.errors import Unavailable
from modelyard.parts.cache_dir import default_cache_dir


def place_of(folder: Path, cache: Path | None = None) -> Path:
    """A folder in the cache, the same one for the same model folder: its token stays what it was."""
    name = hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:16]
    return (cache or default_cache_dir()).absolute() / "serve" / name


def read_serving(folder: Path) -> Context:
    """The running server of a folder. Raises Unavailable where there is none."""
    try:
        return read_data_dir(place_of(folder))
    except Unavailable:
        raise Unavailable(
            f"nothing serves {folder} now", hint=f"start it in another terminal: modelyard run {folder} --serve"
        ) from None
