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

POLLS_S = (0.05, 0.2)
"""How often a build is asked about: often while it may be an edit of the code, which takes a part of a second."""
QUICK_S = 3.0
MAX_NUMBER_DIGITS = 9
COMMIT_KEYS = ("commit", "git_commit", "commit_hash")
SHOWN_DIGITS = 11
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
        """The id of the version that a name asks for, such as `3`. Numbers stay when others are deleted; a server that
        does not say them has its versions counted from the oldest. What is not a number is the server's to find."""
        digits = name.version
        if not digits.isdecimal() or len(digits) > MAX_NUMBER_DIGITS:
            return name.version
        found = list(self.list(name))[::-1]
        numbers = [read_number(one) or position for position, one in enumerate(found, 1)]
        if int(digits) not in numbers:
            count = f"{len(found)} version{'' if len(found) == 1 else 's'}"
            newest = f", the newest is {numbers[-1]}" if numbers else ""
            raise VersionNotFound(f"{name} does not exist: the model has {count}{newest}")
        return str(found[numbers.index(int(digits))].id)

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
        began_at = answered_at = time.monotonic()
        while True:
            pause_s = POLLS_S[time.monotonic() - began_at > QUICK_S]
            try:
                version = self.get(name)
                for line in lines.read_new():
                    on_line(line)
            except Unavailable:
                if time.monotonic() - answered_at > PATIENCE_S:
                    raise
                time.sleep(pause_s)
                continue
            answered_at = time.monotonic()
            if version.status.code == StatusCode.MODEL_TRAINED:
                return version
            if version.status.code not in UNDER_WAY:
                raise BuildFailed(version.status.description, details=version.status.details)
            time.sleep(pause_s)


def read_number(version: ModelVersion) -> int:
    """The number that the server gave it; 0 where it does not say."""
    ours = version.metadata.fields["modelyard"].struct_value if "modelyard" in version.metadata.fields else None
    return int(ours.fields["number"].number_value) if ours is not None and "number" in ours.fields else 0


def read_commit_of(version: ModelVersion) -> str:
    """The git commit that it was uploaded from, with a `+` where files were not committed; empty where nobody said.
    Published clients say it under the same key."""
    if "git_registry" not in version.metadata.fields:
        return ""
    told = version.metadata.fields["git_registry"].struct_value.fields
    commit = next((told[key].string_value for key in COMMIT_KEYS if key in told), "")
    is_dirty = "is_clean" in told and not told["is_clean"].bool_value
    return f"{commit[:SHOWN_DIGITS]}+" if commit and is_dirty else commit
