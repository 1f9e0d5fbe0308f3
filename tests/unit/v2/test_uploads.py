"""PostModelVersionsUpload behind the real checks: progress, one acceptance, and failures with the version's id."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from modelyard.server.api.access import Access
from modelyard.server.api.v2.call import Envelope, Incoming
from modelyard.server.api.v2.dispatch import V2
from modelyard.server.api.v2.uploads import UploadsV2
from modelyard.server.records import Page, VersionState
from modelyard.server.settings import UploadSettings
from modelyard.wire.messages import PostModelVersionsUploadRequest, StatusCode
from support.folders import pack, write_folder
from support.house import House
from support.intake import make_intake
from support.stores import add_model, make_key


class Client:
    """Sends upload streams as the user `ada`."""

    def __init__(self, v2: V2, token: str) -> None:
        self._v2 = v2
        self._token = token

    async def send(self, *messages: Any) -> list[Any]:
        envelope = Envelope(authorization=f"Key {self._token}", request_id="r1", deadline=None)
        stream = self._v2.stream("PostModelVersionsUpload", _stream(messages), envelope)
        return [answer async for answer in stream]


@pytest.fixture
async def client(house: House, tmp_path: Path) -> Client:
    await add_model(house.store)
    uploads = make_intake(house, tmp_path, UploadSettings(), house.logs.append).uploads
    _, token = await house.tokens.create_bootstrap("ada")
    return Client(V2(Access(house.tokens), UploadsV2(uploads).handlers()), token)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return pack(write_folder(tmp_path_factory.mktemp("model"), model_id="m", user_id="ada"))


async def _stream(messages: Sequence[Any]) -> AsyncIterator[Incoming]:
    for one in messages:
        yield Incoming(one)


def config(total_size: int, *, user: str = "me", app: str = "main", model: str = "m") -> Any:
    request = PostModelVersionsUploadRequest()
    given = request.upload_config
    given.user_app_id.user_id, given.user_app_id.app_id = user, app
    given.model_id, given.total_size, given.is_v3 = model, total_size, True
    given.model_version.description = "mine"
    return request


def part(number: int, data: bytes) -> Any:
    request = PostModelVersionsUploadRequest()
    request.content_part.part_number, request.content_part.data = number, data
    return request


async def test_the_last_answer_says_building_and_names_it(client: Client, house: House, archive: bytes) -> None:
    answers = await client.send(config(len(archive)), part(1, archive[:500]), part(2, archive[500:]))
    codes = [one.status.code for one in answers]
    assert codes == [StatusCode.UPLOAD_IN_PROGRESS] * (len(codes) - 1) + [StatusCode.MODEL_BUILDING]
    assert {one.status.req_id for one in answers} == {"r1"}
    assert (answers[0].bytes_remaining, answers[-1].bytes_remaining) == (len(archive), 0)
    assert answers[-1].status.percent_completed == 100
    version = await house.store.versions.get(make_key(), answers[-1].model_version_id)
    assert version is not None
    assert version.state is VersionState.UPLOADED
    assert b"mine" in version.spec


async def test_the_app_may_be_left_out_where_one_has_the_model(client: Client, archive: bytes) -> None:
    answers = await client.send(config(len(archive), app=""), part(1, archive))
    assert answers[-1].status.code == StatusCode.MODEL_BUILDING


async def test_a_failure_before_the_version_is_one_answer_without_an_id(client: Client, archive: bytes) -> None:
    for message, code in (
        (config(len(archive), model="nothing"), StatusCode.MODEL_DOES_NOT_EXIST),
        (config(0), StatusCode.CONN_BAD_REQUEST_FORMAT),
        (part(1, archive), None),
    ):
        (answer,) = await client.send(message)
        assert answer.model_version_id == ""
        assert answer.status.description
        assert answer.status.code not in (StatusCode.UPLOAD_IN_PROGRESS, StatusCode.MODEL_BUILDING)
        assert code in (None, answer.status.code)


async def test_an_empty_stream_is_answered(client: Client) -> None:
    (answer,) = await client.send()
    assert "upload_config" in answer.status.description


async def test_a_failure_after_the_version_is_answered_with_its_id_and_kept_in_it(
    client: Client, house: House, archive: bytes
) -> None:
    for messages in (
        [config(len(archive)), part(1, archive[:-1])],
        [config(len(archive)), config(len(archive))],
        [config(len(archive)), part(2, archive)],
        [config(5), part(1, b"hello")],
    ):
        last = (await client.send(*messages))[-1]
        version = await house.store.versions.get(make_key(), last.model_version_id)
        assert version is not None
        assert version.state is VersionState.UPLOAD_FAILED
        assert last.status.code not in (StatusCode.UPLOAD_IN_PROGRESS, StatusCode.MODEL_BUILDING, StatusCode.SUCCESS)
        assert last.status.description
        assert last.status.req_id == "r1"


async def test_another_users_model_is_refused(client: Client, house: House, archive: bytes) -> None:
    (answer,) = await client.send(config(len(archive), user="eve"), part(1, archive))
    assert answer.status.code != StatusCode.MODEL_BUILDING
    assert await house.store.versions.list(make_key(), Page()) == []
