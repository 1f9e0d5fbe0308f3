"""Tokens, other users' ids, and the default: no."""

from __future__ import annotations

import httpx
import pytest
from clarifai_grpc.grpc.api import resources_pb2, service_pb2
from clarifai_grpc.grpc.api.status import status_code_pb2 as codes

from support.folders import pack, write_folder
from support.server import CARRIERS, V2, RunningServer, open_channel
from support.uploads import send_upload, upload_messages

pytestmark = pytest.mark.parametrize("carrier", CARRIERS)


@pytest.mark.parametrize("token", ["wrong", "myd_0000_aaaa", "x y"])
def test_wrong_token_is_a_status_inside_an_ok_answer(server: RunningServer, echo_version: str, token: str) -> None:
    with V2(server, token=token) as v2:
        assert v2.predict("echo", "x").status.code == codes.CONN_KEY_INVALID
        assert [one.status.code for one in v2.generate("echo", "x")] == [codes.CONN_KEY_INVALID]
        assert [one.status.code for one in v2.stream(iter([v2.text_request("echo", "x")]))] == [codes.CONN_KEY_INVALID]


def test_upload_with_a_wrong_token_starts_nothing(server: RunningServer, v2: V2, tmp_path) -> None:
    archive = pack(write_folder(tmp_path))
    with V2(server, token="wrong") as intruder:
        answers = send_upload(intruder, upload_messages(intruder, archive))
    assert [one.status.code for one in answers] == [codes.CONN_KEY_INVALID]


def test_no_token_over_rest_is_401(server: RunningServer) -> None:
    answer = httpx.get(f"{server.url}/v2/users/me")
    assert answer.status_code == 401
    assert answer.json()["status"]["code"] == codes.CONN_KEY_INVALID


def test_token_in_the_query_is_not_looked_at(server: RunningServer) -> None:
    assert httpx.get(f"{server.url}/v2/users/me", params={"authorization": f"Key {server.token}"}).status_code == 401


def test_another_users_ids_are_not_found(v2: V2, echo_version: str) -> None:
    v2.user_app = resources_pb2.UserAppIDSet(user_id="somebody-else", app_id="main")
    for answer in (
        v2.predict("echo", "x"),
        v2.call("GetModel", service_pb2.GetModelRequest(user_app_id=v2.user_app, model_id="echo")),
        v2.call("GetApp", service_pb2.GetAppRequest(user_app_id=v2.user_app)),
    ):
        assert answer.status.code == codes.CONN_DOES_NOT_EXIST, answer.status


def test_stream_may_not_change_to_another_user_midway(v2: V2, echo_version: str) -> None:
    second = v2.text_request("echo", "b")
    second.user_app_id.user_id = "somebody-else"
    answers = list(v2.stream(iter([v2.text_request("echo", "a"), second])))
    assert answers[-1].status.code != codes.SUCCESS


def test_token_with_few_scopes_may_do_just_that_and_is_dead_when_revoked(
    server: RunningServer, v2: V2, echo_version: str
) -> None:
    user = resources_pb2.UserAppIDSet(user_id=server.user_id)
    key = resources_pb2.Key(description="predict only", scopes=["Predict", "Apps:Get", "Concepts:Get", "Models:Get"])
    made = v2.call("PostKeys", service_pb2.PostKeysRequest(user_app_id=user, keys=[key]))
    assert made.status.code == codes.SUCCESS, made.status
    text = made.keys[0].id
    with V2(server, token=text) as limited:
        assert limited.predict("echo", "x").status.code == codes.SUCCESS
        request = service_pb2.DeleteModelsRequest(user_app_id=v2.user_app, ids=["echo"])
        assert limited.call("DeleteModels", request).status.code == codes.CONN_INSUFFICIENT_SCOPES
        deleted = v2.call("DeleteKey", service_pb2.DeleteKeyRequest(user_app_id=user, key_id=text))
        assert deleted.status.code == codes.SUCCESS, deleted.status
        assert limited.predict("echo", "x").status.code == codes.CONN_KEY_INVALID


def test_listing_of_keys_never_shows_their_text(server: RunningServer, v2: V2) -> None:
    user = resources_pb2.UserAppIDSet(user_id=server.user_id)
    listed = v2.call("ListKeys", service_pb2.ListKeysRequest(user_app_id=user))
    assert listed.status.code == codes.SUCCESS
    assert all(server.token not in str(key) for key in listed.keys)


def test_status_codes_need_no_token(server: RunningServer) -> None:
    with open_channel(server.address) as channel:
        from clarifai_grpc.grpc.api import service_pb2_grpc

        answer = service_pb2_grpc.V2Stub(channel).ListStatusCodes(service_pb2.ListStatusCodesRequest())
    assert answer.status.code == codes.SUCCESS
    assert len(answer.statuses) > 100


def test_url_of_a_private_address_is_refused(v2: V2, echo_version: str) -> None:
    request = v2.text_request("echo", "size")
    request.inputs[0].data.image.url = "http://127.0.0.1:1/x.png"
    answer = v2.call("PostModelOutputs", request)
    assert answer.status.code == codes.INPUT_DOWNLOAD_FAILED
    assert "127.0.0.1" in answer.status.description
