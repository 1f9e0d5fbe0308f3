"""The delta protocol on paper: the paths, and the order that says what a version is made of.

An order is answered with the version's id, or with what is missing; docs/reference/delta.md tells the whole of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from modelyard.errors import InvalidRequest
from modelyard.parts.files import FileEntry, is_digest, read_entry, write_entry

PREFIX = "modelyard/v1"
MAX_ORDER_BYTES = 16 * 1024 * 1024
MAX_UPLOAD_ID = 64


@dataclass(frozen=True, kw_only=True)
class Missing:
    """A file that the server needs."""

    digest: str
    size_bytes: int
    received_bytes: int
    """How much of it has come; the next piece begins there. All of it: an empty piece lets the server verify it."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What an order is answered with."""

    version_id: str = ""
    """Set: the version is accepted, and its build queued."""
    missing: tuple[Missing, ...] = ()


ABOUT_PATH = f"/{PREFIX}"
"""Says that the protocol is spoken; needs no token."""


def order_path(user_id: str, app_id: str, model_id: str) -> str:
    """Where an order is posted."""
    return f"/{PREFIX}/users/{_quote(user_id)}/apps/{_quote(app_id)}/models/{_quote(model_id)}/versions"


def file_path(user_id: str, app_id: str, digest: str, *, size_bytes: int, offset: int) -> str:
    """Where a piece of a file is put."""
    return f"/{PREFIX}/users/{_quote(user_id)}/apps/{_quote(app_id)}/files/{digest}?size={size_bytes}&offset={offset}"


def bundle_path(user_id: str, app_id: str) -> str:
    """Where small files are posted, many in one body."""
    return f"/{PREFIX}/users/{_quote(user_id)}/apps/{_quote(app_id)}/files"


def write_order(files: Sequence[FileEntry], model_version: Mapping[str, Any], upload_id: str) -> dict[str, Any]:
    """An order as JSON says it."""
    return {
        "upload_id": upload_id,
        "model_version": dict(model_version),
        "files": [write_entry(entry) for entry in files],
    }


def read_files(order: Mapping[str, Any]) -> tuple[FileEntry, ...]:
    """The files of an order. Raises InvalidRequest."""
    rows = order.get("files")
    if not isinstance(rows, list) or not rows:
        raise InvalidRequest("files: the order lists no files; it needs a path, size, digest and executable of each")
    found: list[FileEntry] = []
    try:
        found.extend(read_entry(row) for row in rows)
    except (KeyError, TypeError) as error:
        raise InvalidRequest(
            f"files[{len(found)}]: {error}; each has path (text), digest (64 hexadecimal digits), size (bytes) and "
            "executable (true or false)"
        ) from None
    return tuple(found)


def read_upload_id(order: Mapping[str, Any]) -> str:
    """Names one upload, so that asking again makes no second version. Raises InvalidRequest."""
    upload_id = order.get("upload_id", "")
    if not isinstance(upload_id, str) or len(upload_id) > MAX_UPLOAD_ID:
        raise InvalidRequest(f"upload_id is not a text of at most {MAX_UPLOAD_ID} characters")
    return upload_id


def write_answer(answer: Answer) -> dict[str, Any]:
    """An answer as JSON says it."""
    missing = [{"digest": one.digest, "size": one.size_bytes, "received": one.received_bytes} for one in answer.missing]
    return {"model_version_id": answer.version_id, "missing": missing}


def read_answer(content: Mapping[str, Any]) -> Answer:
    """What `write_answer` wrote. Raises InvalidRequest for anything else."""
    try:
        version_id, rows = content["model_version_id"], content["missing"]
        missing = tuple(
            Missing(digest=row["digest"], size_bytes=int(row["size"]), received_bytes=int(row["received"]))
            for row in rows
        )
        if not isinstance(version_id, str) or not all(is_digest(one.digest) for one in missing):
            raise TypeError("a value of the wrong type")
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidRequest(f"the server's answer is none of the delta protocol: {error}") from None
    return Answer(version_id=version_id, missing=missing)


def _quote(name: str) -> str:
    return quote(name, safe="")
