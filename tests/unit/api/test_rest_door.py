"""The REST door without a network: bindings, JSON, statuses, streams."""

from __future__ import annotations

import asyncio
import base64
import json

import pytest
from google.protobuf import json_format

from modelyard.server.api.asgi import make_app
from modelyard.server.api.rest.routes import Routes
from modelyard.wire.messages import PostModelOutputsRequest, StatusCode
from modelyard.wire.methods import load_methods
from support.doors import AsgiExchange, EchoHandlers, eventually, http_exchange, make_v2

PREDICT = "/v2/users/ann/apps/main/models/m/outputs"
GENERATE = "/v2/users/ann/apps/main/models/m/outputs/generate"
STREAM = "/v2/models/outputs/stream"


def app_of(echo: EchoHandlers | None = None):
    return make_app(make_v2(echo or EchoHandlers()), is_ready=lambda: True)


def body_of(*texts: str) -> bytes:
    return json.dumps({"inputs": [{"data": {"text": {"raw": text}}} for text in texts]}).encode()


def answer_of(exchange: AsgiExchange) -> dict:
    assert exchange.headers[b"content-type"] == b"application/json"
    assert exchange.headers[b"x-request-id"]
    assert int(exchange.headers[b"content-length"]) == len(exchange.body)
    return json.loads(exchange.body)


async def test_predict() -> None:
    exchange = await http_exchange("POST", PREDICT, [body_of("hi")]).run(app_of())
    assert exchange.status == 200
    answer = answer_of(exchange)
    assert answer["outputs"] == [{"data": {"text": {"raw": "hi"}}}]
    assert answer["status"] == {
        "code": 10000,
        "description": "Ok",
        "req_id": exchange.headers[b"x-request-id"].decode(),
    }


async def test_bytes_reply_is_rendered() -> None:
    exchange = await http_exchange("POST", PREDICT, [body_of("bytes")]).run(app_of())
    assert answer_of(exchange)["outputs"] == [{"data": {"text": {"raw": "bytes"}}}]


async def test_image_bytes_are_base64_both_ways() -> None:
    image = base64.b64encode(bytes(range(256))).decode()
    body = json.dumps({"inputs": [{"data": {"image": {"base64": image}}}]}).encode()
    exchange = await http_exchange("POST", PREDICT, [body[:50], body[50:]]).run(app_of())
    assert answer_of(exchange)["outputs"][0]["data"]["image"]["base64"] == image


@pytest.mark.parametrize("path", [PREDICT, GENERATE])
async def test_busy_model_says_when_to_come_again(path: str) -> None:
    exchange = await http_exchange("POST", path, [body_of("busy")]).run(app_of())
    assert exchange.status == 429
    assert exchange.headers[b"retry-after"] == b"7"
    status = json.loads(exchange.body)["status"]
    assert (status["code"], status["time_remaining"]) == (StatusCode.CONN_THROTTLED, 7)


async def test_path_wins_over_the_body() -> None:
    echo = EchoHandlers()
    body = json.dumps({"user_app_id": {"user_id": "bob", "app_id": "other"}, "model_id": "x"}).encode()
    exchange = await http_exchange("POST", PREDICT, [body]).run(app_of(echo))
    assert exchange.status == 200
    assert (echo.calls[0].user_id, echo.calls[0].app_id) == ("ann", "main")


async def test_query_of_the_published_json_client() -> None:
    echo = EchoHandlers()
    query = "user_app_id.user_id=ann&user_app_id.app_id=main&page=2&per_page=5&nonsense.deep=1"
    query += "&additional_fields=stars&additional_fields=x"
    exchange = await http_exchange("GET", "/v2/users/me/apps/main/models", query=query).run(app_of(echo))
    assert exchange.status == 200
    request = echo.received[0]
    assert (request.page, request.per_page, list(request.additional_fields)) == (2, 5, ["stars", "x"])
    assert request.user_app_id.user_id == "me"
    assert echo.calls[0].user_id == "ann"


async def test_camel_case_in_query_and_body() -> None:
    echo = EchoHandlers()
    await http_exchange("GET", "/v2/models", query="perPage=7&userAppId.appId=main&filterByUserId=true").run(
        app_of(echo)
    )
    assert echo.received[0].per_page == 7
    assert echo.received[0].filter_by_user_id is True
    assert echo.calls[0].app_id == "main"
    body = b'{"userAppId":{"userId":"me","appId":"a2"},"modelId":"m","extra":{"x":1}}'
    await http_exchange("POST", "/v2/models/m/outputs", [body]).run(app_of(echo))
    assert echo.calls[1].app_id == "a2"


