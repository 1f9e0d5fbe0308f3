"""ListLogEntries: what a build said, and what a model's worker says."""

from __future__ import annotations

from modelyard.errors import InvalidRequest
from modelyard.server.api.v2.call import Call, Handler
from modelyard.server.api.v2.convert import log_message
from modelyard.server.api.v2.requests import read_page
from modelyard.server.records import LogType
from modelyard.server.services.logs import Logs
from modelyard.server.services.versions import Versions
from modelyard.wire.messages import ListLogEntriesRequest, MultiLogEntryResponse


class LogsV2:
    """The methods on logs."""

    def __init__(self, logs: Logs, versions: Versions) -> None:
        self._logs = logs
        self._versions = versions

    def handlers(self) -> dict[str, Handler]:
        """What this noun answers, by method."""
        return {"ListLogEntries": self.list}

    async def list(self, call: Call, request: ListLogEntriesRequest) -> MultiLogEntryResponse:
        """A page of a version's log, oldest line first; without a version, of the one that the model answers with."""
        log_type = _read_type(request.log_type)
        version = await self._versions.find(call.user_id, call.app_id, request.model_id, request.model_version_id)
        lines = await self._logs.list(version.version_id, log_type, read_page(request))
        return MultiLogEntryResponse(log_entries=[log_message(one) for one in lines])


def _read_type(text: str) -> LogType:
    try:
        return LogType(text or LogType.BUILD.value)
    except ValueError:
        allowed = ", ".join(one.value for one in LogType)
        raise InvalidRequest(f"log_type {text[:80]!r} is not kept here: use one of {allowed}") from None
