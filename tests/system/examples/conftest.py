"""The four examples with transformers on a real server, with checkpoints from the local hub."""

from __future__ import annotations

import functools
import http.server
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from support.examples import Asked, build_lab, copy_example, publish, upload
from support.hub import Hub, serve_hub
from support.server import V2, RunningServer, running_server


@dataclass(frozen=True, kw_only=True)
class Lab:
    """What transformers made, in the examples' own environment."""

    root: Path
    expected: dict[str, Any]

    def read(self, name: str) -> bytes:
        """One of the media."""
        return (self.root / "media" / name).read_bytes()


@pytest.fixture(scope="session")
def lab() -> Lab:
    root = build_lab()
    return Lab(root=root, expected=json.loads((root / "expected.json").read_text()))


@pytest.fixture(scope="session")
def hub(lab: Lab) -> Iterator[Hub]:
    with serve_hub({}) as one:
        publish(one, lab.root / "checkpoints")
        yield one


@pytest.fixture(scope="session")
def media_url(lab: Lab) -> Iterator[str]:
    """A web server with the media."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            """Silent."""

    make = functools.partial(Handler, directory=str(lab.root / "media"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), make) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="session")
def example_server(hub: Hub, media_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    address = media_url.removeprefix("http://")
    data_dir = tmp_path_factory.mktemp("server")
    with running_server(data_dir, "--fetch-allow", address, env={"HF_ENDPOINT": hub.url}) as one:
        yield one


@pytest.fixture(scope="session")
def deploy_example(
    example_server: RunningServer, hub: Hub, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], Asked]]:
    """Uploads an example with `modelyard upload`, once."""
    place = tmp_path_factory.mktemp("uploads")
    with V2(example_server) as v2:

        @functools.cache
        def deploy(name: str) -> Asked:
            return Asked(v2, upload(copy_example(name, place), {**example_server.environment, "HF_ENDPOINT": hub.url}))

        yield deploy
