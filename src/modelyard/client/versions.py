"""Versions of a model: find by id or number, list, delete, wait for the build."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from modelyard.client.logs import Logs
from modelyard.client.models import Models
from modelyard.client.names import ModelName, read_name
from modelyard.client.pages import read_pages
from modelyard.client.transport import Transport
from modelyard.errors import BuildFailed, Unavailable, VersionNotFound
from modelyard.wire.messages import (
    DeleteModelVersionRequest,
    GetModelVersionRequest,
    ListModelVersionsRequest,
    ModelVersion,
    StatusCode,
)

POLL_S = 0.2
PATIENCE_S = 60.0
"""How long a server may be away while it builds: it is being restarted."""
UNDER_WAY = (StatusCode.MODEL_BUILDING, StatusCode.MODEL_UPLOADING)


class Versions:
    """The versions of a server's models."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._models = Models(transport)

    def list(self, name: ModelName | str) -> Iterator[ModelVersion]:
        """All versions, the newest first."""
        name = read_name(name)
        request = ListModelVersionsRequest(user_app_id=self._models.scope(name), model_id=name.model_id)
        return read_pages(self._transport, "ListModelVersions", request, "model_versions")

    def get(self, name: ModelName | str) -> ModelVersion:
        """The version that a name asks for; without one, the version that answers. Raises VersionNotFound."""
        name = read_name(name)
        request = GetModelVersionRequest(
            user_app_id=self._models.scope(name), model_id=name.model_id, version_id=self.resolve(name)
        )
        return self._transport.call("GetModelVersion", request).model_version

    def resolve(self, name: ModelName) -> str:
        """The id of the version that a name asks for: versions are numbered 1, 2, 3, ... from the oldest."""
        if not name.version.isdecimal() or len(name.version) > 9:
            return name.version
        found = list(self.list(name))[::-1]
        number = int(name.version)
        if not 1 <= number <= len(found):
            raise VersionNotFound(f"{name} does not exist: the model has {len(found)} versions")
        return str(found[number - 1].id)

    def delete(self, name: ModelName | str) -> None:
        """Delete the version that the name asks for."""
        name = read_name(name)
        request = DeleteModelVersionRequest(
            user_app_id=self._models.scope(name), model_id=name.model_id, version_id=self.get(name).id
        )
        self._transport.call("DeleteModelVersion", request)

    def wait_built(self, name: ModelName, on_line: Callable[[str], None]) -> ModelVersion:
        """Wait until the version can serve; lines of its build log go to `on_line` as they come.

        A build goes on when its server is restarted, and so does the wait.

        Raises:
            BuildFailed: the upload or the build failed; the server's words are in it.
            Unavailable: no server has answered for `PATIENCE_S`.
        """
        lines = Logs(self._transport).follow_build(name)
        answered_at = time.monotonic()
        while True:
            try:
                version = self.get(name)
                for line in lines.read_new():
                    on_line(line)
            except Unavailable:
                if time.monotonic() - answered_at > PATIENCE_S:
                    raise
                time.sleep(POLL_S)
                continue
            answered_at = time.monotonic()
            if version.status.code == StatusCode.MODEL_TRAINED:
                return version
            if version.status.code not in UNDER_WAY:
                raise BuildFailed(version.status.description, details=version.status.details)
            time.sleep(POLL_S)
