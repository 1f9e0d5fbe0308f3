"""What requests share: pages, names, and who calls."""

from __future__ import annotations

from typing import Any, cast

from modelyard.errors import Forbidden, InvalidRequest
from modelyard.server.api.v2.call import Call
from modelyard.server.records import AppKey, Caller, ModelKey, Page
from modelyard.wire.messages import Message, Model

DEFAULT_PAGE_SIZE = 128
MAX_PAGE_SIZE = 1000


def read_page(request: Message) -> Page:
    """The page that a listing asks for: counted from 1; at most 1000 rows; 128 where it does not say."""
    asked = cast("Any", request)
    return Page(number=max(asked.page, 1), size=min(asked.per_page or DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE))


def caller_of(call: Call) -> Caller:
    """Who calls. Every method but those without authentication has one."""
    if call.caller is None:
        raise Forbidden(f"{call.method.name} needs a token")
    return call.caller


def app_key_of(call: Call, user_id: str = "", app_id: str = "") -> AppKey:
    """The app that a call works on: the request's, or the one that a thing in it names. They may not disagree."""
    require_same("user_id", call.user_id, "" if user_id == "me" else user_id)
    require_same("app_id", call.app_id, app_id)
    if not (call.app_id or app_id):
        raise InvalidRequest("the request names no app: user_app_id.app_id is empty")
    return AppKey(user_id=call.user_id, app_id=call.app_id or app_id)


def model_key_of(call: Call, model: Model) -> ModelKey:
    """The model that a message in a request names, in the request's app."""
    app = app_key_of(call, model.user_id, model.app_id)
    return ModelKey(user_id=app.user_id, app_id=app.app_id, model_id=model.id)


def require_some(things: Any, field: str) -> None:
    """Raise InvalidRequest where a request to do something with things names none."""
    if not things:
        raise InvalidRequest(f"the request names nothing: {field} is empty")


def require_same(field: str, asked: str, inner: str) -> None:
    """Raise InvalidRequest where a thing inside a request names another owner than the request."""
    if asked and inner not in ("", asked):
        raise InvalidRequest(f"the request is for {field} {asked!r}, but names {inner!r} inside: they must be the same")
