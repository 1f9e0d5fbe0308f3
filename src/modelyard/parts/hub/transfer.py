"""Files on their way from a hub into the depot: several at once, each going on where it stopped."""

from __future__ import annotations

import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from huggingface_hub import constants, get_session, hf_hub_download, hf_hub_url
from huggingface_hub.utils import build_hf_headers, hf_raise_for_status  # type: ignore[attr-defined]  # documented there

from modelyard.parts.files import FileEntry
from modelyard.parts.hub.choice import HubFile
from modelyard.parts.hub.failures import HubProblem, Place, explain, is_network_error, retry_after_s, status_of
from modelyard.parts.hub.listing import CLIENT_NAME, MAX_WAIT_S, TRIES, Listing, read_version
from modelyard.parts.hub.messages import Advanced, Failed, Said
from modelyard.parts.hub.shelf import Shelf, WrongContent

WORKERS = 8
TELL_EVERY_S = 0.1
PLAIN_LIMIT_BYTES = constants.MAX_HTTP_DOWNLOAD_SIZE
"""Hubs send larger files only through their own protocol."""
Tell = Callable[[Said | Advanced], None]


class _Stopped(Exception):
    """Another file failed, which is told instead."""


class _CutOff(Exception):
    """The connection ended before the file did."""


class Meter:
    """How many bytes are here, told at most every tenth of a second."""

    def __init__(self, tell: Tell, bytes_done: int, bytes_total: int) -> None:
        self._tell = tell
        self._done = bytes_done
        self._total = bytes_total
        self._told_at = 0.0
        self._lock = threading.Lock()

    def add(self, count: int, file: str) -> None:
        """So many more (or fewer, where a file begins anew)."""
        with self._lock:
            self._done += count
            now = time.monotonic()
            if now - self._told_at < TELL_EVERY_S and self._done < self._total:
                return
            self._told_at = now
            told = Advanced(bytes_done=self._done, bytes_total=self._total, file=file)
        self._tell(told)


