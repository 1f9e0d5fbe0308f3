"""The methods on tokens, which the V2 API calls keys, and on scopes."""

from __future__ import annotations

from datetime import UTC

from modelyard.errors import InvalidRequest
from modelyard.server.api.v2.call import Call, Handler
from modelyard.server.api.v2.convert import key_message, scope_name
from modelyard.server.api.v2.requests import caller_of, read_page, require_some
from modelyard.server.services.patches import read_action
from modelyard.server.services.tokens import Tokens
from modelyard.wire.messages import (
    BaseResponse,
    DeleteKeyRequest,
    GetKeyRequest,
    Key,
    ListKeysRequest,
    ListScopesRequest,
    MultiKeyResponse,
    MultiScopeDepsResponse,
    MultiScopeResponse,
    MyScopesRequest,
    PatchKeysRequest,
    PostKeysRequest,
    ScopeDeps,
    SingleKeyResponse,
    Status,
)
from modelyard.wire.methods import expand_scopes, list_scope_names


class TokensV2:
    """Convert, call, convert."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    def handlers(self) -> dict[str, Handler]:
        """What this noun answers, by method."""
        return {
            "PostKeys": self.post,
            "ListKeys": self.list,
            "GetKey": self.get,
            "PatchKeys": self.patch,
            "DeleteKey": self.delete,
            "MyScopes": self.my_scopes,
            "ListScopes": self.list_scopes,
        }

    async def post(self, call: Call, request: PostKeysRequest) -> MultiKeyResponse:
        """Make tokens; `id` is the token's text in this answer, and never again."""
        require_some(request.keys, "keys")
        for one in request.keys:
            _check_key(one)
        keys = []
        for one in request.keys:
            token, text = await self._tokens.create(
                call.user_id,
                description=one.description,
                scopes=list(one.scopes),
                app_ids=[app.id for app in one.apps],
                expires_at=one.expires_at.ToDatetime(tzinfo=UTC) if one.HasField("expires_at") else None,
                granted_by=caller_of(call),
            )
            keys.append(key_message(token, text=text))
        return MultiKeyResponse(keys=keys)

    async def list(self, call: Call, request: ListKeysRequest) -> MultiKeyResponse:
        tokens = await self._tokens.list(call.user_id, read_page(request))
        return MultiKeyResponse(keys=[key_message(one) for one in tokens])

    async def get(self, call: Call, request: GetKeyRequest) -> SingleKeyResponse:
        return SingleKeyResponse(key=key_message(await self._tokens.get(call.user_id, request.key_id)))

    async def patch(self, call: Call, request: PatchKeysRequest) -> MultiKeyResponse:
        require_some(request.keys, "keys")
        action = read_action(request.action)
        for one in request.keys:
            _check_key(one)
        patched = [
            await self._tokens.patch(
                call.user_id,
                one.id,
                description=one.description,
                scopes=list(one.scopes),
                action=action,
                granted_by=caller_of(call),
            )
            for one in request.keys
        ]
        return MultiKeyResponse(keys=[key_message(one) for one in patched])

    async def delete(self, call: Call, request: DeleteKeyRequest) -> BaseResponse:
        await self._tokens.revoke(call.user_id, request.key_id)
        return BaseResponse(status=Status())

    async def my_scopes(self, call: Call, _request: MyScopesRequest) -> MultiScopeResponse:
        """What the caller's own token may do."""
        return MultiScopeResponse(scopes=[scope_name(one) for one in sorted(caller_of(call).scopes)])

    async def list_scopes(self, _call: Call, _request: ListScopesRequest) -> MultiScopeDepsResponse:
        """Every scope, with those that it brings along."""
        answer = MultiScopeDepsResponse()
        for name in list_scope_names():
            below = sorted(expand_scopes(frozenset({name})) - {name})
            answer.scope_deps.append(
                ScopeDeps(scope=scope_name(name), depending_scopes=[scope_name(one) for one in below])
            )
        return answer


def _check_key(key: Key) -> None:
    if key.endpoints:
        raise InvalidRequest(
            "a token cannot be bound to endpoints here, and without that it could do more than was asked for",
            hint="bind it by scopes",
        )
