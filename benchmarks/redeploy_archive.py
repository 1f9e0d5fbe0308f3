"""Upload a folder as one archive, as published clients do, and wait until it serves. `redeploy.py` measures it."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from modelyard.client.auth import find_context
from modelyard.client.models import Models
from modelyard.client.names import ModelName
from modelyard.client.transport import Transport
from modelyard.client.versions import Versions
from modelyard.parts.archive import pack_folder
from modelyard.wire.messages import PostModelVersionsUploadRequest

PART_BYTES = 1024 * 1024
NAME = ModelName(model_id="string-cat", app_id="main")


def main(folder: Path) -> None:
    with Transport(find_context()) as transport, tempfile.TemporaryDirectory() as scratch:
        archive = Path(scratch) / "folder.tar.gz"
        pack_folder(folder, archive)
        for answer in transport.stream("PostModelVersionsUpload", list_messages(transport, archive)):
            version_id = answer.model_version_id
        name = ModelName(model_id=NAME.model_id, app_id=NAME.app_id, version=version_id)
        Versions(transport).wait_built(name, lambda _: None)


def list_messages(transport: Transport, archive: Path) -> Iterator[PostModelVersionsUploadRequest]:
    first = PostModelVersionsUploadRequest()
    first.upload_config.user_app_id.CopyFrom(Models(transport).scope(NAME))
    first.upload_config.model_id = NAME.model_id
    first.upload_config.total_size = archive.stat().st_size
    yield first
    with archive.open("rb") as file:
        for number, data in enumerate(iter(lambda: file.read(PART_BYTES), b""), 1):
            message = PostModelVersionsUploadRequest()
            message.content_part.data = data
            message.content_part.part_number = number
            yield message


if __name__ == "__main__":
    main(Path(sys.argv[1]))
