"""Upload a model folder: check, send what the server lacks (or all of it, packed), wait for the build."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from modelyard.client.delta import HUB_HEADER, Delivery, deliver, find_features
from modelyard.client.git import read_commit
from modelyard.client.models import Models
from modelyard.client.names import DEFAULT_APP, ModelName
from modelyard.client.rest import Rest
from modelyard.client.transport import Transport
from modelyard.client.versions import Versions
from modelyard.client.weights import Sending, prepare_weights
from modelyard.errors import UploadIncomplete
from modelyard.parts.archive import check_files, pack_folder
from modelyard.parts.code import list_files
from modelyard.parts.folder import CheckedFolder, check_folder
from modelyard.parts.hashes import hash_files
from modelyard.parts.version_message import describe_source, make_version_message
from modelyard.wire.messages import (
    ModelVersion,
    PostModelVersionsUploadRequest,
    PostModelVersionsUploadResponse,
    StatusCode,
)

PART_BYTES = 1024 * 1024
PLACEHOLDERS = frozenset({"user_id", "app_id", "YOUR_USER_ID", "YOUR_APP_ID"})
"""Ids that the guide's examples have where one's own belong."""


def _ignore(*_: object) -> None:
    """Nobody is told."""


@dataclass(frozen=True, kw_only=True)
class Observer:
    """Who is told how an upload goes. None of it has to do anything."""

    on_warning: Callable[[str], None] = _ignore
    on_progress: Callable[[int, int], None] = _ignore
    """Bytes that the server has, and all bytes."""
    on_line: Callable[[str], None] = _ignore
    """A line of the build log, or about the weights before they are sent."""
    on_download: Callable[[int, int, str], None] | None = None
    """A checkpoint on its way to this machine: bytes that are here, all bytes, and which file."""


def choose_name(checked: CheckedFolder, asked: ModelName) -> ModelName:
    """Where a folder goes: what was asked for, else what its config says, else the app `main` of the caller."""
    model = checked.config.model
    user_id = "" if model.user_id in PLACEHOLDERS else model.user_id
    app_id = "" if model.app_id in PLACEHOLDERS else model.app_id
    return ModelName(
        model_id=asked.model_id or model.id,
        app_id=asked.app_id or app_id or DEFAULT_APP,
        user_id=asked.user_id or user_id,
    )


def upload_folder(
    transport: Transport,
    folder: Path,
    *,
    asked: ModelName,
    observer: Observer,
    is_waiting: bool = True,
    sends_checkpoints: bool = False,
    notes: str = "",
) -> tuple[ModelName, ModelVersion | None]:
    """Upload a folder as a new version of its model, which is created where it does not exist.

    Args:
        transport: The server.
        folder: The model folder.
        asked: Ids that win over those of config.yaml; empty ones do not.
        observer: Told of warnings, progress and the build log.
        is_waiting: Wait for the build.
        sends_checkpoints: Fetch the checkpoint here and send it, whatever its `when` says.
        notes: What to say of the version, for people.

    Returns:
        The model's name with the new version's id, and the version once it serves (None if not waited for).

    Raises:
        InvalidConfig, InvalidFolder: the folder cannot be built; all problems at once. Nothing was sent.
        CheckpointsFailed: a checkpoint that is to be sent could not be fetched. Nothing was sent.
        BuildFailed: it was sent, and the server could not build it.
    """
    checked = check_folder(folder)
    for warning in checked.warnings:
        observer.on_warning(warning)
    name = choose_name(checked, asked)
    Models(transport).ensure(name, checked.config.model.model_type_id)
    sending = prepare_weights(folder, checked.config, observer.on_line, observer.on_download, is_sent=sends_checkpoints)
    version_id = _deliver(transport, name, folder, _describe(folder, checked, sending, notes), sending, observer)
    name = replace(name, version=version_id)
    return name, Versions(transport).wait_built(name, observer.on_line) if is_waiting else None


def _deliver(
    transport: Transport, name: ModelName, folder: Path, spec: ModelVersion, sending: Sending, observer: Observer
) -> str:
    """Send what the server lacks; the whole folder as an archive where it only takes that."""
    files = [path for path in list_files(folder) if path.as_posix() not in sending.without]
    check_files(folder, files)
    rest = Rest(transport.context)
    try:
        features = find_features(rest)
        if features is not None:
            delivery = Delivery(
                name=replace(name, user_id=name.user_id or transport.context.user),
                folder=folder,
                files=hash_files(folder, files),
                spec=spec,
                hub_token=sending.hub_token,
            )
            return deliver(rest, delivery, features, observer.on_progress)
    finally:
        rest.close()
    with tempfile.TemporaryDirectory(prefix="modelyard-upload-") as scratch:
        archive = Path(scratch) / "folder.tar.gz"
        pack_folder(folder, archive, without=sending.without)
        return _send(transport, name, archive, spec, observer, sending.hub_token)


def _describe(folder: Path, checked: CheckedFolder, sending: Sending, notes: str) -> ModelVersion:
    """What the client says of the version: of weights that it sends which commit they are of, and so of its code."""
    spec = make_version_message(checked.config)
    spec.description = notes
    if sending.checkpoint:
        spec.metadata.update({"checkpoints": describe_source(sending.checkpoint)})
    commit = read_commit(folder)
    if commit is not None:
        spec.metadata.update({"git_registry": asdict(commit)})
    return spec


def _send(
    transport: Transport, name: ModelName, archive: Path, spec: ModelVersion, observer: Observer, hub_token: str
) -> str:
    total = archive.stat().st_size
    messages = _make_messages(Models(transport), name, archive, spec)
    last = PostModelVersionsUploadResponse()
    headers = {HUB_HEADER: hub_token} if hub_token else {}
    for last in transport.stream("PostModelVersionsUpload", messages, headers=headers):
        observer.on_progress(total - last.bytes_remaining, total)
    if last.status.code != StatusCode.MODEL_BUILDING:
        raise UploadIncomplete("the server ended the upload without accepting it", hint="upload again")
    return str(last.model_version_id)


def _make_messages(
    models: Models, name: ModelName, archive: Path, spec: ModelVersion
) -> Iterator[PostModelVersionsUploadRequest]:
    first = PostModelVersionsUploadRequest()
    config = first.upload_config
    config.user_app_id.CopyFrom(models.scope(name))
    config.model_id = name.model_id
    config.model_version.CopyFrom(spec)
    config.total_size = archive.stat().st_size
    config.is_v3 = True
    yield first
    with archive.open("rb") as file:
        number = 0
        while data := file.read(PART_BYTES):
            number += 1
            message = PostModelVersionsUploadRequest()
            message.content_part.data = data
            message.content_part.part_number = number
            message.content_part.range_start = file.tell()
            yield message
