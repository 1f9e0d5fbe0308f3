"""HTTP answers of the REST door: always JSON with a V2 status, always with the request's id."""

from __future__ import annotations

from modelyard.errors import ModelyardError
from modelyard.server.api.doorway.request_ids import ANSWER_HEADER, make_request_id
from modelyard.server.api.doorway.types import Headers, Send
from modelyard.server.api.rest.large import render_reply
from modelyard.server.api.rest.render import render
from modelyard.server.api.rest.usual_answer import render_usual
from modelyard.server.api.v2.call import Reply
from modelyard.server.carriers.base import Shortcuts
from modelyard.wire.messages import BaseResponse, MultiOutputResponse, Status, StatusCode
from modelyard.wire.methods import Method
from modelyard.wire.status import codes_of, http_status_of, status_of

JSON_TYPE = b"application/json"
MAY_COME_AGAIN = frozenset({429, 503})
_V2_CODES = {404: StatusCode.CONN_DOES_NOT_EXIST}


def render_answer(method: Method, reply: Reply) -> tuple[int, bytes, Headers | None]:
    """A response message as JSON, under the HTTP status that its V2 status stands for; and headers of its own."""
    if isinstance(reply, bytes) and method.response_type is MultiOutputResponse:
        body = render_usual(reply)
        if body is not None:
            return 200, body, None
    message, body = render_reply(method, reply)
    return http_status_of(message.status.code), body, retry_headers(message.status)


def make_headers(
    body: bytes, request_id: str, *, headers: Headers | None = None, content_type: bytes = JSON_TYPE
) -> Headers:
    """Those of an answer with this body."""
    return [
        (b"content-type", content_type),
        (b"content-length", b"%d" % len(body)),
        (ANSWER_HEADER, request_id.encode("ascii")),
        (b"x-content-type-options", b"nosniff"),
        *(headers or ()),
    ]


async def send_body(
    send: Send,
    status: int,
    body: bytes,
    request_id: str,
    *,
    headers: Headers | None = None,
    content_type: bytes = JSON_TYPE,
    is_head: bool = False,
    shortcuts: Shortcuts | None = None,
) -> None:
    """A whole answer; without its body where the request was a HEAD."""
    start = make_headers(body, request_id, headers=headers, content_type=content_type)
    if is_head:
        body = b""
    if shortcuts is not None and shortcuts.reply(status, start, body):
        return
    await send({"type": "http.response.start", "status": status, "headers": start})
    await send({"type": "http.response.body", "body": body})


async def send_failure(
    send: Send, error: ModelyardError, request_id: str, *, headers: Headers | None = None, is_head: bool = False
) -> None:
    """An error's V2 status under its HTTP status."""
    status = status_of(error, request_id=request_id)
    headers = [*(headers or ()), *retry_headers(status)]
    body = render(BaseResponse(status=status))
    await send_body(send, codes_of(error).http, body, request_id, headers=headers, is_head=is_head)


def retry_headers(status: Status) -> Headers:
    """When a refused request may come again, for clients that read headers and no V2 status (RFC 9110, 10.2.3)."""
    if not status.time_remaining or http_status_of(status.code) not in MAY_COME_AGAIN:
        return []
    return [(b"retry-after", b"%d" % status.time_remaining)]


async def send_error(
    send: Send,
    status: int,
    description: str,
    *,
    request_id: str = "",
    headers: Headers | None = None,
    is_head: bool = False,
) -> None:
    """An error of HTTP itself, such as 404 and 405, which none of our classes tells."""
    request_id = request_id or make_request_id(None)
    code = _V2_CODES.get(status, StatusCode.CONN_BAD_REQUEST_FORMAT)
    told = Status(code=code, description=description, req_id=request_id)
    await send_body(send, status, render(BaseResponse(status=told)), request_id, headers=headers, is_head=is_head)
