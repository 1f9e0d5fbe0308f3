"""The client's side of a delta upload: what it does when things break."""

from __future__ import annotations

import hashlib
import http.client
import json
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from modelyard.client import delta
from modelyard.client.delta import Delivery, deliver, find_features
from modelyard.client.names import ModelName
from modelyard.errors import Conflict, InvalidFolder, InvalidRequest, Unavailable
from modelyard.parts.bundle import BundleReader, Features, read_features, write_features
from modelyard.parts.files import FileEntry
from modelyard.wire.messages import ModelVersion

CONTENT = bytes(range(250)) * 40
NO_BUNDLES = read_features({"protocol": "modelyard", "version": 1})
"""What a server says of before there were any."""


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
    version = deliver(server, delivery, NO_BUNDLES, lambda done, total: told.append((done, total)))  # type: ignore[arg-type]
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


class Shelf:
    """Takes bundles and pieces; a bundle that comes after `cuts` are used up arrives."""

    def __init__(self, *, cuts: int = 0) -> None:
        self.cuts = cuts
        self.files: dict[str, bytes] = {}
        self.bundles: list[int] = []
        self.pieces = 0
        self.wanted: dict[str, int] = {}

    def send(self, verb: str, path: str, body: bytes | Iterable[bytes] = b"", **_: Any) -> dict[str, Any]:
        content = body if isinstance(body, bytes) else b"".join(body)
        if path.endswith("/versions"):
            self.wanted = {one["digest"]: one["size"] for one in json.loads(content)["files"]}
            rows = [{"digest": d, "size": n, "received": 0} for d, n in self.wanted.items() if d not in self.files]
            return {"model_version_id": "" if rows else "v1", "missing": rows}
        if verb == "PUT":
            self.pieces += 1
            self.files[path.partition("?")[0].rpartition("/")[2]] = content
            return {"received": len(content)}
        assert len(content) <= 1000
        reader = BundleReader()
        found = reader.feed(content)
        if self.cuts:
            self.cuts -= 1
            self.files.update(found[:1])
            raise http.client.RemoteDisconnected
        reader.finish()
        self.files.update(found)
        self.bundles.append(len(found))
        return {"files": len(found)}


def many(tmp_path: Path, count: int) -> Delivery:
    entries = []
    for number in range(count):
        content = f"file {number}\n".encode() * (number % 5)
        (tmp_path / f"{number}.py").write_bytes(content)
        entries.append(
            FileEntry(path=f"{number}.py", digest=hashlib.sha256(content).hexdigest(), size_bytes=len(content))
        )
    name = ModelName(model_id="m", app_id="main", user_id="me")
    return Delivery(name=name, folder=tmp_path, files=entries, spec=ModelVersion())


@pytest.mark.parametrize("cuts", [0, 3])
def test_small_files_go_many_to_a_request_and_what_was_cut_goes_again(tmp_path: Path, cuts: int) -> None:
    (tmp_path / "w.bin").write_bytes(CONTENT)
    delivery = many(tmp_path, 40)
    large = FileEntry(path="w.bin", digest=digest(), size_bytes=len(CONTENT))
    delivery = replace(delivery, files=[*delivery.files, large])
    shelf, told = Shelf(cuts=cuts), []
    features = Features(bundle_bytes=1000, bundled_bytes=200)
    version = deliver(shelf, delivery, features, lambda done, total: told.append((done, total)))  # type: ignore[arg-type]
    assert version == "v1"
    assert {d: len(content) for d, content in shelf.files.items()} == shelf.wanted
    assert all(hashlib.sha256(content).hexdigest() == d for d, content in shelf.files.items())
    assert shelf.pieces == 1, "the large one goes by itself"
    assert 1 < len(shelf.bundles) < 10
    assert told[-1][0] == told[-1][1]


def test_a_small_file_that_changes_while_it_is_sent_is_named(tmp_path: Path) -> None:
    delivery = many(tmp_path, 3)
    (tmp_path / "2.py").write_bytes(b"changed")
    with pytest.raises(InvalidFolder, match=r"2\.py changed while it was sent"):
        deliver(Shelf(), delivery, Features(), lambda *_: None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("about", "bundles"),
    [
        ({"protocol": "modelyard", "version": 1}, 0),
        ({"protocol": "modelyard", "version": 1, "bundles": {"bytes": "x"}}, 0),
        ({"protocol": "modelyard", "version": 1, "bundles": {"bytes": 5000, "file_bytes": 100}}, 5000),
        ({"protocol": "modelyard", "version": 1, **write_features(Features())}, Features().bundle_bytes),
    ],
)
def test_what_a_server_takes_is_read_from_its_page_which_is_asked_again_after_a_cut(
    about: dict[str, Any], bundles: int
) -> None:
    class Page:
        cuts = 2

        def send(self, *_: Any) -> dict[str, Any]:
            self.cuts -= 1
            if self.cuts >= 0:
                raise ConnectionResetError
            return about

    found = find_features(Page())  # type: ignore[arg-type]
    assert found is not None
    assert found.bundle_bytes == bundles
