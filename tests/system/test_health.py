"""Probes of a real server whose worker dies."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from pathlib import Path

import grpc

from support.folders import write_folder
from support.probe import wait_until
from support.server import V2, RunningServer, running_server
from support.uploads import deploy

SERVING, NOT_SERVING = b"\x08\x01", b"\x08\x02"
SLOW_AGAIN = """\
import os
import time
from pathlib import Path

from clarifai.runners.models.model_runner import ModelRunner
from clarifai_grpc.grpc.api import resources_pb2, service_pb2


class SlowAgain(ModelRunner):
    '''Loads at once the first time; later it waits for the test.'''

    def load_model(self):
        if Path("loaded").exists():
            while not Path("gate").exists():
                time.sleep(0.02)
        Path("loaded").touch()

    def predict(self, request):
        if request.inputs[0].data.text.raw == "die":
            os._exit(3)
        return service_pb2.MultiOutputResponse(outputs=[resources_pb2.Output()])
"""


def probe(server: RunningServer, path: str) -> tuple[int, dict[str, object]]:
    request = urllib.request.Request(server.url + path, headers={"authorization": f"Key {server.token}"})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_readiness_is_false_while_no_replica_can_answer(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "f", model=SLOW_AGAIN, model_id="again")
    with running_server(tmp_path / "data") as server, V2(server, retries=False) as v2:
        assert probe(server, "/readyz") == (200, {"is_ready": True, "models": 0, "models_ready": 0})
        version_id = deploy(v2, folder, "again")
        own = f"/readyz/users/{server.user_id}/apps/main/models/again"
        assert probe(server, "/readyz") == (200, {"is_ready": True, "models": 1, "models_ready": 1})
        assert probe(server, own)[0] == 200

        with grpc.insecure_channel(server.address) as channel:
            watch = channel.unary_stream("/grpc.health.v1.Health/Watch")(b"", timeout=60)
            check = channel.unary_unary("/grpc.health.v1.Health/Check")
            assert (next(watch), check(b"", timeout=60)) == (SERVING, SERVING)

            v2.predict("again", "die", timeout=60)
            wait_until(lambda: probe(server, "/readyz")[0] == 503)
            assert probe(server, own) == (503, {"is_ready": False})
            assert (next(watch), check(b"", timeout=60)) == (NOT_SERVING, NOT_SERVING)
            assert probe(server, "/healthz")[0] == 200

            (server.data_dir / "versions" / version_id / "gate").touch()
            wait_until(lambda: probe(server, "/readyz")[0] == 200)
            assert next(watch) == SERVING
            watch.cancel()