async def test_encoded_slash_stays_inside_its_id() -> None:
    exchange = await http_exchange("GET", "/v2/users/ann/apps/main/models/a%2Fb%20%C3%BC").run(app_of())
    assert answer_of(exchange)["model"]["id"] == "a/b ü"


async def test_delete_with_a_body() -> None:
    echo = EchoHandlers()
    await http_exchange("DELETE", "/v2/users/ann/apps/main/models", [b'{"ids":["m"]}']).run(app_of(echo))
    assert list(echo.received[0].ids) == ["m"]


@pytest.mark.parametrize(
    ("exchange", "status", "code"),
    [
        (http_exchange("GET", "/v2/users/ann/apps/main/models/missing"), 404, StatusCode.MODEL_DOES_NOT_EXIST),
        (http_exchange("GET", "/v2/users/bob/apps/main/models/m"), 404, StatusCode.CONN_DOES_NOT_EXIST),
        (http_exchange("GET", "/v2/users/me", headers={"authorization": "Key no"}), 401, StatusCode.CONN_KEY_INVALID),
        (http_exchange("POST", PREDICT, [body_of("crash")]), 500, StatusCode.INTERNAL_UNCATEGORIZED),
        (http_exchange("GET", "/v2/nothing/here"), 404, StatusCode.CONN_DOES_NOT_EXIST),
        (http_exchange("GET", "/"), 404, StatusCode.CONN_DOES_NOT_EXIST),
        (http_exchange("GET", "/v2/users/ann/apps/main/workflows"), 501, StatusCode.RPC_UNKNOWN_METHOD),
        (http_exchange("GET", "/v2/models", query="page=many"), 400, StatusCode.CONN_BAD_REQUEST_FORMAT),
        (http_exchange("GET", "/v2/users/%ff"), 400, StatusCode.CONN_BAD_REQUEST_FORMAT),
        (
            http_exchange("GET", "/v2/users/me", headers={"request-timeout": "x"}),
            400,
            StatusCode.CONN_BAD_REQUEST_FORMAT,
        ),
        (
            http_exchange("GET", "/v2/users/me", headers={"request-timeout": "nan"}),
            400,
            StatusCode.CONN_BAD_REQUEST_FORMAT,
        ),
        (http_exchange("POST", PREDICT, headers={"content-encoding": "gzip"}), 415, StatusCode.CONN_BAD_REQUEST_FORMAT),
    ],
    ids=lambda value: value.scope["path"] if isinstance(value, AsgiExchange) else None,
)
async def test_errors_are_v2_statuses_under_their_http_status(exchange: AsgiExchange, status: int, code: int) -> None:
    await exchange.run(app_of())
    assert exchange.status == status
    answer = answer_of(exchange)
    assert answer["status"]["code"] == code
    assert answer["status"]["description"]
    assert answer["status"]["req_id"] == exchange.headers[b"x-request-id"].decode()
    assert b"secret" not in exchange.body


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"{", "not valid JSON"),
        (b"[]", "not a JSON object"),
        (b'{"a": NaN}', "NaN"),
        (b'{"a": Infinity}', "Infinity"),
        (b'{"inputs": [], "inputs": []}', "'inputs' twice"),
        (b"\xff{}", "UTF-8"),
        (b'{"x":' + b"[" * 80 + b"]" * 80 + b"}", "deeper than 64"),
        (b'{"x":' + b'{"y":' * 80 + b"1" + b"}" * 80 + b"}", "deeper than 64"),
        (b'{"x":' + b"[" * 100_000, "deeper than 64"),
        (b'{"inputs": 5}', "does not fit"),
        (b'{"inputs": [{"data": {"image": {"base64": "***"}}}], "inputs": 1}', "twice"),
        (b'{"inputs": [{"data": {"text": {"raw": 5}}}]}', "does not fit"),
        (b'{"x": ' + b"9" * 10_000 + b"}", "not valid JSON"),
    ],
    ids=range(13),
)
async def test_wrong_json_is_told(body: bytes, words: str) -> None:
    exchange = await http_exchange("POST", PREDICT, [body]).run(app_of())
    assert exchange.status == 400
    assert words in answer_of(exchange)["status"]["description"]


async def test_many_objects_side_by_side_are_not_deep() -> None:
    exchange = await http_exchange("POST", PREDICT, [body_of(*"x" * 100)]).run(app_of())
    assert exchange.status == 200


async def test_wrong_verb_tells_the_right_ones() -> None:
    exchange = await http_exchange("PUT", "/v2/users/ann/apps/main/models/m").run(app_of())
    assert exchange.status == 405
    assert exchange.headers[b"allow"] == b"DELETE, GET, HEAD"


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/v2/auth/methods"])
@pytest.mark.parametrize("verb", ["GET", "HEAD", "POST"])
async def test_plain_pages_need_no_token(path: str, verb: str) -> None:
    exchange = await http_exchange(verb, path, headers={"authorization": ""}).run(app_of())
    assert exchange.status == (405 if verb == "POST" else 200)
    assert bool(exchange.body) == (verb != "HEAD")
    assert exchange.headers[b"x-request-id"]


