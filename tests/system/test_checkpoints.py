"""Checkpoints end to end: a hub, a server, the command line, and a model that looks for the token everywhere."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from clarifai_grpc.grpc.api.status import status_code_pb2

from support.folders import write_folder
from support.hub import Hub, serve_hub
from support.server import V2, RunningServer, running_server
from support.uploads import deploy, get_version, read_log, upload, wait_built

TOKEN = "hf_sYsTeMtOkEn"
FILES = {
    "config.json": json.dumps({"id2label": {"0": "cat", "1": "dog"}}).encode(),
    "model.safetensors": b"weights of the checkpoint",
}
CONFIG = """\
model: {{id: net, user_id: local, app_id: main, model_type_id: image-classifier}}
inference_compute_info: {{cpu_limit: "1", cpu_memory: 1Gi}}
checkpoints:
  type: huggingface
  repo_id: {repo}
  when: {when}
{more}
"""
MODEL = """\
import os
from pathlib import Path
from clarifai.runners.models.model_runner import ModelRunner
from clarifai_grpc.grpc.api import resources_pb2, service_pb2
from clarifai_grpc.grpc.api.status import status_code_pb2


class Net(ModelRunner):
    '''Answers its labels, what the weights say, and all that it can see of its surroundings.'''

    def load_model(self):
        folder = Path(__file__).parent
        self.weights = (folder / "checkpoints" / "model.safetensors").read_text()
        self.seen = (folder.parent / "config.yaml").read_text() + repr(dict(os.environ))

    def predict(self, request):
        output = resources_pb2.Output()
        output.status.code = status_code_pb2.SUCCESS
        for concept in request.model.model_version.output_info.data.concepts:
            output.data.concepts.add(id=concept.id, name=concept.name, value=0.5)
        output.data.text.raw = self.weights + "|" + self.seen
        return service_pb2.MultiOutputResponse(outputs=[output])
"""


@pytest.fixture(scope="module")
def hub() -> Iterator[Hub]:
    with serve_hub({"owner/open": FILES, "owner/gated": FILES}, gated={"owner/gated": (TOKEN,)}) as served:
        yield served


@pytest.fixture(scope="module")
def server(hub: Hub, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running_server(tmp_path_factory.mktemp("server"), env={"HF_ENDPOINT": hub.url, "HF_TOKEN": ""}) as one:
        yield one


def write(folder: Path, repo: str, when: str = "build", more: str = "") -> Path:
    return write_folder(folder, model=MODEL, config=CONFIG.format(repo=repo, when=when, more=more))


def run(
    server: RunningServer, hub: Hub, tmp_path: Path, *arguments: str, **env: str
) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **server.environment, "HF_ENDPOINT": hub.url, "HF_TOKEN": "", **env}
    environment["MODELYARD_CACHE_DIR"] = str(tmp_path / "cache")
    command = [sys.executable, "-m", "modelyard.cli.main", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)


def ask(v2: V2, version_id: str) -> Any:
    return v2.predict("net", "x", version_id=version_id).outputs[0]


def expect_nowhere(folder: Path, token: str) -> None:
    """Not in any file of the server's: nor in its database, nor in its logs."""
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            assert token.encode() not in path.read_bytes(), path


def test_a_gated_checkpoint_with_the_token_in_the_config(server: RunningServer, hub: Hub, tmp_path: Path) -> None:
    folder = write(tmp_path / "net", "owner/gated", more=f'  hf_token: "{TOKEN}"')
    with V2(server) as v2:
        version_id = deploy(v2, folder, "net")
        output = ask(v2, version_id)
        assert [(one.id, one.name) for one in output.data.concepts] == [("0", "cat"), ("1", "dog")]
        weights, _, seen = output.data.text.raw.partition("|")
        assert weights == FILES["model.safetensors"].decode()
        assert 'hf_token: ""' in seen
        assert TOKEN not in seen
        version = get_version(v2, version_id, "net")
        assert dict(version.metadata["checkpoints"])["revision"] == hub.head("owner/gated")
        assert TOKEN not in str(version)
        assert not any(
            TOKEN in line for kind in ("builder", "runner") for line in read_log(v2, version_id, kind, "net")
        )
    expect_nowhere(server.data_dir, TOKEN)


def test_a_gated_checkpoint_with_the_token_in_the_shell(server: RunningServer, hub: Hub, tmp_path: Path) -> None:
    folder = write(tmp_path / "net", "owner/gated")
    done = run(server, hub, tmp_path, "upload", str(folder), "--json", HF_TOKEN=TOKEN)
    assert done.returncode == 0, done.stderr
    with V2(server) as v2:
        assert TOKEN not in ask(v2, json.loads(done.stdout)["version_id"]).data.text.raw
    assert TOKEN not in done.stdout + done.stderr
    expect_nowhere(server.data_dir, TOKEN)


def test_a_gated_checkpoint_without_a_token_says_what_to_do_and_exits_with_its_own_code(
    server: RunningServer, hub: Hub, tmp_path: Path
) -> None:
    folder = write(tmp_path / "net", "owner/gated", when="upload")
    done = run(server, hub, tmp_path, "upload", str(folder))
    assert done.returncode == 7
    assert "owner/gated" in done.stderr
    assert "HF_TOKEN" in done.stderr


def test_when_upload_the_server_needs_no_hub(server: RunningServer, hub: Hub, tmp_path: Path) -> None:
    folder = write(tmp_path / "net", "owner/open", when="upload")
    before = len(hub.downloads())
    done = run(server, hub, tmp_path, "upload", str(folder), "--json")
    assert done.returncode == 0, done.stderr
    version = json.loads(done.stdout)["version"]
    assert version["metadata"]["checkpoints"]["revision"] == hub.head("owner/open")
    assert len(hub.downloads()) - before == len(FILES)
    with V2(server) as v2:
        output = ask(v2, json.loads(done.stdout)["version_id"])
        assert [one.name for one in output.data.concepts] == ["cat", "dog"]


def test_a_server_that_dies_with_a_fetched_checkpoint_goes_on_with_it(hub: Hub, tmp_path: Path) -> None:
    folder = write(tmp_path / "net", "owner/open")
    environment = {"HF_ENDPOINT": hub.url, "HF_TOKEN": ""}
    dying = RunningServer(tmp_path / "data", env={**environment, "MODELYARD_FAILPOINT": "build.fetched=kill"})
    with V2(dying, retries=False) as v2:
        version_id = upload(v2, folder, "net")
    assert dying.wait_until_dead() == -9
    before = len(hub.downloads())
    with running_server(tmp_path / "data", env=environment) as server, V2(server) as v2:
        assert wait_built(v2, version_id, "net").status.code == status_code_pb2.MODEL_TRAINED
        assert ask(v2, version_id).data.text.raw.startswith(FILES["model.safetensors"].decode())
    assert len(hub.downloads()) == before
