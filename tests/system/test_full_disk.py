"""A disk that is full: a clear error, no half file, and a server that still answers."""

from __future__ import annotations

import http.client
import json
import os
import random
import subprocess
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest
from clarifai_grpc.grpc.api.status import status_code_pb2 as codes

from support.folders import pack, write_folder
from support.probe import wait_until
from support.server import V2, RunningServer, running_server
from support.uploads import create_model, send_upload, upload, upload_messages, wait_built

DISK_BYTES = 40 * 1024 * 1024


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own, of 40 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(place)]
    if os.geteuid() or subprocess.run(mounting, capture_output=True, check=False).returncode:
        pytest.skip("a disk can be mounted by root alone")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def fill(disk: Path, *, but_bytes: int) -> Path:
    filler = disk / "filler"
    with filler.open("ab", buffering=0) as file:
        try:
            while True:
                file.write(bytes(65536))
        except OSError:  # full, whoever else was writing
            file.truncate(file.tell() - but_bytes)
    return filler


class Slow:
    """Bytes, and something that happens in the middle of them."""

    def __init__(self, content: bytes, happening) -> None:
        self._pieces = [content[:1_500_000], content[1_500_000:]]
        self._happening = happening

    def __iter__(self) -> Iterator[bytes]:
        yield self._pieces[0]
        self._happening()
        yield self._pieces[1]


def put(server: RunningServer, content: bytes, body) -> tuple[int, dict]:
    host, _, port = server.address.rpartition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=30)
    path = f"/modelyard/v1/users/me/apps/main/files/{sha256(content).hexdigest()}?size={len(content)}&offset=0"
    headers = {"Authorization": f"Key {server.token}", "Content-Length": str(len(content))}
    connection.request("PUT", path, body, headers)
    answer = connection.getresponse()
    told = answer.status, json.loads(answer.read())
    connection.close()
    return told


def left(data_dir: Path) -> list[Path]:
    roots = ("arrivals", "uploads", "depot/tmp")
    return [path for root in roots for path in (data_dir / root).rglob("*") if path.is_file()]


def test_a_disk_that_fills_up_stops_the_upload_and_nothing_else(disk: Path, tmp_path: Path) -> None:
    content = random.Random(1).randbytes(6_000_000)
    folder = write_folder(tmp_path / "folder")
    (folder / "1" / "noise.bin").write_bytes(content)
    archive = pack(folder)
    with running_server(disk / "data") as server, V2(server) as v2:
        create_model(v2)
        fillers = []
        status, told = put(server, content, Slow(content, lambda: fillers.append(fill(disk, but_bytes=200_000))))
        assert (status, "disk is full" in told["status"]["description"]) == (413, True), told
        assert "modelyard depot gc" in told["status"]["details"]
        assert left(disk / "data") == []
        fillers.pop().unlink()

        def messages():
            for number, message in enumerate(upload_messages(v2, archive)):
                if number == 10:  # the server has found that there is room, and begun to write
                    wait_until(lambda: left(disk / "data"))
                    fillers.append(fill(disk, but_bytes=200_000))
                yield message

        last = send_upload(v2, messages())[-1]
        assert last.status.code not in (codes.MODEL_BUILDING, codes.UPLOAD_IN_PROGRESS)
        assert "No space left on device" in last.status.description
        assert left(disk / "data") == []
        status, told = put(server, content, content)
        assert (status, "too little for" in told["status"]["description"]) == (413, True), told
        fillers.pop().unlink()

        # There is room for the upload, and none for its environment.
        (folder / "1" / "noise.bin").unlink()
        fillers.append(fill(disk, but_bytes=8_000_000))
        version = wait_built(v2, upload(v2, folder))
        assert version.status.code == codes.MODEL_BUILDING_FAILED
        assert "o space left on device" in version.status.description + version.status.details
        assert create_model(v2, "another").status.code == codes.SUCCESS
        assert server.process.poll() is None