@dataclass(frozen=True, kw_only=True)
class Transfers:
    """The downloads of one order."""

    listing: Listing
    place: Place
    shelf: Shelf
    meter: Meter
    token: str
    tell: Tell
    wait_s: float

    def run(self, files: list[HubFile]) -> list[tuple[HubFile, FileEntry]]:
        """Have them all in the depot; the largest first. Raises HubProblem, and what the disk raises as one."""
        stop = threading.Event()
        ordered = sorted(files, key=lambda file: -file.size_bytes)
        with ThreadPoolExecutor(WORKERS) as pool:
            futures = [pool.submit(self._guard, file, stop) for file in ordered]
        errors = [error for future in futures if (error := future.exception()) is not None]
        told = [error for error in errors if not isinstance(error, _Stopped)]
        if told:
            raise told[0]
        return [(file, future.result()) for file, future in zip(ordered, futures, strict=True)]

    def _guard(self, file: HubFile, stop: threading.Event) -> FileEntry:
        place = replace(self.place, file=file.path)
        try:
            return self._fetch_right(file, place, stop)
        except _Stopped:
            raise
        except Exception as error:
            stop.set()
            raise HubProblem(explain(error, place)) from error

    def _fetch_right(self, file: HubFile, place: Place, stop: threading.Event) -> FileEntry:
        """Fetch a file, and once more from its first byte where it has arrived with another content."""
        try:
            return self._fetch(file, place, stop)
        except WrongContent:
            self.meter.add(-file.size_bytes, file.path)
            self.tell(Said(line=f"Warning: {file.path} arrived with other content than the hub lists; once more"))
        try:
            return self._fetch(file, place, stop)
        except WrongContent as error:
            raise HubProblem(
                Failed(
                    message=f"checkpoints: {place} arrived twice with other content than the hub lists: "
                    f"expected {error.expected}, found {error.found}",
                    hint="a proxy or mirror between here and the hub may change files; look at HF_ENDPOINT and "
                    "HTTPS_PROXY, then try again",
                )
            ) from None

    def _fetch(self, file: HubFile, place: Place, stop: threading.Event) -> FileEntry:
        def on_wait() -> None:
            self.tell(Said(line=f"Waiting for another download of {file.path}"))

        had = self.shelf.unfinished_bytes(file)
        with self.shelf.open(file, on_wait) as content:
            if (found := self.shelf.find(file)) is not None:
                Path(content.name).unlink(missing_ok=True)
                self.meter.add(file.size_bytes - had, file.path)
                return found
            self.meter.add(min(content.tell(), file.size_bytes) - had, file.path)
            if file.size_bytes > PLAIN_LIMIT_BYTES:
                self._fetch_huge(file, content)
            else:
                self._fetch_rest(file, place, content, stop)
            return self.shelf.finish(file)

    def _fetch_rest(self, file: HubFile, place: Place, content: BinaryIO, stop: threading.Event) -> None:
        """Go on where it stopped until it is whole; gives up after some tries that brought nothing."""
        tries = 0
        while content.tell() < file.size_bytes:
            before = content.tell()
            try:
                self._stream(file, content, stop)
            except Exception as error:
                tries = 1 if content.tell() > before else tries + 1
                wait = max(self.wait_s * 2 ** (tries - 1), retry_after_s(error))
                if not _may_pass(error) or tries >= TRIES or wait > MAX_WAIT_S:
                    raise HubProblem(_explain_stream(error, place)) from error
                if stop.wait(wait):
                    raise _Stopped from None
        if content.tell() > file.size_bytes:
            content.truncate(0)
            raise WrongContent(f"{file.size_bytes} bytes", "more")

    def _stream(self, file: HubFile, content: BinaryIO, stop: threading.Event) -> None:
        start = content.tell()
        url = hf_hub_url(self.listing.repo_id, file.path, revision=self.listing.commit, endpoint=self.place.endpoint)
        headers = build_hf_headers(token=self.token or False, library_name=CLIENT_NAME, library_version=read_version())
        headers["Accept-Encoding"] = "identity"
        if start:
            headers["Range"] = f"bytes={start}-"
        timeout = constants.HF_HUB_DOWNLOAD_TIMEOUT
        with get_session().stream("GET", url, headers=headers, timeout=timeout) as response:
            if start and response.status_code == 416:
                self._begin_anew(file, content)
                return
            if response.status_code >= 400:
                response.read()
            hf_raise_for_status(response)
            if start and not response.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
                self._begin_anew(file, content)
            for block in response.iter_bytes():
                if stop.is_set():
                    raise _Stopped
                _write(content, block)
                self.meter.add(len(block), file.path)
                if content.tell() > file.size_bytes:
                    break
        if content.tell() < file.size_bytes:
            raise _CutOff(f"it ended after {content.tell()} of {file.size_bytes} bytes")

    def _begin_anew(self, file: HubFile, content: BinaryIO) -> None:
        self.meter.add(-min(content.tell(), file.size_bytes), file.path)
        content.truncate(0)
        content.seek(0)

    def _fetch_huge(self, file: HubFile, content: BinaryIO) -> None:
        """Let huggingface_hub fetch the whole file in its own way; this one does not go on where it stopped."""
        with tempfile.TemporaryDirectory(dir=self.shelf.folder.parent, prefix="huge-") as folder:
            path = hf_hub_download(
                self.listing.repo_id,
                file.path,
                revision=self.listing.commit,
                local_dir=folder,
                endpoint=self.place.endpoint,
                token=self.token or False,
            )
            self._begin_anew(file, content)
            shutil.move(path, content.name)
            self.meter.add(file.size_bytes, file.path)


def _write(content: BinaryIO, block: bytes) -> None:
    """All of it: a disk that is nearly full takes a part, and says why not only the next time."""
    rest = memoryview(block)
    while rest:
        rest = rest[content.write(rest) :]


def _may_pass(error: Exception) -> bool:
    status = status_of(error)
    return isinstance(error, _CutOff) or is_network_error(error) or status in (408, 429) or status >= 500


def _explain_stream(error: Exception, place: Place) -> Failed:
    if isinstance(error, _CutOff):
        return Failed(
            message=f"checkpoints: the connection to {place.endpoint} was cut again and again in the middle of {place}"
            f": {error}",
            hint="try again: what was downloaded is kept",
            is_unreachable=True,
        )
    return explain(error, place)
