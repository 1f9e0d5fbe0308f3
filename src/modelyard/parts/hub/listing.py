"""A revision, as the hub sees it now: its commit, its files, and who may have them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import TypeVar

from huggingface_hub import HfApi, constants, get_hf_file_metadata, hf_hub_url
from huggingface_hub.errors import RevisionNotFoundError
from huggingface_hub.hf_api import BlobLfsInfo, ModelInfo, RepoFile

from modelyard.parts.files import is_digest
from modelyard.parts.hub.choice import HubFile, is_blob_id
from modelyard.parts.hub.failures import HubProblem, Place, explain, is_network_error, retry_after_s, status_of
from modelyard.parts.hub.messages import Failed

CLIENT_NAME = "modelyard"
T = TypeVar("T")
TRIES = 4
NETWORK_TRIES = 2
MAX_WAIT_S = 60.0
SHOWN_REVISIONS = 10
_PUBLIC_ANYWAY = ("README.md", ".gitattributes")
"""Files of a gated repository that everybody may read."""


@dataclass(frozen=True, kw_only=True)
class Listing:
    """One commit."""

    repo_id: str
    """The name it has now: a repository may have been renamed."""
    commit: str
    files: tuple[HubFile, ...]
    is_public: bool
    is_gated: bool


@cache
def read_version() -> str:
    """Ours, for the hub's log."""
    try:
        return version(CLIENT_NAME)
    except PackageNotFoundError:
        return "0"


def retry(call: Callable[[], T], wait_s: float, tries: int = TRIES) -> T:
    """Ask again when the hub is busy, has trouble or cannot be reached; what it says clearly, is said once."""
    for count in range(1, tries + 1):
        try:
            return call()
        except Exception as error:  # noqa: PERF203 - few, and each waits
            limit = NETWORK_TRIES if is_network_error(error) else tries if _may_pass(status_of(error)) else 0
            wait = max(wait_s * 2 ** (count - 1), retry_after_s(error))
            if count >= limit or wait > MAX_WAIT_S:
                raise
            time.sleep(wait)
    raise AssertionError("unreachable")


def list_revision(api: HfApi, place: Place, wait_s: float) -> Listing:
    """Ask the hub which commit a revision is, and what that has. Raises HubProblem."""
    timeout = constants.HF_HUB_ETAG_TIMEOUT

    def ask() -> ModelInfo:
        return api.model_info(place.repo_id, revision=place.revision, files_metadata=True, timeout=timeout)

    try:
        info = retry(ask, wait_s)
        return _read_info(info, tuple(_list_files(api, info, wait_s)))
    except RevisionNotFoundError as error:
        raise HubProblem(_name_revisions(api, place, explain(error, place))) from error
    except Exception as error:
        raise HubProblem(explain(error, place)) from error


def check_gate(listing: Listing, files: tuple[HubFile, ...], place: Place, token: str | bool, wait_s: float) -> None:
    """Raise HubProblem where a gated repository's files may not be had: their names and hashes can be seen by all."""
    closed = [file for file in files if file.path not in _PUBLIC_ANYWAY]
    if not listing.is_gated or not closed:
        return
    largest = max(closed, key=lambda file: file.size_bytes)
    url = hf_hub_url(listing.repo_id, largest.path, revision=listing.commit, endpoint=place.endpoint)
    try:
        retry(lambda: get_hf_file_metadata(url, token=token, timeout=constants.HF_HUB_ETAG_TIMEOUT), wait_s)
    except Exception as error:
        raise HubProblem(explain(error, place)) from error


def _may_pass(status: int) -> bool:
    return status in (408, 429) or status >= 500


def _read_info(info: ModelInfo, files: tuple[HubFile, ...]) -> Listing:
    if not isinstance(info.sha, str) or len(info.sha) != 40:
        raise ValueError("it names no commit")
    return Listing(
        repo_id=info.id,
        commit=info.sha,
        files=files,
        is_public=not info.private and not info.gated,
        is_gated=bool(info.gated),
    )


def _list_files(api: HfApi, info: ModelInfo, wait_s: float) -> Iterator[HubFile]:
    """From the same answer as the commit, or, at a hub that leaves sizes out there, from the tree."""
    siblings = info.siblings or []
    if all(one.size is not None and one.blob_id for one in siblings):
        for one in siblings:
            yield _read_file(one.rfilename, one.size, one.blob_id, one.lfs)
        return
    tree = retry(lambda: list(api.list_repo_tree(info.id, recursive=True, revision=info.sha)), wait_s)
    for entry in tree:
        if isinstance(entry, RepoFile):
            yield _read_file(entry.path, entry.size, entry.blob_id, entry.lfs)


def _read_file(path: str, size: object, blob_id: object, lfs: BlobLfsInfo | None) -> HubFile:
    """Nothing but hashes and sizes comes further: they become file names and room on the disk."""
    sha256 = lfs.sha256 if lfs else ""
    if not isinstance(size, int) or size < 0 or not is_blob_id(blob_id) or (sha256 and not is_digest(sha256)):
        raise ValueError(f"the size or hash of {path!a} is none")
    return HubFile(path=path, size_bytes=size, blob_id=blob_id, sha256=sha256)


def _name_revisions(api: HfApi, place: Place, failed: Failed) -> Failed:
    """Say which branches and tags there are, if the hub tells."""
    try:
        refs = api.list_repo_refs(place.repo_id)
    except Exception:  # noqa: BLE001 - the message is right without them
        return failed
    names = [one.name for one in (*refs.branches, *refs.tags)]
    more = f" and {len(names) - SHOWN_REVISIONS} more" if len(names) > SHOWN_REVISIONS else ""
    return replace(failed, message=f"{failed.message}; it has {', '.join(names[:SHOWN_REVISIONS])}{more}")
