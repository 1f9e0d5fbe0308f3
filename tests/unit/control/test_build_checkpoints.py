"""Builds that fetch checkpoints: from a real hub over HTTP, in the downloader's own process."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from modelyard.errors import BuildFailed
from modelyard.parts.files import FileEntry, Part
from modelyard.parts.manifest import Manifest
from modelyard.server.records import VersionState
from modelyard.wire.messages import ModelVersion
from support.control import ControlRoom
from support.hub import Hub, serve_hub
from unit.control.test_builds import build

TOKEN = "hf_vErYsEcReT"
WEIGHTS = b"w" * 3000
FILES = {
    "config.json": json.dumps({"id2label": {"1": "dog", "0": "cat", "10": "no"}}).encode(),
    "model.safetensors": WEIGHTS,
}
CONFIG = """\
model: {{id: m, user_id: ada, model_type_id: {type_id}}}
inference_compute_info: {{cpu_limit: "1", cpu_memory: 1Gi}}
checkpoints: {{type: huggingface, repo_id: {repo_id}, when: {when}}}
"""


@pytest.fixture
def hub() -> Iterator[Hub]:
    with serve_hub(
        {"owner/net": FILES, "owner/closed": FILES, "owner/plain": {"model.safetensors": b"x"}},
        private={"owner/closed": (TOKEN,)},
    ) as served:
        yield served


async def upload(room: ControlRoom, hub: Hub, version_id: str = "v1", *, token: str = "", **changes: str) -> None:
    fields = {"type_id": "image-classifier", "repo_id": "owner/net", "when": "build", **changes}
    room.environ["HF_ENDPOINT"] = hub.url
    await room.add_upload(version_id, room.add_code(config_yaml=CONFIG.format(**fields)), token=token)


async def spec_of(room: ControlRoom, version_id: str = "v1") -> Any:
    return ModelVersion.FromString((await room.get_version(version_id)).spec)


@pytest.mark.parametrize("when", ["build", "runtime", "upload"])
async def test_a_build_fetches_the_weights_and_says_which_commit_they_are_of(
    room: ControlRoom, hub: Hub, when: str
) -> None:
    await upload(room, hub, when=when)
    await build(room, "v1")
    version = await room.get_version("v1")
    assert version.state is VersionState.BUILT, version.state_message
    weights = {entry.path: entry.size_bytes for entry in room.depot.get_part(version.weights_digest).files}
    assert weights["1/checkpoints/model.safetensors"] == len(WEIGHTS)
    assert Manifest.from_json(room.depot.read(version.manifest_digest)).weights == version.weights_digest
    assert version.size_bytes == sum(weights.values())
    told = (await spec_of(room)).metadata["checkpoints"]
    assert dict(told) == {"type": "huggingface", "repo_id": "owner/net", "revision": hub.head("owner/net")}
    assert any(str(told["revision"]) in line for line in room.log_of("v1"))


async def test_labels_of_the_checkpoint_become_the_versions_concepts_by_number(room: ControlRoom, hub: Hub) -> None:
    await upload(room, hub)
    await build(room, "v1")
    concepts = (await spec_of(room)).output_info.data.concepts
    assert [(one.id, one.name) for one in concepts] == [("0", "cat"), ("1", "dog"), ("10", "no")]


async def test_what_a_client_said_of_a_version_meanwhile_stays(room: ControlRoom, hub: Hub) -> None:
    await upload(room, hub)
    version = await room.get_version("v1")
    said = ModelVersion(description="mine")
    said.output_info.data.concepts.add(id="7", name="seven")
    await room.store.versions.set_spec(version.key, "v1", said.SerializeToString(), room.now())
    await build(room, "v1")
    spec = await spec_of(room)
    assert spec.description == "mine"
    assert [one.id for one in spec.output_info.data.concepts] == ["7"]


async def test_a_model_without_concepts_needs_no_labels(room: ControlRoom, hub: Hub) -> None:
    await upload(room, hub, type_id="text-to-text", repo_id="owner/plain")
    await build(room, "v1")
    assert await room.state_of("v1") is VersionState.BUILT


async def test_a_checkpoint_without_labels_fails_with_the_guides_rule(room: ControlRoom, hub: Hub) -> None:
    await upload(room, hub, repo_id="owner/plain")
    await build(room, "v1")
    version = await room.get_version("v1")
    assert version.state is VersionState.BUILD_FAILED
    assert "config.json" in version.state_message
    assert "write" in version.state_message
    assert "concepts" in version.state_message


async def test_the_second_version_downloads_nothing(room: ControlRoom, hub: Hub) -> None:
    await upload(room, hub)
    await build(room, "v1")
    served = hub.sent_bytes()
    await upload(room, hub, "v2")
    await build(room, "v2")
    first, second = await room.get_version("v1"), await room.get_version("v2")
    assert second.weights_digest == first.weights_digest
    assert hub.sent_bytes() - served < len(WEIGHTS)


async def test_a_private_repository_is_fetched_with_the_sealed_token_which_is_told_to_nobody(
    room: ControlRoom, hub: Hub, tmp_path: Path
) -> None:
    await upload(room, hub, repo_id="owner/closed", token=TOKEN)
    await build(room, "v1")
    assert await room.state_of("v1") is VersionState.BUILT
    job = await room.store.builds.get("v1")
    assert job is not None
    assert job.sealed_token == b""
    assert not any(TOKEN in line for _, _, line in room.lines)
    assert TOKEN.encode() not in (await room.get_version("v1")).spec
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or TOKEN.encode() not in path.read_bytes(), path


async def test_a_private_repository_without_a_token_fails_with_what_to_do(room: ControlRoom, hub: Hub) -> None:
    await upload(room, hub, repo_id="owner/closed")
    await build(room, "v1")
    version = await room.get_version("v1")
    assert version.state is VersionState.BUILD_FAILED
    assert "owner/closed" in version.state_message
    assert "HF_TOKEN" in version.state_message or "hf_token" in version.state_message


async def test_where_the_packages_fail_the_download_is_ended_and_the_packages_are_blamed(
    room: ControlRoom, hub: Hub
) -> None:
    def fail() -> None:
        raise BuildFailed("requirements.txt line 1: no such package")

    room.environments.on_lock = fail
    await upload(room, hub)
    await build(room, "v1")
    version = await room.get_version("v1")
    assert version.state_message == "requirements.txt line 1: no such package"


async def test_where_the_checkpoint_fails_the_installation_is_stopped(room: ControlRoom, hub: Hub) -> None:
    room.environments.blocks = True
    await upload(room, hub, repo_id="owner/absent")
    await build(room, "v1")
    version = await room.get_version("v1")
    assert "owner/absent" in version.state_message
    assert room.environments.left.is_set()


async def test_weights_of_the_upload_win_over_the_hub(room: ControlRoom, hub: Hub) -> None:
    await upload(room, hub, type_id="text-to-text")
    version = await room.get_version("v1")
    own = room.depot.add_part(
        Part([FileEntry(path="1/checkpoints/own", digest=room.depot.add_bytes(b"own"), size_bytes=3)])
    )
    assert await room.store.versions.update(replace(version, weights_digest=own))
    await build(room, "v1")
    assert (await room.get_version("v1")).weights_digest == own
    assert hub.downloads() == []
