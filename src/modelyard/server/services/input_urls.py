"""Inputs by URL: the gateway fetches what they point to and puts it beside the URL: a worker needs no network.

The class gets `base64` bytes for images, audio and video, and `raw` for text. The URL stays where it was.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any, Protocol

from modelyard.errors import InvalidInput
from modelyard.wire.messages import Data, PostModelOutputsRequest

MEDIA = ("image", "audio", "video")
MAX_DEPTH = 16
MAX_REQUEST_BYTES = 512 * 1024 * 1024
"""What all URLs of one request may lead to, together."""


class Fetcher(Protocol):
    """`services/fetch.py`, the only one that may."""

    async def fetch(self, url: str, *, where: str, tenant: str) -> bytes:
        """The content behind a URL; raises InvalidInput that begins with `where`."""
        ...


async def fetch_inputs(request: PostModelOutputsRequest, fetcher: Fetcher, *, tenant: str) -> bool:
    """Fetch all URLs of a request at once and put their content in it; was there any? Raises InvalidInput."""
    wanted = [
        (where, holder)
        for number, one in enumerate(request.inputs)
        for where, holder in _find_urls(one.data, f"inputs[{number}].data")
    ]
    if not wanted:
        return False
    filler = _Filler(fetcher, tenant)
    tasks = [asyncio.create_task(filler.fill(where, holder)) for where, holder in wanted]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return True


class _Filler:
    """Fetches for one request, as long as that stays within its size."""

    def __init__(self, fetcher: Fetcher, tenant: str) -> None:
        self._fetcher = fetcher
        self._tenant = tenant
        self._left_bytes = MAX_REQUEST_BYTES

    async def fill(self, where: str, holder: Any) -> None:
        """Put what the holder's URL leads to beside it."""
        content = await self._fetcher.fetch(holder.url, where=where, tenant=self._tenant)
        self._left_bytes -= len(content)
        if self._left_bytes < 0:
            raise InvalidInput(
                f"{where}: the URLs of this request lead to more than {MAX_REQUEST_BYTES} bytes",
                hint="send fewer inputs at once",
            )
        _fill(where, holder, content)


def may_have_urls(request: PostModelOutputsRequest) -> bool:
    """Is a search worth its cost? Not where no medium and no text has a URL, also in parts: most requests."""
    inputs = request.inputs
    for index in range(len(inputs)):  # noqa: SIM110 - a generator, and protobuf's iterator, cost as much as the rest
        if _may_have_urls(inputs[index].data):
            return True
    return False


def _may_have_urls(data: Data, depth: int = 0) -> bool:
    if (data.HasField("text") and data.text.url) or (data.HasField("image") and data.image.url):
        return True
    if (data.HasField("audio") and data.audio.url) or (data.HasField("video") and data.video.url):
        return True
    if data.frames or depth > MAX_DEPTH:
        return True
    parts = data.parts
    for index in range(len(parts)):  # noqa: SIM110 - as above
        if _may_have_urls(parts[index].data, depth + 1):
            return True
    return False


def _find_urls(data: Data, where: str, depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Every media or text below `data` that has a URL and no content yet, with its place in the request."""
    if depth > MAX_DEPTH:
        raise InvalidInput(f"{where}: nested deeper than {MAX_DEPTH} levels")
    for kind in MEDIA:
        if data.HasField(kind):
            media = getattr(data, kind)
            if media.url and not media.base64:
                yield f"{where}.{kind}.url", media
    if data.HasField("text") and data.text.url and not data.text.raw:
        yield f"{where}.text.url", data.text
    for name in ("parts", "frames"):
        for number, one in enumerate(getattr(data, name)):
            if one.HasField("data"):
                yield from _find_urls(one.data, f"{where}.{name}[{number}].data", depth + 1)


def _fill(where: str, holder: Any, content: bytes) -> None:
    if hasattr(holder, "base64"):
        holder.base64 = content
        return
    try:
        holder.raw = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidInput(
            f"{where}: what it points to is not UTF-8 text ({error.reason} at byte {error.start})"
        ) from None
