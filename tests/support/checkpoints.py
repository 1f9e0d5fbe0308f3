"""A cache of checkpoints for tests: a real depot, and the lines and progress that a fetch told."""

from __future__ import annotations

import random
import sys
import threading
from pathlib import Path

from modelyard.config.schema import CheckpointsInfo
from modelyard.parts.depot import Depot
from modelyard.parts.hub.messages import Order
from modelyard.parts.weights import Checkpoint, Checkpoints, Progress

REPO = "owner/name"
RETRY_WAIT_S = 0.01


def make_weights(size_bytes: int, seed: int = 1) -> bytes:
    """Bytes that no other seed makes."""
    return random.Random(seed).randbytes(size_bytes)


class Cache:
    """What a machine keeps of hubs. Two caches on one folder are two processes."""

    def __init__(self, folder: Path, hub_url: str, **environ: str) -> None:
        self.depot = Depot(folder / "depot")
        self.work = folder / "work"
        self.environ = {"PYTHONPATH": ":".join(sys.path), "HF_ENDPOINT": hub_url, **environ}
        self.checkpoints = Checkpoints(self.depot, self.work, environ=self.environ, retry_wait_s=RETRY_WAIT_S)
        self.lines: list[str] = []

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    def fetch(
        self,
        repo_id: str = REPO,
        *,
        revision: str = "",
        token: str = "",
        allow: tuple[str, ...] = (),
        ignore: tuple[str, ...] = (),
        stop: threading.Event | None = None,
        progress: Progress | None = None,
    ) -> Checkpoint:
        info = CheckpointsInfo(
            type="huggingface",
            repo_id=repo_id,
            revision=revision,
            allowed_file_patterns=allow,
            ignore_file_patterns=ignore,
        )
        return self.checkpoints.fetch(info, token=token, log=self.lines.append, stop=stop, progress=progress)

    def make_order(self, repo_id: str = REPO, *, revision: str = "main", token: str = "") -> Order:
        return Order(
            repo_id=repo_id,
            revision=revision,
            token=token,
            allow=(),
            ignore=(),
            depot=str(self.depot.root),
            work=str(self.work),
            retry_wait_s=RETRY_WAIT_S,
        )

    def contents(self, checkpoint: Checkpoint) -> dict[str, bytes]:
        """The files, by their path in the repository."""
        return {
            entry.path.removeprefix("1/checkpoints/"): self.depot.read(entry.digest) for entry in checkpoint.part.files
        }
