"""The methods on status codes: the contract's own table, for people who look one up. They need no token."""

from __future__ import annotations

from modelyard.errors import NotFound
from modelyard.server.api.v2.call import Call, Handler
from modelyard.wire.messages import (
    GetStatusCodeRequest,
    ListStatusCodesRequest,
    MultiStatusCodeResponse,
    SingleStatusCodeResponse,
    Status,
    StatusCode,
)


class StatusCodesV2:
    """Read from the enum of the descriptor."""

    def handlers(self) -> dict[str, Handler]:
        """What this noun answers, by method."""
        return {"ListStatusCodes": self.list, "GetStatusCode": self.get}

    async def list(self, _call: Call, _request: ListStatusCodesRequest) -> MultiStatusCodeResponse:
        return MultiStatusCodeResponse(statuses=[_to_status(name, code) for name, code in StatusCode.items() if code])

    async def get(self, _call: Call, request: GetStatusCodeRequest) -> SingleStatusCodeResponse:
        """One code, by its number or its name. The answer's own status is the code that was asked for."""
        asked = request.status_code_id
        for name, code in StatusCode.items():
            if code and asked.upper() in (name, str(code)):
                return SingleStatusCodeResponse(status=_to_status(name, code))
        raise NotFound(f"status code {asked[:80]!r} does not exist", hint="ListStatusCodes has them all")


def _to_status(name: str, code: int) -> Status:
    return Status(code=code, description=name.replace("_", " ").capitalize())
