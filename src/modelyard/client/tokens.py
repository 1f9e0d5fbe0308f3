"""Personal access tokens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from modelyard.client.pages import read_pages
from modelyard.client.transport import Transport
from modelyard.wire.messages import App, DeleteKeyRequest, Key, ListKeysRequest, PostKeysRequest, UserAppIDSet


class Tokens:
    """The tokens of the caller."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._scope = UserAppIDSet(user_id=transport.context.user)

    def create(self, description: str, *, scopes: Sequence[str] = (), app_ids: Sequence[str] = ()) -> Key:
        """Make a token; the `id` of the answer is its text, shown this once.

        Args:
            description: What it is for.
            scopes: Names such as `Predict` or `Models:Get`; none gives all.
            app_ids: The apps it is bound to; none gives all.
        """
        key = Key(description=description, scopes=scopes, apps=[App(id=one) for one in app_ids])
        return self._transport.call("PostKeys", PostKeysRequest(user_app_id=self._scope, keys=[key])).keys[0]

    def list(self) -> Iterator[Key]:
        """Tokens that are not revoked, by their public ids."""
        return read_pages(self._transport, "ListKeys", ListKeysRequest(user_app_id=self._scope), "keys")

    def revoke(self, token: str) -> None:
        """Revoke one, by its public id or its text. Raises TokenNotFound."""
        self._transport.call("DeleteKey", DeleteKeyRequest(user_app_id=self._scope, key_id=token))
