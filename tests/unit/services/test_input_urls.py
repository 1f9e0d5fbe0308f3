"""Inputs by URL: which fields are filled, and what happens when one cannot be."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest

from modelyard.errors import InvalidInput
from modelyard.server.services import input_urls
from modelyard.server.services.input_urls import MAX_DEPTH, fetch_inputs, may_have_urls
from modelyard.wire.messages import Data, PostModelOutputsRequest


class Pages:
    """A fetcher out of a dict; a page that is missing cannot be fetched, and None never comes."""

    def __init__(self, pages: Mapping[str, bytes | None]) -> None:
        self._pages = pages
        self.asked: list[tuple[str, str, str]] = []
        self.ended = 0

    async def fetch(self, url: str, *, where: str, tenant: str) -> bytes:
        self.asked.append((url, where, tenant))
        try:
            content = self._pages.get(url, b"")
            if url not in self._pages:
                raise InvalidInput(f"{where}: not there")
            if content is None:
                await asyncio.Event().wait()
            assert content is not None
            return content
        finally:
            self.ended += 1


def request_of(*datas: Data) -> PostModelOutputsRequest:
    request = PostModelOutputsRequest()
    for data in datas:
        request.inputs.add().data.CopyFrom(data)
    return request


def media(kind: str, **fields: object) -> Data:
    return Data(**{kind: fields})


async def test_a_request_without_urls_is_left_alone() -> None:
    request = request_of(media("image", base64=b"x"), media("text", raw="hello"), Data())
    before = request.SerializeToString()
    pages = Pages({})
    assert not await fetch_inputs(request, pages, tenant="ada")
    assert request.SerializeToString() == before
    assert pages.asked == []


@pytest.mark.parametrize("kind", ["image", "audio", "video"])
async def test_media_get_their_bytes_beside_the_url(kind: str) -> None:
    request = request_of(Data(), media(kind, url="u"))
    pages = Pages({"u": b"\x00\xff"})
    assert await fetch_inputs(request, pages, tenant="ada")
    filled = getattr(request.inputs[1].data, kind)
    assert (filled.base64, filled.url) == (b"\x00\xff", "u")
    assert pages.asked == [("u", f"inputs[1].data.{kind}.url", "ada")]


async def test_text_is_decoded() -> None:
    request = request_of(media("text", url="u"))
    assert await fetch_inputs(request, Pages({"u": "grüße".encode()}), tenant="ada")
    assert request.inputs[0].data.text.raw == "grüße"


async def test_text_that_is_not_utf8_is_refused_with_its_place() -> None:
    request = request_of(media("text", url="u"))
    with pytest.raises(InvalidInput, match=r"^inputs\[0\]\.data\.text\.url: .*not UTF-8.*at byte 2"):
        await fetch_inputs(request, Pages({"u": b"ab\xff"}), tenant="ada")


async def test_content_that_is_there_already_is_not_fetched() -> None:
    request = request_of(media("image", url="u", base64=b"x"), media("text", url="u", raw="x"))
    assert not await fetch_inputs(request, Pages({}), tenant="ada")


async def test_parts_and_frames_are_looked_into() -> None:
    inner = Data()
    inner.frames.add().data.image.url = "b"
    data = Data()
    data.parts.add().data.text.url = "a"
    data.parts.add().data.CopyFrom(inner)
    request = request_of(data)
    pages = Pages({"a": b"text", "b": b"frame"})
    assert await fetch_inputs(request, pages, tenant="ada")
    assert request.inputs[0].data.parts[0].data.text.raw == "text"
    assert request.inputs[0].data.parts[1].data.frames[0].data.image.base64 == b"frame"
    assert {where for _, where, _ in pages.asked} == {
        "inputs[0].data.parts[0].data.text.url",
        "inputs[0].data.parts[1].data.frames[0].data.image.url",
    }


async def test_a_nest_without_an_end_is_refused() -> None:
    data = media("image", url="u")
    for _ in range(20):
        outer = Data()
        outer.parts.add().data.CopyFrom(data)
        data = outer
    with pytest.raises(InvalidInput, match="nested deeper than 16"):
        await fetch_inputs(request_of(data), Pages({"u": b""}), tenant="ada")


async def test_the_first_failure_ends_the_other_fetches() -> None:
    request = request_of(media("image", url="never"), media("image", url="missing"))
    pages = Pages({"never": None})
    with pytest.raises(InvalidInput, match=r"^inputs\[1\]\.data\.image\.url: not there"):
        await fetch_inputs(request, pages, tenant="ada")
    assert pages.ended == 2


async def test_a_caller_that_goes_away_ends_the_fetches() -> None:
    pages = Pages({"never": None})
    task = asyncio.create_task(fetch_inputs(request_of(media("image", url="never")), pages, tenant="ada"))
    for _ in range(3):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert pages.ended == 1


async def test_all_urls_together_have_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(input_urls, "MAX_REQUEST_BYTES", 10)
    pages = Pages({"u": b"123456"})
    with pytest.raises(InvalidInput, match="more than 10 bytes"):
        await fetch_inputs(request_of(media("image", url="u"), media("image", url="u")), pages, tenant="ada")
    assert await fetch_inputs(request_of(media("image", url="u")), pages, tenant="ada")


def in_parts(data: Data, depth: int) -> Data:
    for _ in range(depth):
        outer = Data(string_value="beside")
        outer.parts.add(id="n").data.CopyFrom(data)
        data = outer
    return data


@pytest.mark.parametrize("depth", [0, 1, 2, MAX_DEPTH])
@pytest.mark.parametrize("kind", ["text", "image", "audio", "video"])
def test_urls_are_searched_for_where_there_is_one_also_in_parts(kind: str, depth: int) -> None:
    assert may_have_urls(request_of(Data(), in_parts(media(kind, url="u"), depth)))
    content = {"raw": "x"} if kind == "text" else {"base64": b"x"}
    assert not may_have_urls(request_of(Data(), in_parts(media(kind, **content), depth)))


def test_what_is_nested_too_deep_is_left_to_the_search_which_refuses_it() -> None:
    assert may_have_urls(request_of(in_parts(Data(), MAX_DEPTH + 1)))
