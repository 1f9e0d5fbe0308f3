"""The client's side of a delta upload: what it does when things break."""

from __future__ import annotations

import hashlib
import http.client
import json
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from modelyard.client import delta
from modelyard.client.delta import Delivery, deliver
from modelyard.client.names import ModelName
from modelyard.errors import Conflict, InvalidFolder, InvalidRequest, Unavailable
from modelyard.parts.files import FileEntry
from modelyard.wire.messages import ModelVersion

CONTENT = bytes(range(250)) * 40


class Server:
    """Takes one file, and does what the script says at each piece."""

    def __init__(self, *script: Any) -> None:
        self.script = list(script)
        self.received = b""
        self.orders: list[dict[str, Any]] = []

    def send(self, verb: str, path: str, body: bytes | Iterable[bytes] = b"", **_: Any) -> dict[str, Any]:
        if verb == "POST":
            assert isinstance(body, bytes)
            self.orders.append(json.loads(body))
            if len(self.received) == len(CONTENT):
                return {"model_version_id": "v1", "missing": []}
            row = {"digest": digest(), "size": len(CONTENT), "received": len(self.received)}
            return {"model_version_id": "", "missing": [row]}
        assert f"offset={len(self.received)}" in path
        step = self.script.pop(0) if self.script else None
        content = b"".join(body)
        if isinstance(step, Exception):
            raise step
        if callable(step):
            step(self, content)
        else:
            self.received += content
        return {"received": len(self.received)}


def digest() -> str:
    return hashlib.sha256(CONTENT).hexdigest()


def half_then_break(server: Server, content: bytes) -> None:
    server.received += content[: len(content) // 2]
    raise http.client.RemoteDisconnected


@pytest.fixture
def delivery(tmp_path: Path) -> Delivery:
    (tmp_path / "w.bin").write_bytes(CONTENT)
    entry = FileEntry(path="w.bin", digest=digest(), size_bytes=len(CONTENT))
    name = ModelName(model_id="m", app_id="main", user_id="me")
    return Delivery(name=name, folder=tmp_path, files=[entry], spec=ModelVersion())


def run(server: Server, delivery: Delivery) -> tuple[str, list[tuple[int, int]]]:
    told: list[tuple[int, int]] = []
    version = deliver(server, delivery, lambda done, total: told.append((done, total)))  # type: ignore[arg-type]
    return version, told


def test_it_goes_on_where_each_break_left_the_file_in_one_upload(delivery: Delivery) -> None:
    server = Server(half_then_break, half_then_break, ConnectionRefusedError(), Conflict("sent by another"))
    version, told = run(server, delivery)
    assert (version, server.received) == ("v1", CONTENT)
    assert len({order["upload_id"] for order in server.orders}) == 1
    assert told[-1] == (len(CONTENT), len(CONTENT))
    assert all(done <= total for done, total in told)


def test_a_break_after_a_long_time_of_sending_is_gone_on_after(
    delivery: Delivery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delta, "PATIENCE_S", 0.2)

    def slowly(server: Server, content: bytes) -> None:
        time.sleep(0.3)
        half_then_break(server, content)

    assert run(Server(slowly, ConnectionResetError()), delivery)[0] == "v1"


def test_breaks_that_bring_nothing_end_with_what_to_do(delivery: Delivery, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delta, "PATIENCE_S", 0.2)
    server = Server(*(ConnectionResetError("reset") for _ in range(100)))
    with pytest.raises(Unavailable, match="did not get better") as raised:
        run(server, delivery)
    assert "kept for a day" in raised.value.hint


def test_what_the_server_refuses_is_told_at_once(delivery: Delivery) -> None:
    server = Server(InvalidRequest("the bytes that came are not those"))
    with pytest.raises(InvalidRequest, match="not those"):
        run(server, delivery)
    assert len(server.orders) == 1


def test_a_file_that_shrinks_while_it_is_sent_is_named_at_once(delivery: Delivery) -> None:
    (delivery.folder / "w.bin").write_bytes(CONTENT[:100])
    with pytest.raises(InvalidFolder, match=r"w\.bin became shorter"):
        run(Server(), delivery)
