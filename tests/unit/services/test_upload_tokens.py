"""A Hugging Face token in an upload: sealed for the build, and nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelyard.server.sealing import Sealer
from modelyard.server.store.sql import SqlStore
from support.folders import pack, write_folder
from unit.services.test_uploads import Desk, desk

__all__ = ["desk"]

TOKEN = "hf_QwErTyUiOp"
CONFIG = """\
model: {id: m, user_id: ada, model_type_id: text-to-text}
inference_compute_info: {cpu_limit: "1", cpu_memory: 1Gi}
checkpoints:
  type: huggingface
  repo_id: owner/name
"""


def folder(place: Path, token: str = "", *, has_weights: bool = False) -> bytes:
    config = CONFIG + (f'  hf_token: "{token}"  # private\n' if token else "")
    write_folder(place, config=config)
    if has_weights:
        (place / "1" / "checkpoints").mkdir()
        (place / "1" / "checkpoints" / "weights.bin").write_bytes(b"weights")
    return pack(place)


async def sealed_token(desk: Desk) -> bytes:
    job = await desk.house.store.builds.get((await desk.only_version()).version_id)
    assert job is not None
    return job.sealed_token


async def opened_token(desk: Desk) -> str:
    version = await desk.only_version()
    return Sealer(desk.folder.parent).open(await sealed_token(desk), owner=version.version_id)


async def test_the_token_of_a_config_is_kept_for_the_build_and_nowhere_else(desk: Desk, tmp_path: Path) -> None:
    await desk.send(folder(tmp_path / "model", TOKEN))
    assert await opened_token(desk) == TOKEN
    version = await desk.only_version()
    code = desk.depot.get_part(version.code_digest)
    config = next(entry for entry in code.files if entry.path == "config.yaml")
    assert b'hf_token: ""  # private' in desk.depot.read(config.digest)
    assert TOKEN.encode() not in version.spec
    assert not any(TOKEN in line for line in desk.lines)
    for path in tmp_path.rglob("*"):
        if path.is_file() and path.parent != tmp_path / "model":
            assert TOKEN.encode() not in path.read_bytes(), path


async def test_two_tokens_make_one_code(desk: Desk, tmp_path: Path) -> None:
    await desk.send(folder(tmp_path / "one", TOKEN))
    first = await desk.only_version()
    await desk.send(folder(tmp_path / "two", "hf_another"))
    store: SqlStore = desk.house.store
    digests = {code for code, *_ in await store.versions.list_digests()}
    assert digests == {first.code_digest}


@pytest.mark.parametrize(("configured", "sent", "kept"), [("", "hf_sent", "hf_sent"), (TOKEN, "hf_sent", TOKEN)])
async def test_a_token_sent_beside_the_upload_serves_where_the_config_has_none(
    desk: Desk, tmp_path: Path, configured: str, sent: str, kept: str
) -> None:
    await desk.send(folder(tmp_path / "model", configured), hub_token=sent)
    assert await opened_token(desk) == kept


async def test_where_the_weights_are_sent_no_token_is_kept(desk: Desk, tmp_path: Path) -> None:
    await desk.send(folder(tmp_path / "model", TOKEN, has_weights=True), hub_token="hf_sent")
    assert await sealed_token(desk) == b""
