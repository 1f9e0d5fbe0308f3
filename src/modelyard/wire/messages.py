"""The V2 messages. The one place that imports `clarifai_grpc`, so that the contract has one door into the house.

Names are looked up when they are asked for: a worker runs with the `clarifai-grpc` that its author pinned, which may be
older than ours and lack what only the server needs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from clarifai_grpc.grpc.api.resources_pb2 import (
        App,
        AppExtraInfo,
        Audio,
        BuildInfo,
        ComputeInfo,
        Concept,
        Data,
        Frame,
        Image,
        Input,
        Key,
        LogEntry,
        MethodSignature,
        Model,
        ModelType,
        ModelTypeEnumOption,
        ModelTypeField,
        ModelVersion,
        Output,
        OutputInfo,
        PretrainedModelConfig,
        Region,
        RunnerMethodType,
        ScopeDeps,
        Text,
        User,
        UserAppIDSet,
        Video,
    )
    from clarifai_grpc.grpc.api.service_pb2 import (
        DESCRIPTOR as SERVICE_DESCRIPTOR,
    )
    from clarifai_grpc.grpc.api.service_pb2 import (
        DeleteAppRequest,
        DeleteKeyRequest,
        DeleteModelRequest,
        DeleteModelsRequest,
        DeleteModelVersionRequest,
        GetAppRequest,
        GetKeyRequest,
        GetModelRequest,
        GetModelTypeRequest,
        GetModelVersionRequest,
        GetStatusCodeRequest,
        GetUserRequest,
        ListAppsRequest,
        ListKeysRequest,
        ListLogEntriesRequest,
        ListModelsRequest,
        ListModelTypesRequest,
        ListModelVersionsRequest,
        ListScopesRequest,
        ListStatusCodesRequest,
        MultiAppResponse,
        MultiKeyResponse,
        MultiLogEntryResponse,
        MultiModelResponse,
        MultiModelTypeResponse,
        MultiModelVersionResponse,
        MultiOutputResponse,
        MultiScopeDepsResponse,
        MultiScopeResponse,
        MultiStatusCodeResponse,
        MyScopesRequest,
        PatchAppRequest,
        PatchAppsRequest,
        PatchKeysRequest,
        PatchModelsRequest,
        PatchModelVersionsRequest,
        PostAppsRequest,
        PostKeysRequest,
        PostModelOutputsRequest,
        PostModelsRequest,
        PostModelVersionsRequest,
        PostModelVersionsUploadRequest,
        PostModelVersionsUploadResponse,
        SingleAppResponse,
        SingleKeyResponse,
        SingleModelResponse,
        SingleModelTypeResponse,
        SingleModelVersionResponse,
        SingleStatusCodeResponse,
        SingleUserResponse,
    )
    from clarifai_grpc.grpc.api.status.status_code_pb2 import StatusCode
    from clarifai_grpc.grpc.api.status.status_pb2 import BaseResponse, Status
    from clarifai_grpc.grpc.auth.scope import scope_pb2
    from clarifai_grpc.grpc.auth.types import types_pb2 as auth_types
    from clarifai_grpc.grpc.auth.util import extension_pb2 as auth_options
    from google.protobuf.message import DecodeError, Message
    from google.protobuf.struct_pb2 import Struct
    from google.protobuf.timestamp_pb2 import Timestamp
else:
    from clarifai_grpc.grpc.api import resources_pb2, service_pb2
    from clarifai_grpc.grpc.api.status import status_code_pb2, status_pb2
    from clarifai_grpc.grpc.auth.scope import scope_pb2
    from clarifai_grpc.grpc.auth.types import types_pb2 as auth_types
    from clarifai_grpc.grpc.auth.util import extension_pb2 as auth_options
    from google.protobuf import message, struct_pb2, timestamp_pb2

    SERVICE_DESCRIPTOR = service_pb2.DESCRIPTOR
    _PLACES = (resources_pb2, service_pb2, status_pb2, status_code_pb2, message, struct_pb2, timestamp_pb2)

    def __getattr__(name: str) -> object:
        """The message of this name, from wherever the contract has it (PEP 562)."""
        for place in _PLACES:
            if hasattr(place, name):
                return getattr(place, name)
        raise AttributeError(f"clarifai-grpc has no {name!r}; this needs a newer one")


__all__ = [
    "SERVICE_DESCRIPTOR",
    "App",
    "AppExtraInfo",
    "Audio",
    "BaseResponse",
    "BuildInfo",
    "ComputeInfo",
    "Concept",
    "Data",
    "DecodeError",
    "DeleteAppRequest",
    "DeleteKeyRequest",
    "DeleteModelRequest",
    "DeleteModelVersionRequest",
    "DeleteModelsRequest",
    "Frame",
    "GetAppRequest",
    "GetKeyRequest",
    "GetModelRequest",
    "GetModelTypeRequest",
    "GetModelVersionRequest",
    "GetStatusCodeRequest",
    "GetUserRequest",
    "Image",
    "Input",
    "Key",
    "ListAppsRequest",
    "ListKeysRequest",
    "ListLogEntriesRequest",
    "ListModelTypesRequest",
    "ListModelVersionsRequest",
    "ListModelsRequest",
    "ListScopesRequest",
    "ListStatusCodesRequest",
    "LogEntry",
    "Message",
    "MethodSignature",
    "Model",
    "ModelType",
    "ModelTypeEnumOption",
    "ModelTypeField",
    "ModelVersion",
    "MultiAppResponse",
    "MultiKeyResponse",
    "MultiLogEntryResponse",
    "MultiModelResponse",
    "MultiModelTypeResponse",
    "MultiModelVersionResponse",
    "MultiOutputResponse",
    "MultiScopeDepsResponse",
    "MultiScopeResponse",
    "MultiStatusCodeResponse",
    "MyScopesRequest",
    "Output",
    "OutputInfo",
    "PatchAppRequest",
    "PatchAppsRequest",
    "PatchKeysRequest",
    "PatchModelVersionsRequest",
    "PatchModelsRequest",
    "PostAppsRequest",
    "PostKeysRequest",
    "PostModelOutputsRequest",
    "PostModelVersionsRequest",
    "PostModelVersionsUploadRequest",
    "PostModelVersionsUploadResponse",
    "PostModelsRequest",
    "PretrainedModelConfig",
    "Region",
    "RunnerMethodType",
    "ScopeDeps",
    "SingleAppResponse",
    "SingleKeyResponse",
    "SingleModelResponse",
    "SingleModelTypeResponse",
    "SingleModelVersionResponse",
    "SingleStatusCodeResponse",
    "SingleUserResponse",
    "Status",
    "StatusCode",
    "Struct",
    "Text",
    "Timestamp",
    "User",
    "UserAppIDSet",
    "Video",
    "auth_options",
    "auth_types",
    "scope_pb2",
]
