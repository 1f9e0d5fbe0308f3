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
    contents = await asyncio.gather(
        *(fetcher.fetch(holder.url, where=where, tenant=tenant) for where, holder in wanted)
    )
    for (where, holder), content in zip(wanted, contents, strict=True):
        _fill(where, holder, content)
    return True


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
