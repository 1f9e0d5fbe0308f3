"""The weights of an upload: who fetches a checkpoint, the author's machine or the server, and what of it is sent."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from modelyard.config.schema import CheckpointsInfo, FolderConfig
from modelyard.parts.cache_dir import default_cache_dir
from modelyard.parts.code import list_files
from modelyard.parts.depot import Depot
from modelyard.parts.placing import list_placed
from modelyard.parts.weights import Checkpoint, Checkpoints, Progress, choose_token, is_weight, place

Tell = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Sending:
    """What of a folder's weights is sent, and what the server needs to fetch the rest."""

    without: frozenset[str] = frozenset()
    """Paths that stay here."""
    checkpoint: Checkpoint | None = None
    """What was fetched here and is sent."""
    hub_token: str = field(default="", repr=False)
    """For the server, where it is to fetch and config.yaml has no token."""


def prepare_weights(
    folder: Path, config: FolderConfig, tell: Tell, progress: Progress | None = None, *, is_sent: bool = False
) -> Sending:
    """Decide by `checkpoints.when`: `upload` fetches here and sends; otherwise the server fetches before it builds.

    Without a `when`, files of the author's own in 1/checkpoints are sent, and the server then fetches nothing. With
    `is_sent` it is as with `when: upload`, whatever the config says.

    Raises:
        CheckpointsFailed: `when` is `upload`, and the checkpoint cannot be fetched or put into the folder.
    """
    info = config.checkpoints
    if info is None:
        return Sending()
    if is_sent or info.when == "upload":
        return Sending(checkpoint=fetch_checkpoint(folder, info, tell, progress))
    weights = frozenset(name for path in list_files(folder) if is_weight(name := path.as_posix()))
    own = weights - list_placed(folder)
    if own and not info.when:
        tell(f"the files in 1/checkpoints are sent, so the server does not fetch {info.repo_id}")
        return Sending()
    if own:
        shown = ", ".join(sorted(own)[:5])
        tell(f"your own {shown} stay here: with `when: {info.when}` the server fetches {info.repo_id}")
    return Sending(without=weights, hub_token=choose_token(info, os.environ))


def fetch_checkpoint(
    folder: Path,
    info: CheckpointsInfo,
    tell: Tell,
    progress: Progress | None = None,
    stop: threading.Event | None = None,
) -> Checkpoint:
    """Fetch a checkpoint into this user's cache, and put it at 1/checkpoints.

    Raises CheckpointsFailed; Cancelled where `stop` was set from another thread.
    """
    cache = default_cache_dir()
    depot = Depot(cache / "depot")
    token = choose_token(info, os.environ)
    checkpoint = Checkpoints(depot, cache / "checkpoints").fetch(
        info, token=token, log=tell, progress=progress, stop=stop
    )
    place(depot, checkpoint, folder, tell)
    return checkpoint
