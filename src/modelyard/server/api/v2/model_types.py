"""The methods on model types: which inputs and outputs each has. Clients choose an input's field by them."""

from __future__ import annotations

from modelyard.config.model_types import MODEL_TYPES, ModelTypeInfo
from modelyard.errors import NotFound
from modelyard.server.api.v2.call import Call, Handler
from modelyard.server.api.v2.requests import read_page
from modelyard.wire.messages import (
    GetModelTypeRequest,
    ListModelTypesRequest,
    ModelType,
    MultiModelTypeResponse,
    SingleModelTypeResponse,
)


class ModelTypesV2:
    """The same for every user."""

    def handlers(self) -> dict[str, Handler]:
        """What this noun answers, by method."""
        return {"ListModelTypes": self.list, "GetModelType": self.get}

    async def list(self, _call: Call, request: ListModelTypesRequest) -> MultiModelTypeResponse:
        page = read_page(request)
        types = list(MODEL_TYPES.values())[page.offset : page.offset + page.size]
        return MultiModelTypeResponse(model_types=[_to_message(one) for one in types])

    async def get(self, _call: Call, request: GetModelTypeRequest) -> SingleModelTypeResponse:
        info = MODEL_TYPES.get(request.model_type_id)
        if info is None:
            known = ", ".join(MODEL_TYPES)
            raise NotFound(f"model type {request.model_type_id[:80]!r} does not exist; known are {known}")
        return SingleModelTypeResponse(model_type=_to_message(info))


def _to_message(info: ModelTypeInfo) -> ModelType:
    return ModelType(
        id=info.id,
        title=info.title,
        description=info.description,
        input_fields=info.input_fields,
        output_fields=info.output_fields,
        creatable=True,
    )
