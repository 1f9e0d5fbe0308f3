"""Logs of a version: what its build said, and what its workers say."""

from __future__ import annotations

import time
from collections.abc import Iterator

from modelyard.client.models import Models
from modelyard.client.names import ModelName, read_name
from modelyard.client.transport import Transport
from modelyard.wire.messages import ListLogEntriesRequest

PAGE_SIZE = 200
FOLLOW_S = 0.5
TYPES = {"build": "builder", "run": "runner"}


class LogReader:
    """Reads a log from its beginning; each call brings what is new."""

    def __init__(self, transport: Transport, request: ListLogEntriesRequest) -> None:
        self._transport = transport
        self._request = request
        self._request.per_page = PAGE_SIZE
        self._request.page = 1
        self._seen = 0

    def read_new(self) -> Iterator[str]:
        """The lines since the last call. A full page never changes, so only the last one is read again."""
        while True:
            entries = self._transport.call("ListLogEntries", self._request).log_entries
            for entry in entries[self._seen :]:
                yield entry.message
            self._seen = len(entries)
            if len(entries) < PAGE_SIZE:
                return
            self._request.page += 1
            self._seen = 0


class Logs:
    """The logs of a server's versions."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._models = Models(transport)

    def read(self, name: ModelName | str, log_type: str, *, is_followed: bool = False) -> Iterator[str]:
        """Lines of a log (`build` or `run`), the oldest first; followed, until the reader stops. Versions go by id."""
        reader = LogReader(self._transport, self._request(read_name(name), log_type))
        while True:
            yield from reader.read_new()
            if not is_followed:
                return
            time.sleep(FOLLOW_S)

    def follow_build(self, name: ModelName) -> LogReader:
        """A reader of a version's build log."""
        return LogReader(self._transport, self._request(name, "build"))

    def _request(self, name: ModelName, log_type: str) -> ListLogEntriesRequest:
        return ListLogEntriesRequest(
            user_app_id=self._models.scope(name),
            model_id=name.model_id,
            model_version_id=name.version,
            log_type=TYPES[log_type],
        )
