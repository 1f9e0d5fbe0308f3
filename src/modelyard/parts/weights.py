"""Weights: the checkpoint files of a version, out of the upload or from a model hub."""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from modelyard.config.schema import CheckpointsInfo
from modelyard.errors import CheckpointsFailed
from modelyard.parts.checkpoint import CHECKPOINTS_FOLDER, Checkpoint
from modelyard.parts.depot import Depot
from modelyard.parts.files import Part
from modelyard.parts.hub.messages import Advanced, Failed, Fetched, Order, Said, Unchanged
from modelyard.parts.hub.process import Outcome, run_download
from modelyard.parts.hub.records import Asked, Records
from modelyard.parts.hub.sizes import show_files, show_size
from modelyard.parts.hub.tokens import choose_token, clean_token
from modelyard.parts.placing import place

if TYPE_CHECKING:
    from modelyard.parts.builder import Log

__all__ = ["CHECKPOINTS_FOLDER", "Checkpoint", "Checkpoints", "Progress", "choose_token", "is_weight", "place"]

Progress = Callable[[int, int, str], None]
"""Bytes that are here, bytes of all files together, and the path of the file that grew last."""
MAIN = "main"
SAY_EVERY_S = 5.0
_COMMIT = re.compile(r"[0-9a-f]{40}")


class Checkpoints:
    """Repositories of model hubs, kept in a depot: two versions or two models share the files that they have in common.

    Any number of threads and processes may use one `work` folder; it has unfinished files and what hubs said. It
    should be on the depot's disk.
    """

    def __init__(
        self, depot: Depot, work: Path, *, environ: Mapping[str, str] | None = None, retry_wait_s: float = 1.0
    ) -> None:
        """Take HF_ENDPOINT, proxies and certificates from `environ`; by default this process's own."""
        self._depot = depot
        self._work = work
        self._environ = os.environ if environ is None else environ
        self._retry_wait_s = retry_wait_s
        self._records = Records(depot, work / "records")

    def fetch(
        self,
        info: CheckpointsInfo,
        *,
        token: str,
        log: Log,
        stop: threading.Event | None = None,
        progress: Progress | None = None,
    ) -> Checkpoint:
        """Have a repository's files in the depot; blocking. Downloads what is not here, and goes on where it stopped.

        The hub is asked which commit a branch is; a commit that is here whole needs no hub. Where a hub cannot be
        reached, the last commit that it named is used, with a warning, if all of it is here.

        Args:
            info: Which repository and revision, and which of its files.
            token: For private and gated repositories, "" for none; `choose_token` finds it.
            log: Gets what is decided, and warnings; and the progress, where nobody else gets that.
            stop: Ends it soon after it is set.
            progress: Called from this thread with bytes done, bytes in all, and a file's path.

        Raises:
            CheckpointsFailed: What went wrong, where, and what to do. Never has the token in it.
            Cancelled: `stop` was set.
        """
        token = clean_token(token)
        listener = _Listener(log, progress)
        try:
            found = self._fetch(self._ask(info), token, listener, stop)
            if not self._keep(found):  # a sweep of the depot was quicker
                found = self._fetch(self._ask(info), token, listener, stop)
                self._keep(found)
            return found
        except OSError as error:
            raise CheckpointsFailed(
                f"checkpoints: {info.repo_id} cannot be kept on this machine: {error.strerror}",
                hint="the cache's folder must be writable, and its disk needs some room",
            ) from error

    def _keep(self, checkpoint: Checkpoint) -> bool:
        """Decide on its files, so that no sweep removes them before they belong to a version."""
        return all(self._depot.keep(entry.digest, entry.size_bytes) for entry in checkpoint.part.files)

    def _fetch(self, asked: Asked, token: str, listener: _Listener, stop: threading.Event | None) -> Checkpoint:
        if _COMMIT.fullmatch(asked.revision) and (found := self._records.find_commit(asked, asked.revision, token)):
            listener.say(_describe(found))
            return found
        last = self._records.find_last(asked, token)
        outcome = self._download(asked, token, last, listener, stop)
        match outcome:
            case Fetched():
                return self._records.keep(asked, outcome, token)
            case Unchanged() if last is not None:
                listener.say(_describe(last, asked.revision))
                return last
            case Failed(is_unreachable=True) if last is not None:
                listener.say(f"Warning: {outcome.message}")
                listener.say(f"Warning: going on with the last known commit of {asked.revision}. {_describe(last)}")
                return last
            case Failed():
                raise CheckpointsFailed(outcome.message, hint=outcome.hint, details=outcome.details)
        raise AssertionError("a download without a known commit cannot be unchanged")

    def read(self, checkpoint: Checkpoint | Part, path: str) -> bytes:
        """The content of a file, `1/checkpoints/config.json`. Raises CheckpointsFailed where there is none."""
        part = checkpoint.part if isinstance(checkpoint, Checkpoint) else checkpoint
        for entry in part.files:
            if entry.path == path:
                return self._depot.read(entry.digest)
        raise CheckpointsFailed(f"checkpoints: there is no {path} among the {show_files(len(part.files))}")

    def _ask(self, info: CheckpointsInfo) -> Asked:
        return Asked(
            endpoint=self._environ.get("HF_ENDPOINT", "").rstrip("/"),
            repo_id=info.repo_id,
            revision=info.revision or MAIN,
            allow=info.allowed_file_patterns,
            ignore=info.ignore_file_patterns,
        )

    def _download(
        self, asked: Asked, token: str, last: Checkpoint | None, listener: _Listener, stop: threading.Event | None
    ) -> Outcome:
        if self._environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
            return Failed(
                message=f"checkpoints: HF_HUB_OFFLINE is set: no hub is asked for {asked.repo_id} ({asked.revision})",
                hint="unset HF_HUB_OFFLINE to download it",
                is_unreachable=True,
            )
        order = Order(
            repo_id=asked.repo_id,
            revision=asked.revision,
            token=token,
            allow=asked.allow,
            ignore=asked.ignore,
            depot=str(self._depot.root.absolute()),
            work=str(self._work.absolute()),
            known_commit=last.revision if last else "",
            retry_wait_s=self._retry_wait_s,
        )
        return run_download(order, environ=self._environ, tell=listener.take, stop=stop)


class _Listener:
    """Passes on what the download tells; without anybody for the progress, now and then a line of it."""

    def __init__(self, log: Log, progress: Progress | None) -> None:
        self.say = log
        self._progress = progress
        self._said_at = time.monotonic()

    def take(self, event: Said | Advanced) -> None:
        if isinstance(event, Said):
            self.say(event.line)
        elif self._progress is not None:
            self._progress(event.bytes_done, event.bytes_total, event.file)
        elif time.monotonic() - self._said_at > SAY_EVERY_S:
            self._said_at = time.monotonic()
            self.say(f"Downloaded {show_size(event.bytes_done)} of {show_size(event.bytes_total)}")


def is_weight(path: str) -> bool:
    """Does this file (a path relative to the model folder) belong to the weights?"""
    return path.startswith(CHECKPOINTS_FOLDER + "/")


def _describe(checkpoint: Checkpoint, revision: str = "") -> str:
    named = f"{revision} is " if revision and revision != checkpoint.revision else ""
    return (
        f"Checkpoints of {checkpoint.repo_id}: {named}commit {checkpoint.revision}, "
        f"{show_files(len(checkpoint.part.files))}, {show_size(checkpoint.part.size_bytes)}, all of it is here"
    )
