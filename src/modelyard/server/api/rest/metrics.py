"""`GET /metrics`, and who may read it: docs/how-to/observe.md."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from modelyard.errors import Forbidden, Unauthenticated
from modelyard.server.api.access import ALL_SCOPES, Access
from modelyard.server.api.rest.visit import Visit
from modelyard.server.telemetry.exposition import CONTENT_TYPE

METRICS = "/metrics"
LOOPBACK = frozenset({b"127.0.0.1", b"localhost", b"[::1]", b"::1"})
LOOPBACK_CLIENTS = frozenset({"127.0.0.1", "::1"})
FORWARDED = frozenset({b"forwarded", b"via", b"x-forwarded-for", b"x-forwarded-host", b"x-real-ip"})
"""What proxies add: who asks is then not who connected."""
HINT = "send the server's own token: authorization: Bearer $(cat DATA_DIR/secrets/token)"


class MetricsPage:
    """The page.

    Args:
        access: Knows tokens.
        operator: Whose token opens it from anywhere.
        write: Makes it.
        needs_token: From the loopback, too?
    """

    def __init__(
        self, access: Access, operator: str, write: Callable[[], Awaitable[bytes]], *, needs_token: bool = False
    ) -> None:
        self._access = access
        self._operator = operator
        self._write = write
        self._needs_token = needs_token

    async def answer(self, visit: Visit) -> None:
        """Answer it. Raises Unauthenticated or Forbidden."""
        if visit.head.verb != "GET":
            await visit.refuse(405, "only GET and HEAD are allowed here", [(b"allow", b"GET, HEAD")])
            return
        if self._needs_token or visit.head.caller.authorization or not is_direct(visit):
            await self._check(visit)
        await visit.page(200, await self._write(), CONTENT_TYPE)

    async def _check(self, visit: Visit) -> None:
        try:
            caller = await self._access.authenticate(visit.make_envelope().authorization)
        except Unauthenticated as error:
            raise Unauthenticated(f"the metrics of the whole server: {error.message}", hint=HINT) from None
        if caller.user_id != self._operator or caller.app_ids or ALL_SCOPES not in caller.scopes:
            raise Forbidden("this token may not read the metrics of the whole server", hint=HINT)


def is_direct(visit: Visit) -> bool:
    """Does a process of this machine ask, for itself? A page in a browser sends another host or an origin, a proxy says
    that it forwards."""
    client = visit.scope.get("client")
    if not client or client[0] not in LOOPBACK_CLIENTS:
        return False
    host = b""
    for name, value in visit.scope["headers"]:
        if name in FORWARDED or name == b"origin":
            return False
        if name == b"host":
            host = value
    return _without_port(host) in LOOPBACK


def _without_port(host: bytes) -> bytes:
    name, _, port = host.rpartition(b":")
    return name if port.isdigit() and name and (b":" not in name or name.endswith(b"]")) else host
