"""Models: create, find, list, delete."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from modelyard.client.names import ModelName, read_name
from modelyard.client.pages import read_pages
from modelyard.client.patience import insist
from modelyard.client.transport import Transport
from modelyard.errors import Conflict, ModelNotFound
from modelyard.wire.messages import (
    DeleteModelsRequest,
    GetModelRequest,
    ListModelsRequest,
    Model,
    PostModelsRequest,
    UserAppIDSet,
)


class Models:
    """The models of a server."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def get(self, name: ModelName | str) -> Model:
        """The model with the version that answers, or the one that the name asks for by id. Raises ModelNotFound."""
        name = read_name(name)
        request = GetModelRequest(user_app_id=self.scope(name), model_id=name.model_id, version_id=name.version)
        return self._transport.call("GetModel", request).model

    def ensure(self, name: ModelName, model_type_id: str) -> None:
        """Create the model unless it is there; asks again where the connection breaks."""
        model = Model(id=name.model_id, model_type_id=model_type_id)
        request = PostModelsRequest(user_app_id=self.scope(name), models=[model])
        with suppress(Conflict):
            try:
                insist(self._transport, lambda: self.get(name))
            except ModelNotFound:
                insist(self._transport, lambda: self._transport.call("PostModels", request))

    def list(self, app_id: str = "") -> Iterator[Model]:
        """All models of an app, or of all apps."""
        scope = UserAppIDSet(user_id=self._transport.context.user, app_id=app_id)
        return read_pages(self._transport, "ListModels", ListModelsRequest(user_app_id=scope), "models")

    def delete(self, name: ModelName | str) -> None:
        """Delete the model with all of its versions. Raises ModelNotFound."""
        found = self.get(name)
        scope = UserAppIDSet(user_id=self._transport.context.user, app_id=found.app_id)
        self._transport.call("DeleteModels", DeleteModelsRequest(user_app_id=scope, ids=[found.id]))

    def scope(self, name: ModelName) -> UserAppIDSet:
        """The user and app of a name; the user of the context where it has none."""
        return UserAppIDSet(user_id=name.user_id or self._transport.context.user, app_id=name.app_id)
