"""Delta uploads: say what the version is made of, send what the server lacks, several files at once and small ones many
to a request, and say it again.

A broken connection, or a server that is started again, costs what was in flight: the next order tells how much of each
file has come. The same `upload_id` in each order keeps one upload from becoming two versions.
"""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.protobuf import json_format

from modelyard.client.names import ModelName
from modelyard.client.patience import PATIENCE_S, PAUSES_S
from modelyard.client.rest import BROKEN, Rest
from modelyard.errors import Conflict, InvalidFolder, MethodNotImplemented, ModelyardError, Unavailable
from modelyard.parts.bundle import HEAD_BYTES, Features, read_features, write_bundle
from modelyard.parts.delta import (
    ABOUT_PATH,
    Answer,
    Missing,
    bundle_path,
    file_path,
    order_path,
    read_answer,
    write_order,
)
from modelyard.parts.files import FileEntry
from modelyard.wire.messages import ModelVersion

HUB_HEADER = "x-modelyard-hub-token"
"""Carries HF_TOKEN of the author's shell, so that it need not stand in a file."""
AT_ONCE = 4
"""Files."""
ABOUT_TRIES = 4
PIECE_BYTES = 64 * 1024 * 1024
BLOCK_BYTES = 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """What is to be sent."""

    name: ModelName
    """With its user."""
    folder: Path
    files: Sequence[FileEntry]
    spec: ModelVersion
    hub_token: str = ""


def find_features(rest: Rest) -> Features | None:
    """What the server takes; None where it does not know the protocol, and takes archives only."""
    for pause_s in PAUSES_S[:ABOUT_TRIES]:
        about = _ask_about(rest)
        if about is not None:
            return read_features(about) if about.get("protocol") == "modelyard" else None
        time.sleep(pause_s)
    return None


def _ask_about(rest: Rest) -> dict[str, Any] | None:
    """The protocol's page, empty where there is none; None where the connection broke: it was cut, or the server speaks
    gRPC alone."""
    try:
        return rest.send("GET", ABOUT_PATH)
    except BROKEN:
        return None
    except ModelyardError:
        return {}


def deliver(rest: Rest, delivery: Delivery, features: Features, on_progress: Callable[[int, int], None]) -> str:
    """Upload by delta; the id of the new version.

    Raises:
        Unavailable: the server was away for too long.
        ModelyardError: what the server says is wrong.
    """
    return _Delivery(rest, delivery, features, on_progress).run()


