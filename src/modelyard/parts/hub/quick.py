"""One small question to a hub, asked with the standard library: huggingface_hub takes half a second to import."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from http.client import HTTPException
from urllib.parse import quote

MAX_ANSWER_BYTES = 4 * 1024 * 1024


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """urllib would send the token along to wherever it is led."""

    def redirect_request(self, *_args: object) -> None:
        return None


def leads_to(endpoint: str, repo_id: str, revision: str, commit: str, *, token: str, timeout_s: float) -> bool:
    """Does the hub say clearly that the revision is this commit? Anything else is False, for others to look into."""
    url = f"{endpoint}/api/models/{repo_id}/revision/{quote(revision, safe='')}"
    if not url.startswith(("https://", "http://")):
        return False
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    request = urllib.request.Request(url, headers={**headers, "Accept": "application/json", "User-Agent": "modelyard"})  # noqa: S310 - http only
    try:
        with urllib.request.build_opener(_NoRedirects).open(request, timeout=timeout_s) as answer:
            told = json.loads(answer.read(MAX_ANSWER_BYTES))
    except (OSError, HTTPException, ValueError):
        return False
    return isinstance(told, dict) and told.get("sha") == commit and told.get("id") == repo_id
