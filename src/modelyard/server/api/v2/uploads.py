"""PostModelVersionsUpload: parts in, progress out; the last answer is an acceptance or says what is wrong."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any

from modelyard.errors import InvalidRequest, ModelyardError, UploadIncomplete
from modelyard.server.api.v2.call import Call, Handler, Incoming
from modelyard.server.api.v2.failures import log_failure
from modelyard.server.services.uploads import Announcement, ContentPart, Progress, Uploads
from modelyard.wire.messages import PostModelVersionsUploadResponse, Status, StatusCode
from modelyard.wire.status import status_of


class UploadsV2:
    """The method that uploads."""

    def __init__(self, uploads: Uploads) -> None:
        self._uploads = uploads

    def handlers(self) -> dict[str, Handler]:
        """What this noun answers, by method."""
        return {"PostModelVersionsUpload": self.upload}

    async def upload(
        self, call: Call, incomings: AsyncIterator[Incoming]
    ) -> AsyncGenerator[PostModelVersionsUploadResponse, None]:
        """One upload. A failure after the version was made is answered with the version's id."""
        announcement = _read_announcement(call, await anext(incomings))
        version_id = ""
        try:
            async with aclosing(self._uploads.receive(announcement, _read_parts(incomings))) as steps:
                async for step in steps:
                    version_id = step.version_id
                    yield _answer(call, step)
        except ModelyardError as error:
            if not version_id:
                raise
            log_failure(call.method.name, call.request_id, call.caller, error)
            status = status_of(error, request_id=call.request_id)
            yield PostModelVersionsUploadResponse(status=status, model_version_id=version_id)


def _read_announcement(call: Call, first: Incoming) -> Announcement:
    message: Any = first.message
    if message.WhichOneof("upload_data") != "upload_config":
        raise UploadIncomplete("the first message of an upload must be upload_config; this stream began with data")
    config = message.upload_config
    return Announcement(
        user_id=call.user_id,
        app_id=call.app_id,
        model_id=config.model_id,
        spec=config.model_version,
        total_bytes=config.total_size,
        hub_token=call.hub_token,
    )


async def _read_parts(incomings: AsyncIterator[Incoming]) -> AsyncIterator[ContentPart]:
    async for one in incomings:
        message: Any = one.message
        if message.WhichOneof("upload_data") != "content_part":
            raise InvalidRequest("upload_config came twice: after the first message only content_part may follow")
        yield ContentPart(number=message.content_part.part_number, data=message.content_part.data)


def _answer(call: Call, step: Progress) -> PostModelVersionsUploadResponse:
    code = StatusCode.MODEL_BUILDING if step.is_accepted else StatusCode.UPLOAD_IN_PROGRESS
    return PostModelVersionsUploadResponse(
        status=Status(code=code, description=step.message, percent_completed=step.percent, req_id=call.request_id),
        bytes_remaining=step.remaining_bytes,
        model_version_id=step.version_id,
    )