async def test_readiness_is_asked_each_time() -> None:
    answers = [True, False]
    app = make_app(make_v2(EchoHandlers()), is_ready=lambda: answers.pop(0))
    assert [(await http_exchange("GET", "/readyz").run(app)).status for _ in range(2)] == [200, 503]


async def test_head_of_a_method_has_no_body() -> None:
    exchange = await http_exchange("HEAD", "/v2/users/ann/apps/main/models/m").run(app_of())
    assert (exchange.status, exchange.body) == (200, b"")


async def test_method_without_auth_needs_no_token() -> None:
    exchange = await http_exchange("GET", "/v2/status_codes", headers={"authorization": ""}).run(app_of())
    assert exchange.status == 200


async def test_server_stream_is_a_line_each() -> None:
    exchange = await http_exchange("POST", GENERATE, [body_of("a", "b", "missing")]).run(app_of())
    assert exchange.status == 200
    assert exchange.headers[b"content-type"] == b"application/x-ndjson"
    lines = [json.loads(line) for line in exchange.body.splitlines()]
    assert [line["status"]["code"] for line in lines] == [10000, 10000, StatusCode.MODEL_DOES_NOT_EXIST]


async def test_server_stream_as_events() -> None:
    exchange = await http_exchange("POST", GENERATE, [body_of("a", "b")], {"accept": "text/event-stream"}).run(app_of())
    assert exchange.headers[b"content-type"] == b"text/event-stream"
    events = exchange.body.decode().split("\n\n")
    assert events.pop() == ""
    assert [json.loads(one.removeprefix("data: "))["outputs"][0]["data"]["text"]["raw"] for one in events] == ["a", "b"]


async def test_stream_that_fails_at_once_has_the_errors_http_status() -> None:
    exchange = await http_exchange("POST", GENERATE, [body_of("missing")]).run(app_of())
    assert exchange.status == 404


async def test_both_ways_stream_of_lines_in_any_split() -> None:
    lines = [body_of("one"), b"  ", body_of("two"), body_of("three")]
    whole = b"\n".join(lines)
    chunks = [whole[start : start + 7] for start in range(0, len(whole), 7)]
    exchange = await http_exchange("POST", STREAM, chunks).run(app_of())
    texts = [json.loads(line)["outputs"][0]["data"]["text"]["raw"] for line in exchange.body.splitlines()]
    assert texts == ["one", "two", "three"]


async def test_both_ways_stream_answers_before_the_body_ends() -> None:
    exchange = http_exchange("POST", STREAM, [])
    running = asyncio.create_task(exchange.run(app_of()))
    exchange.put(body_of("one") + b"\n", more=True)
    await eventually(lambda: exchange.body.count(b"\n") == 1)
    exchange.put(body_of("two"))
    await running
    assert exchange.body.count(b"\n") == 2


async def test_wrong_line_of_a_stream_is_its_last_message() -> None:
    exchange = await http_exchange("POST", STREAM, [body_of("one") + b"\nnonsense\n"]).run(app_of())
    last = json.loads(exchange.body.splitlines()[-1])
    assert last["status"]["code"] == StatusCode.CONN_BAD_REQUEST_FORMAT
    assert "message 2 of the stream" in last["status"]["description"]


async def test_upload_of_lines() -> None:
    part = json.dumps({"content_part": {"part_number": 1, "data": base64.b64encode(bytes(1000)).decode()}}).encode()
    first = b'{"upload_config":{"user_app_id":{"app_id":"main"},"model_id":"m","total_size":"1000"}}\n'
    echo = EchoHandlers()
    exchange = await http_exchange("POST", "/v2/models/versions/upload", [first + part]).run(app_of(echo))
    assert json.loads(exchange.body)["status"]["details"] == "1000"
    assert echo.calls[0].app_id == "main"


async def test_request_timeout_ends_the_handler_with_504() -> None:
    echo = EchoHandlers()
    exchange = await http_exchange("POST", PREDICT, [body_of("hang")], {"request-timeout": "0.03"}).run(app_of(echo))
    assert exchange.status == 504
    assert echo.cancelled.is_set()


async def test_request_timeout_inside_a_stream_is_its_last_message() -> None:
    exchange = await http_exchange("POST", GENERATE, [body_of("a", "hang")], {"request-timeout": "0.05"}).run(app_of())
    assert exchange.status == 200
    assert json.loads(exchange.body.splitlines()[-1])["status"]["code"] == StatusCode.RPC_REQUEST_TIMEOUT
    assert exchange.sent[-1]["more_body"] is False


