"""The guide's own commands, from wheels in an author's environment: alone, and beside the published SDK."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from compat.published import NEW, UV
from support.folders import write_folder
from support.server import CACHE, V2, RunningServer, running_server

ROOT = Path(__file__).parents[2]
RUN = ("-m", "clarifai.runners.models.model_run_locally", "--model_path")
UPLOAD = ("-m", "clarifai.runners.models.model_upload", "--model_path")
WHERE = "import clarifai, clarifai.runners.server as s; print(clarifai.__file__); print(s.__file__)"


class Author:
    """Somebody with an environment of their own."""

    def __init__(self, root: Path, *packages: str | Path) -> None:
        self.root = root
        self.python = root / "venv" / "bin" / "python"
        uv("venv", "--quiet", "--python", sys.executable, str(root / "venv"))
        self.install(*packages)

    def install(self, *packages: str | Path) -> None:
        uv("pip", "install", "--quiet", "--python", str(self.python), *map(str, packages))

    def run(self, *arguments: str | Path, **env: str) -> subprocess.CompletedProcess[str]:
        kept = {name: value for name, value in os.environ.items() if name in {"PATH", "LANG", "SSL_CERT_FILE"}}
        return subprocess.run(
            [self.python, *arguments],
            env={**kept, "HOME": str(self.root), "UV_CACHE_DIR": str(CACHE / "uv"), "COLUMNS": "200", **env},
            cwd=self.root,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=180,
        )


def uv(*arguments: str) -> None:
    done = subprocess.run(
        [UV, *arguments],
        env={**os.environ, "UV_CACHE_DIR": str(CACHE / "uv")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Ours and the compat distribution's."""
    folder = tmp_path_factory.mktemp("wheels")
    for source in (ROOT, ROOT / "compat" / "clarifai"):
        uv("build", "--quiet", "--wheel", "--out-dir", str(folder), str(source))
    return sorted(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory, wheels: list[Path]) -> Author:
    return Author(tmp_path_factory.mktemp("alone"), *wheels)


@pytest.fixture(scope="module")
def beside(tmp_path_factory: pytest.TempPathFactory, wheels: list[Path]) -> Author:
    """The published SDK came last, as after the guide's `pip install --upgrade clarifai`."""
    author = Author(tmp_path_factory.mktemp("beside"), *wheels)
    author.install(*NEW)
    return author


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running_server(tmp_path_factory.mktemp("server")) as one:
        yield one


def test_alone_the_documented_modules_are_ours(alone: Author) -> None:
    done = alone.run("-c", WHERE)
    assert done.returncode == 0, done.stderr
    assert [path.split("site-packages/")[1] for path in done.stdout.split()] == [
        "modelyard_clarifai/clarifai/__init__.py",
        "modelyard_clarifai/clarifai/runners/server.py",
    ]


@pytest.mark.parametrize("who", ["alone", "beside"])
def test_the_guides_commands_run_and_upload(
    who: str, server: RunningServer, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    author: Author = request.getfixturevalue(who)
    folder = write_folder(tmp_path / "m", model_id=who, suffix="!")
    done = author.run(*RUN, folder)
    assert done.returncode == 0, done.stderr
    assert f"{who} (text-to-text)" in done.stdout
    assert ("the published clarifai 12.5.0 is installed here, too" in done.stderr) == (who == "beside")
    environment = {name: server.environment[name] for name in ("CLARIFAI_API_BASE", "CLARIFAI_PAT")}
    done = author.run(*UPLOAD, folder, "--download_checkpoints", "--skip_dockerfile", **environment)
    assert done.returncode == 0, done.stderr
    assert "is serving" in done.stdout
    assert "--skip_dockerfile has no effect here" in done.stderr
    with V2(server) as v2:
        assert v2.predict(who, "hi").outputs[0].data.text.raw == "hi!"


def test_beside_it_the_published_sdk_stays_what_is_imported(beside: Author) -> None:
    done = beside.run(
        "-c", WHERE + "; from clarifai.client import Model; from clarifai.runners.models.model_class import ModelClass"
    )
    assert done.returncode == 0, done.stderr
    assert "modelyard_clarifai" not in done.stdout
    assert "note:" not in done.stderr


def test_the_published_command_can_be_had(beside: Author, tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "m")
    done = beside.run(*RUN, folder, MODELYARD_CLARIFAI="published")
    assert "note:" not in done.stderr
    assert "(text-to-text)" not in done.stdout


def test_taking_ours_away_leaves_the_published_sdk_whole(
    tmp_path_factory: pytest.TempPathFactory, wheels: list[Path]
) -> None:
    author = Author(tmp_path_factory.mktemp("leaving"), *NEW)
    before = author.run("-c", WHERE).stdout
    author.install(*wheels)
    uv("pip", "uninstall", "--quiet", "--python", str(author.python), "modelyard-clarifai", "modelyard")
    done = author.run("-c", WHERE + "; import clarifai.client.model")
    assert (done.returncode, done.stdout) == (0, before), done.stderr


@pytest.mark.parametrize("pins", [("clarifai==10.11.1", "clarifai-grpc==12.6.0", "requests", "huggingface_hub"), NEW])
def test_in_a_worker_our_runtime_wins_and_the_rest_is_the_authors_sdk(tmp_path: Path, pins: tuple[str, ...]) -> None:
    model = """
    from clarifai.client.user import User
    from clarifai.runners.models.model_runner import ModelRunner
    from clarifai.runners.models import model_upload_or_builder as found
    from clarifai.utils.logging import logger, table_from_dict
    from clarifai_grpc.grpc.api import service_pb2

    class Mixed(ModelRunner):
        def load_model(self):
            print("WHERE", ModelRunner.__module__, User.__module__, table_from_dict.__name__, flush=True)

        def predict(self, request):
            return service_pb2.MultiOutputResponse(outputs=[{"data": {"text": {"raw": "x"}}} for _ in request.inputs])
    """
    module = "model_upload import ModelUploader" if "10.11.1" in pins[0] else "model_builder import ModelBuilder"
    model = model.replace("models import model_upload_or_builder as found", f"models.{module}")
    folder = write_folder(tmp_path / "m", model=model, requirements="\n".join(pins) + "\n")
    done = subprocess.run(
        [sys.executable, "-m", "modelyard.cli.main", "run", str(folder)],
        env={**os.environ, "MODELYARD_CACHE_DIR": str(CACHE / "run"), "UV_CACHE_DIR": str(CACHE / "uv")},
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )
    assert done.returncode == 0, done.stderr
    assert "WHERE modelyard.sdk.runner clarifai.client.user table_from_dict" in done.stderr