class _Delivery:
    def __init__(
        self, rest: Rest, delivery: Delivery, features: Features, on_progress: Callable[[int, int], None]
    ) -> None:
        self._rest = rest
        self._delivery = delivery
        self._features = features
        self._places = {entry.digest: entry.path for entry in delivery.files}
        self._total = sum({entry.digest: entry.size_bytes for entry in delivery.files}.values())
        self._on_progress = on_progress
        self._lock = threading.Lock()
        self._done = 0
        self._best = -1
        self._failing_since: float | None = None
        self._failures = 0
        spec = json_format.MessageToDict(delivery.spec, preserving_proto_field_name=True)
        self._order = json.dumps(write_order(delivery.files, spec, uuid.uuid4().hex)).encode()

    def run(self) -> str:
        while not (version_id := self._try()):
            pass
        return version_id

    def _try(self) -> str:
        """Ask, and send what is missing; the version's id, once there is one."""
        try:
            answer = self._ask()
            if not answer.version_id:
                self._note(self._total - sum(one.size_bytes - one.received_bytes for one in answer.missing))
                self._send_all(answer.missing)
                return ""
        except (*BROKEN, Unavailable, Conflict) as error:
            self._wait(error)
            return ""
        self._on_progress(self._total, self._total)
        return answer.version_id

    def _ask(self) -> Answer:
        name = self._delivery.name
        headers = {"Content-Type": "application/json"}
        if self._delivery.hub_token:
            headers[HUB_HEADER] = self._delivery.hub_token
        path = order_path(name.user_id, name.app_id, name.model_id)
        return read_answer(self._rest.send("POST", path, self._order, headers=headers))

    def _send_all(self, missing: Sequence[Missing]) -> None:
        """Send files, the large ones first; the first error ends the others."""
        stop = threading.Event()
        small = [one for one in missing if self._is_small(one)]
        ordered = sorted(set(missing) - set(small), key=lambda one: one.received_bytes - one.size_bytes)
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="send") as pool:
            sending = [pool.submit(self._send_file, one, stop) for one in ordered]
            sending += [pool.submit(self._send_bundle, some, stop) for some in self._bundle(small)]
            try:
                done, _ = wait(sending, return_when=FIRST_EXCEPTION)
            finally:
                stop.set()
        for one in (*done, *sending):
            one.result()

    def _is_small(self, one: Missing) -> bool:
        limits = self._features
        return not one.received_bytes and one.size_bytes <= min(limits.bundled_bytes, limits.bundle_bytes - HEAD_BYTES)

    def _bundle(self, small: Sequence[Missing]) -> Iterator[Sequence[Missing]]:
        """Small files in groups that fit into a bundle. One alone goes by itself as well."""
        group: list[Missing] = []
        room = self._features.bundle_bytes
        for one in small:
            if one.size_bytes + HEAD_BYTES > room:
                yield group
                group, room = [], self._features.bundle_bytes
            group.append(one)
            room -= one.size_bytes + HEAD_BYTES
        if group:
            yield group

    def _send_bundle(self, small: Sequence[Missing], stop: threading.Event) -> None:
        if stop.is_set():
            return
        name = self._delivery.name
        body = write_bundle((one.digest, self._read_whole(one)) for one in small)
        self._rest.send("POST", bundle_path(name.user_id, name.app_id), body)
        with self._lock:
            self._done += sum(one.size_bytes for one in small)
            done = self._done
        self._on_progress(min(done, self._total), self._total)

    def _read_whole(self, one: Missing) -> bytes:
        name = self._places[one.digest]
        content = (self._delivery.folder / name).read_bytes()
        if len(content) != one.size_bytes:
            raise InvalidFolder(f"{name} changed while it was sent", hint="upload again when it is written")
        return content

    def _send_file(self, missing: Missing, stop: threading.Event) -> None:
        name = self._delivery.name
        at = missing.received_bytes
        while not stop.is_set():
            end = min(at + PIECE_BYTES, missing.size_bytes)
            path = file_path(name.user_id, name.app_id, missing.digest, size_bytes=missing.size_bytes, offset=at)
            blocks = self._read(self._places[missing.digest], at, end, stop)
            self._rest.send("PUT", path, blocks, size_bytes=end - at)
            at = end
            if at == missing.size_bytes:
                return

    def _read(self, name: str, at: int, end: int, stop: threading.Event) -> Iterator[bytes]:
        with (self._delivery.folder / name).open("rb", buffering=0) as file:
            file.seek(at)
            while at < end and not stop.is_set() and (block := file.read(min(BLOCK_BYTES, end - at))):
                yield block
                at += len(block)
                with self._lock:
                    self._done += len(block)
                    done = self._done
                self._on_progress(min(done, self._total), self._total)
        if at < end and not stop.is_set():
            raise InvalidFolder(f"{name} became shorter while it was sent", hint="upload again when it is written")
        if at < end:
            raise ConnectionAbortedError("another file could not be sent")

    def _note(self, done: int) -> None:
        """So many bytes are with the server, it says."""
        self._done = done
        if done > self._best:
            self._best, self._failing_since, self._failures = done, None, 0
        self._on_progress(done, self._total)

    def _wait(self, error: Exception) -> None:
        """Pause before the next try; raises where they have brought the server nothing for too long."""
        now = time.monotonic()
        self._failing_since = self._failing_since or now
        if now - self._failing_since > PATIENCE_S:
            if isinstance(error, MethodNotImplemented | ModelyardError):
                raise error
            raise Unavailable(
                f"the connection to the server broke, and it did not get better within {PATIENCE_S:g} s: {error}",
                hint="upload again: what has come is kept for a day",
            ) from error
        time.sleep(PAUSES_S[min(self._failures, len(PAUSES_S) - 1)])
        self._failures += 1