async def test_caller_who_leaves_ends_the_handler() -> None:
    echo = EchoHandlers()
    exchange = http_exchange("POST", PREDICT, [body_of("hang")])
    running = asyncio.create_task(exchange.run(app_of(echo)))
    await asyncio.wait_for(echo.entered.wait(), 5)
    exchange.disconnect()
    await running
    assert echo.cancelled.is_set()


async def test_wrong_token_is_told_before_a_large_body_is_read() -> None:
    exchange = http_exchange("POST", PREDICT, [], {"authorization": "Key wrong"})
    exchange.put(b'{"inputs"', more=True)
    await exchange.run(app_of())
    assert exchange.status == 401


async def test_body_beyond_its_limit_is_413() -> None:
    exchange = await http_exchange("DELETE", "/v2/users/ann/apps/main/models", [bytes(2**22), b"x"]).run(app_of())
    assert exchange.status == 413
    assert answer_of(exchange)["status"]["code"] == StatusCode.RPC_MAX_MESSAGE_SIZE_EXCEEDED


def test_every_binding_of_the_contract_leads_to_its_method() -> None:
    methods = load_methods()
    routes = Routes(methods.values(), frozenset())
    shared = set()
    for method in methods.values():
        for binding in method.bindings:
            segments = ["x1" if part.startswith("{") else part for part in binding.template.strip("/").split("/")]
            match = routes.match(binding.verb, segments)
            assert match is not None, binding
            assert len(match.values) == len(match.route.variables)
            if match.route.method is not method:
                shared.add((method.name, match.route.method.name))
    assert shared <= {
        ("PatchRunners", "PostRunners"),
        ("StreamLogEntries", "ListLogEntries"),
        ("ListPipelines", "PostPipelines"),
    }


def test_literal_beats_variable_and_the_variable_is_tried_after() -> None:
    routes = Routes(load_methods().values(), frozenset())
    assert routes.match("POST", ["v2", "models", "outputs", "stream"]).route.method.name == "StreamModelOutputs"
    found = routes.match("POST", ["v2", "models", "types", "outputs"])
    assert found.route.method.name == "PostModelOutputs"
    assert found.values == ("types",)
    assert routes.match("GET", ["v2", "users", ""]) is None


def test_request_message_takes_every_json_that_protobuf_prints() -> None:
    request = PostModelOutputsRequest(model_id="m")
    request.inputs.add().data.metadata.update({"a": [1, None, {"b": True}]})
    for names in (True, False):
        text = json_format.MessageToJson(request, preserving_proto_field_name=names)
        assert json_format.Parse(text, PostModelOutputsRequest()) == request


async def test_lifespan_runs_the_hooks() -> None:
    seen = []

    async def note(word: str) -> None:
        seen.append(word)

    app = make_app(
        make_v2(EchoHandlers()), is_ready=lambda: True, on_start=lambda: note("start"), on_stop=lambda: note("stop")
    )
    exchange = AsgiExchange({"type": "lifespan"})
    exchange.incoming.put_nowait({"type": "lifespan.startup"})
    exchange.incoming.put_nowait({"type": "lifespan.shutdown"})
    await exchange.run(app)
    assert seen == ["start", "stop"]
    assert [event["type"] for event in exchange.sent] == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


async def test_websocket_is_closed() -> None:
    exchange = AsgiExchange({"type": "websocket"})
    exchange.incoming.put_nowait({"type": "websocket.connect"})
    await exchange.run(app_of())
    assert exchange.sent[0]["type"] == "websocket.close"


def test_what_paths_name_are_texts() -> None:
    """`fill_from_path` merges them: a number that is 0 would be lost."""
    for method in load_methods().values():
        for binding in method.bindings:
            for segment in binding.template.split("/"):
                if segment.startswith("{"):
                    descriptor, field = method.request_type.DESCRIPTOR, None
                    for name in segment[1:-1].split("."):
                        field = descriptor.fields_by_name.get(name)
                        descriptor = field.message_type if field else None
                        if descriptor is None:
                            break
                    assert field is None or (field.type == field.TYPE_STRING and not field.is_repeated), segment


async def test_a_path_that_comes_again_names_the_same_whatever_else_the_request_says() -> None:
    routes = Routes(load_methods().values(), frozenset())
    scope = {"path": "/v2/models/m%2F1/outputs", "raw_path": b"/v2/models/m%2F1/outputs"}
    first, again = routes.find("POST", scope), routes.find("POST", scope)
    assert first is again
    assert first.values == ("m/1",)
    assert routes.find("DELETE", scope) is None
    assert routes.find("POST", {**scope, "raw_path": b"/v2/models/other/outputs"}).values == ("other",)
