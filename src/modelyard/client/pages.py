"""Listings come in pages; people want all of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from modelyard.client.transport import Transport

PAGE_SIZE = 200


def read_pages(transport: Transport, method: str, request: Any, field: str) -> Iterator[Any]:
    """Every item of a listing, page by page, as it is needed."""
    request.per_page = PAGE_SIZE
    request.page = 1
    while True:
        items = getattr(transport.call(method, request), field)
        yield from items
        if len(items) < PAGE_SIZE:
            return
        request.page += 1
