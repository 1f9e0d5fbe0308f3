"""What went wrong at a model hub, in words: what, where, which repository and revision, and what to do next."""

from __future__ import annotations

import errno
import re
from dataclasses import dataclass

from huggingface_hub.errors import (
    DisabledRepoError,
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from modelyard.parts.hub.messages import Failed

TOKEN_PLACES = "hf_token under checkpoints in config.yaml, or HF_TOKEN"  # noqa: S105 - where it may stand
DISK_ERRORS = {
    errno.ENOSPC: "is full",
    errno.EDQUOT: "has no more quota for this user",
    errno.EFBIG: "takes no file so large",
}
DISK_HINT = (
    "free some space, or choose fewer files with allowed_file_patterns; MODELYARD_CACHE_DIR moves the cache of this "
    "machine's commands to another disk. What was downloaded is kept"
)
_URL_SECRETS = re.compile(r"(?<=//)[^/@\s]+@|\?[^\s'\"<>]+")
_MAX_REASON = 300


class HubProblem(Exception):
    """Ends a download; `failed` is told to the author."""

    def __init__(self, failed: Failed) -> None:
        super().__init__(failed.message)
        self.failed = failed


@dataclass(frozen=True, kw_only=True)
class Place:
    """What was asked for, and where."""

    repo_id: str
    revision: str
    endpoint: str
    has_token: bool
    file: str = ""

    @property
    def page(self) -> str:
        return f"{self.endpoint}/{self.repo_id}"

    def __str__(self) -> str:
        whole = f"{self.repo_id} (revision {self.revision})"
        return f"{self.file} of {whole}" if self.file else whole


def explain(error: BaseException, place: Place) -> Failed:
    """The one table: from what huggingface_hub, the network and the disk raise to a message."""
    if isinstance(error, HubProblem):
        return error.failed
    if isinstance(error, HfHubHTTPError):
        return _explain_answer(error, place)
    if is_network_error(error) or (isinstance(error, (ImportError, ValueError)) and "proxy" in str(error).lower()):
        return _explain_network(error, place)
    if isinstance(error, OSError) and error.errno in DISK_ERRORS:
        what = DISK_ERRORS[error.errno]
        return Failed(message=f"checkpoints: the disk {what} while {place} is downloaded", hint=DISK_HINT)
    if isinstance(error, HFValidationError):
        return Failed(message=f"checkpoints: {_first_line(error)}", hint="write repo_id as owner/name")
    if isinstance(error, OSError) and error.errno is not None:
        return Failed(message=f"checkpoints: {place} cannot be kept: {error.strerror}")
    return Failed(
        message=f"checkpoints: what answers at {place.endpoint} does not look like a model hub "
        f"(asked for {place}): {type(error).__name__}: {_first_line(error)}",
        hint="HF_ENDPOINT is the hub's address; unset it for the public one",
        is_unreachable=True,
    )


def is_network_error(error: BaseException) -> bool:
    """Did no answer come? huggingface_hub 1.x speaks through httpx and 2.x through httpx2, hence by name."""
    return "TransportError" in {kind.__name__ for kind in type(error).__mro__}


def status_of(error: BaseException) -> int:
    """The HTTP status that the hub answered with; 0 for none."""
    return error.response.status_code if isinstance(error, HfHubHTTPError) else 0


def retry_after_s(error: BaseException) -> float:
    """How long the hub wants to be left alone; 0 where it does not say."""
    text = error.response.headers.get("Retry-After", "") if isinstance(error, HfHubHTTPError) else ""
    return float(text) if text.isascii() and text.isdigit() else 0.0


def clean_reason(text: str) -> str:
    """One line of somebody else's words, without the secret parts of addresses."""
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")
    return _URL_SECRETS.sub("", line)[:_MAX_REASON]


def _explain_answer(error: HfHubHTTPError, place: Place) -> Failed:
    status = status_of(error)
    code = error.response.headers.get("X-Error-Code", "")
    if isinstance(error, GatedRepoError):
        return _explain_gate(place)
    if place.has_token and status == 401 and code != "RepoNotFound":
        return Failed(
            message=f"checkpoints: {place.endpoint} refuses the given token (asked for {place}): it is not valid, has "
            f"expired or was revoked{_quote(error)}",
            hint=f"make a new one at {place.endpoint}/settings/tokens and write it to {TOKEN_PLACES}; "
            "a public repository needs no token",
        )
    if isinstance(error, RepositoryNotFoundError):
        return _explain_missing(place)
    if isinstance(error, RevisionNotFoundError):
        return Failed(
            message=f"checkpoints: the repository {place.repo_id} has no revision {place.revision!r}",
            hint=f"use a branch, a tag or a full commit hash from {place.page}/commits; without `revision` it is main",
        )
    if isinstance(error, DisabledRepoError):
        return Failed(
            message=f"checkpoints: the hub has disabled the repository {place.repo_id}", hint=f"see {place.page}"
        )
    if isinstance(error, EntryNotFoundError):
        return Failed(message=f"checkpoints: the hub lists {place}, but does not have it", hint=f"see {place.page}")
    return _explain_status(error, status, place)


def _explain_gate(place: Place) -> Failed:
    if not place.has_token:
        return Failed(
            message=f"checkpoints: the repository {place} is gated, and no token was given: its files are for accounts "
            "that accepted its conditions",
            hint=f"accept the conditions at {place.page}, then give a token of that account: {TOKEN_PLACES}",
        )
    return Failed(
        message=f"checkpoints: the repository {place} is gated, and the account of the given token may not have "
        "its files",
        hint=f"with that account accept the conditions at {place.page} (some owners answer by hand, later); a "
        "fine-grained token also needs the right to read gated repositories",
    )


def _explain_missing(place: Place) -> Failed:
    why = "the account of the given token may not see it" if place.has_token else "no token was given"
    return Failed(
        message=f"checkpoints: there is no repository {place.repo_id} at {place.endpoint}, or it is private and {why}",
        hint=f"check repo_id in config.yaml; a private repository needs a token that may read it: {TOKEN_PLACES}",
    )


def _explain_status(error: HfHubHTTPError, status: int, place: Place) -> Failed:
    if status == 429:
        return Failed(
            message=f"checkpoints: {place.endpoint} says that it was asked too often (429), for {place}",
            hint="try again in some minutes, what was downloaded is kept; with a token more requests are allowed",
            is_unreachable=True,
        )
    if status >= 500:
        return Failed(
            message=f"checkpoints: {place.endpoint} has trouble (it answered {status} again and again) with {place}",
            hint="try again later: what was downloaded is kept",
            is_unreachable=True,
        )
    if status == 403:
        return Failed(
            message=f"checkpoints: the hub forbids to read {place}{_quote(error)}",
            hint=f"the token must be allowed to read the contents of {place.repo_id}; it comes from {TOKEN_PLACES}",
        )
    return Failed(
        message=f"checkpoints: {place.endpoint} answered {status} for {place}{_quote(error)}",
        hint="HF_ENDPOINT is the hub's address; unset it for the public one",
    )


def _explain_network(error: BaseException, place: Place) -> Failed:
    reason = _first_line(error) or type(error).__name__
    hint = "check the network and the proxy settings (HTTPS_PROXY, NO_PROXY)"
    if "CERTIFICATE" in reason.upper():
        hint = "its certificate is not trusted here: SSL_CERT_FILE names a file with the certificates to trust"
    elif "UnsupportedProtocol" in {kind.__name__ for kind in type(error).__mro__}:
        hint = "HF_ENDPOINT must be an address such as https://hub.example.com"
    return Failed(
        message=f"checkpoints: {place.endpoint} cannot be reached (asked for {place}): {reason}",
        hint=f"{hint}; HF_ENDPOINT chooses another hub. What was downloaded is kept",
        is_unreachable=True,
    )


def _quote(error: HfHubHTTPError) -> str:
    """What the hub itself says, if it does."""
    said = clean_reason(error.response.headers.get("X-Error-Message", ""))
    return f"; it says: {said}" if said else ""


def _first_line(error: BaseException) -> str:
    return clean_reason(str(error))
