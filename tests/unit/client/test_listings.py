"""Versions, logs and listings: page by page, by number, as they grow."""

from __future__ import annotations

from typing import Any

import pytest

from modelyard.client.logs import Logs
from modelyard.client.models import Models
from modelyard.client.names import parse_model_name
from modelyard.client.transport import Transport
from modelyard.client.versions import Versions
from modelyard.errors import VersionNotFound
from modelyard.wire.messages import MultiLogEntryResponse, MultiModelResponse, MultiModelVersionResponse
from modelyard.wire.status import success


def test_a_listing_is_read_page_by_page_to_its_end(answers: Any, transport: Transport) -> None:
    def page(request: Any) -> MultiModelResponse:
        first = (request.page - 1) * request.per_page
        ids = range(first, min(first + request.per_page, 450))
        return MultiModelResponse(status=success(), models=[{"id": str(one)} for one in ids])

    answers.by_name["ListModels"] = page
    assert [one.id for one in Models(transport).list()] == [str(number) for number in range(450)]
    assert [request.page for request in answers.asked_of("ListModels")] == [1, 2, 3]


@pytest.mark.parametrize(("number", "version_id"), [("1", "oldest"), ("3", "newest"), ("newest", "newest")])
def test_versions_are_found_by_number_and_by_id(
    answers: Any, transport: Transport, number: str, version_id: str
) -> None:
    listed = [{"id": "newest"}, {"id": "middle"}, {"id": "oldest"}]
    answers.by_name["ListModelVersions"] = lambda _: MultiModelVersionResponse(status=success(), model_versions=listed)
    assert Versions(transport).resolve(parse_model_name(f"m@{number}")) == version_id


@pytest.mark.parametrize("number", ["0", "2"])
def test_a_number_that_no_version_has_tells_how_many_there_are(answers: Any, transport: Transport, number: str) -> None:
    listed = MultiModelVersionResponse(status=success(), model_versions=[{"id": "only"}])
    answers.by_name["ListModelVersions"] = lambda _: listed
    with pytest.raises(VersionNotFound, match="the model has 1 version"):
        Versions(transport).resolve(parse_model_name(f"m@{number}"))


def test_a_log_that_grows_is_read_once_and_over_pages(answers: Any, transport: Transport) -> None:
    lines = [f"line {number}" for number in range(150)]

    def page(request: Any) -> MultiLogEntryResponse:
        first = (request.page - 1) * request.per_page
        wanted = lines[first : first + request.per_page]
        return MultiLogEntryResponse(status=success(), log_entries=[{"message": one} for one in wanted])

    answers.by_name["ListLogEntries"] = page
    reader = Logs(transport).follow_build(parse_model_name("m@v1"))
    assert list(reader.read_new()) == lines
    assert list(reader.read_new()) == []
    lines.extend(f"line {number}" for number in range(150, 430))
    assert list(reader.read_new()) == lines[150:]
    assert list(Logs(transport).read("m@v1", "build")) == lines
