"""The fetcher that is made when it is needed."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest

from modelyard.errors import InvalidInput, InvalidRequest
from modelyard.server.services.late_fetch import LateFetcher
from modelyard.server.settings import FetchSettings


async def test_the_first_urls_of_several_requests_make_one_fetcher() -> None:
    fetcher = LateFetcher(FetchSettings())
    asked = [fetcher.fetch("http://127.0.0.1/", where="inputs[0]", tenant="ada") for _ in range(3)]
    refusals = await asyncio.gather(*asked, return_exceptions=True)
    assert all(isinstance(one, InvalidInput) and "only public addresses" in one.message for one in refusals)
    await fetcher.aclose()


async def test_what_was_never_asked_is_closed() -> None:
    await LateFetcher(FetchSettings()).aclose()


def test_an_allow_list_that_means_nothing_is_told_at_the_start() -> None:
    with pytest.raises(InvalidRequest, match="nonsense"):
        LateFetcher(FetchSettings(allow=("nonsense:port:",)))


def test_a_server_starts_without_what_only_urls_need() -> None:
    slow = ("httpx", "httpcore")
    code = f"import sys, modelyard.server.compose; print([one for one in {slow} if one in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
