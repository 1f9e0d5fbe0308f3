"""A small local Hugging Face hub: models over the hub's real paths, headers and error codes, on the loopback.

    with serve_hub({"owner/name": {"config.json": b"{}", "model.safetensors": b"..."}}) as hub:
        os.environ["HF_ENDPOINT"] = hub.url

Good enough for huggingface_hub (0.25 to 2.x), transformers and the published clients. It counts what it serves, and on
request it cuts connections, corrupts content, holds an answer or fails.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from support.hub_answers import HubServer
from support.hub_state import Content, Fault, Hub, Seen, describe

__all__ = ["Content", "Fault", "Hub", "Seen", "describe", "serve_hub"]


@contextmanager
def serve_hub(
    repos: Mapping[str, Mapping[str, Content]],
    *,
    private: Mapping[str, tuple[str, ...]] | None = None,
    gated: Mapping[str, tuple[str, ...]] | None = None,
    tokens: tuple[str, ...] = (),
    has_cdn: bool = False,
) -> Iterator[Hub]:
    """A hub for the time of the block.

    Args:
        repos: Files of each repository's first commit on `main`, as bytes or as a path.
        private: Which tokens see a repository.
        gated: Which tokens may have a repository's files.
        tokens: More tokens that are valid.
        has_cdn: Large files are redirected to a second server, as the real hub does.
    """
    known = {token for group in (private, gated) for some in (group or {}).values() for token in some}
    hub = Hub(frozenset(known | set(tokens)))
    for repo_id, files in repos.items():
        hub.commit(repo_id, files)
    for repo_id, readers in (private or {}).items():
        hub.repos[repo_id].readers = frozenset(readers)
    for repo_id, accepted in (gated or {}).items():
        hub.repos[repo_id].accepted = frozenset(accepted)
    with _serve(hub, is_cdn=False) as url:
        hub.url = url
        if not has_cdn:
            yield hub
            return
        with _serve(hub, is_cdn=True) as cdn_url:
            hub.cdn_url = cdn_url
            yield hub


@contextmanager
def _serve(hub: Hub, *, is_cdn: bool) -> Iterator[str]:
    server = HubServer(hub, is_cdn=is_cdn)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        for fault in hub.faults:
            fault.release.set()
        server.shutdown()
        server.cut_connections()
        server.server_close()
        thread.join()
