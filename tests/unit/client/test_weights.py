"""Which weights an upload sends, and which the server is left to fetch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from modelyard.client.names import ModelName
from modelyard.client.transport import Transport
from modelyard.client.upload import Observer, upload_folder
from modelyard.client.weights import fetch_checkpoint, prepare_weights
from modelyard.config.load import load_config
from modelyard.config.schema import FolderConfig
from modelyard.errors import CheckpointsFailed
from modelyard.wire.messages import StatusCode
from support.folders import write_folder
from support.hub import Hub, serve_hub
from unit.client.test_upload import Server

CONFIG = """\
model: {{id: m, model_type_id: text-to-text}}
inference_compute_info: {{cpu_limit: "1", cpu_memory: 1Gi}}
checkpoints: {{type: huggingface, repo_id: owner/net{more}}}
"""
PLACED = frozenset({"1/checkpoints/config.json", "1/checkpoints/model.safetensors"})


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    with serve_hub(
        {"owner/net": {"config.json": b"{}", "model.safetensors": b"w" * 100}}, tokens=("hf_mine",)
    ) as served:
        monkeypatch.setenv("HF_ENDPOINT", served.url)
        monkeypatch.setenv("MODELYARD_CACHE_DIR", str(tmp_path / "cache"))
        monkeypatch.delenv("HF_TOKEN", raising=False)
        yield served


def make(tmp_path: Path, more: str = "") -> tuple[Path, FolderConfig, list[str]]:
    config = CONFIG.format(more=more)
    return write_folder(tmp_path / "model", config=config), load_config(config).config, []


def put_own(folder: Path) -> None:
    (folder / "1" / "checkpoints").mkdir(exist_ok=True)
    (folder / "1" / "checkpoints" / "own.bin").write_bytes(b"own")


def test_when_upload_the_checkpoint_is_fetched_here_and_sent(hub: Hub, tmp_path: Path) -> None:
    folder, config, lines = make(tmp_path, ", when: upload")
    sending = prepare_weights(folder, config, lines.append)
    assert sending.without == frozenset()
    assert sending.checkpoint is not None
    assert sending.checkpoint.revision == hub.head("owner/net")
    assert (folder / "1" / "checkpoints" / "model.safetensors").read_bytes() == b"w" * 100


@pytest.mark.parametrize("more", ["", ", when: build", ", when: runtime"])
def test_otherwise_what_a_run_placed_stays_here_and_the_server_gets_the_token(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: str
) -> None:
    folder, config, lines = make(tmp_path, more)
    assert config.checkpoints is not None
    fetch_checkpoint(folder, config.checkpoints, lines.append)
    monkeypatch.setenv("HF_TOKEN", "hf_mine")
    sending = prepare_weights(folder, config, lines.append)
    assert sending.without == PLACED
    assert sending.hub_token == "hf_mine"
    assert "hf_mine" not in repr(sending)


def test_without_a_when_weights_of_the_authors_own_are_sent_with_what_they_were_tried_with(
    hub: Hub, tmp_path: Path
) -> None:
    folder, config, lines = make(tmp_path)
    assert config.checkpoints is not None
    fetch_checkpoint(folder, config.checkpoints, lines.append)
    put_own(folder)
    assert prepare_weights(folder, config, lines.append).without == frozenset()
    assert "the server does not fetch owner/net" in lines[-1]


def test_with_when_build_files_of_the_authors_own_stay_and_are_named(hub: Hub, tmp_path: Path) -> None:
    folder, config, lines = make(tmp_path, ", when: build")
    put_own(folder)
    assert prepare_weights(folder, config, lines.append).without == {"1/checkpoints/own.bin"}
    assert "1/checkpoints/own.bin stay here" in lines[-1]


def test_a_checkpoint_that_cannot_be_fetched_sends_nothing(
    hub: Hub, tmp_path: Path, answers: Any, transport: Transport
) -> None:
    config = CONFIG.format(more=", when: upload").replace("owner/net", "owner/absent")
    folder = write_folder(tmp_path / "model", config=config)
    Server(answers, [StatusCode.MODEL_TRAINED])
    with pytest.raises(CheckpointsFailed, match="owner/absent"):
        upload_folder(transport, folder, asked=ModelName(model_id=""), observer=Observer())
    assert not answers.asked_of("PostModelVersionsUpload")


def test_an_upload_that_sends_a_checkpoint_says_which_commit_it_is_of(
    hub: Hub, tmp_path: Path, answers: Any, transport: Transport
) -> None:
    folder, _, _ = make(tmp_path, ", when: upload")
    server = Server(answers, [StatusCode.MODEL_TRAINED])
    upload_folder(transport, folder, asked=ModelName(model_id=""), observer=Observer())
    spec = answers.asked_of("PostModelVersionsUpload")[0].upload_config.model_version
    assert dict(spec.metadata["checkpoints"])["revision"] == hub.head("owner/net")
    assert len(server.archive) > 0
