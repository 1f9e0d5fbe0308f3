"""GetUser: published clients ask it for `me`, and take the real id from the answer."""

from __future__ import annotations

from modelyard.server.api.v2.call import Call, Handler
from modelyard.server.api.v2.convert import user_message
from modelyard.server.services.users import Users
from modelyard.wire.messages import GetUserRequest, SingleUserResponse


class UsersV2:
    """The methods on users."""

    def __init__(self, users: Users) -> None:
        self._users = users

    def handlers(self) -> dict[str, Handler]:
        """What this noun answers, by method."""
        return {"GetUser": self.get}

    async def get(self, call: Call, _request: GetUserRequest) -> SingleUserResponse:
        """The user that the request names; `me` is the caller."""
        return SingleUserResponse(user=user_message(await self._users.get(call.user_id)))
