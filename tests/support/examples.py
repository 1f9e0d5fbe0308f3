"""The four examples with transformers, their repositories on the local hub, and how to ask them."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from clarifai_grpc.grpc.api import resources_pb2, service_pb2

from modelyard.parts.environment import BuilderSettings, Environments
from support.hub import Content, Hub
from support.server import CACHE, V2, locked

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
LAB = Path(__file__).parent / "lab"
RUN_CACHE = CACHE / "examples"
"""What `modelyard run` keeps: the environment of the examples is made once for all test runs."""
REPOS = {
    "image-classifier": ("Falconsai/nsfw_image_detection", "main"),
    "image-detector": ("facebook/detr-resnet-50", "no_timm"),
    "llm": ("HuggingFaceTB/SmolLM2-360M-Instruct", "main"),
    "speech-recognition": ("openai/whisper-tiny", "main"),
}
OTHER_FORMATS: Mapping[str, Content] = {"pytorch_model.bin": b"\x80\x02", "tf_model.h5": b"\x89HDF"}
"""What such repositories also hold, and nobody should download."""


def build_lab() -> Path:
    """Checkpoints, media and expected answers, made by the interpreter that the examples run with.

    Made once by those who want them at the same time, and kept until what makes them changes.
    """
    requirements = (EXAMPLES / "llm" / "requirements.txt").read_text()
    sources = [path.read_text() for path in sorted(LAB.glob("*.py"))]
    name = hashlib.sha256("\n".join((sys.version, requirements, *sources)).encode()).hexdigest()[:16]
    root = CACHE / "lab" / name
    with locked(root.with_suffix(".lock")):
        if not (root / "complete").exists():
            shutil.rmtree(root, ignore_errors=True)
            run_script(requirements, LAB, root)
            (root / "complete").touch()
    return root


def run_script(requirements: str, script: Path, *arguments: Path) -> str:
    """Run a script in an environment that is made once for all test runs, as is what Python compiles; its output."""
    environ = {**os.environ, "UV_CACHE_DIR": str(CACHE / "uv")}
    environments = Environments(RUN_CACHE / "environments", settings=BuilderSettings(environ=environ))
    python = environments.install(environments.lock(requirements, "3.11", print), print).python
    environ["PYTHONPYCACHEPREFIX"] = str(RUN_CACHE / "bytecode")
    environ.pop("PYTHONDONTWRITEBYTECODE", None)
    command = [str(python), str(script), *map(str, arguments)]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def publish(hub: Hub, checkpoints: Path) -> None:
    """Put the checkpoints on the hub under the names that the examples give in their config.yaml."""
    for name, (repo_id, branch) in REPOS.items():
        files = {path.name: path.read_bytes() for path in (checkpoints / name).iterdir()}
        hub.commit(repo_id, {"README.md": b"# not this branch"})
        hub.commit(repo_id, {**OTHER_FORMATS, **files}, branch=branch)


def copy_example(name: str, place: Path) -> Path:
    """The folder as a user has it after a clone."""
    leave = shutil.ignore_patterns("__pycache__", "checkpoints")
    return Path(shutil.copytree(EXAMPLES / name, place / name, ignore=leave))


def run_command(*arguments: str, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """`modelyard ARGUMENTS` in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "modelyard.cli.main", *arguments],
        env={**os.environ, "UV_CACHE_DIR": str(CACHE / "uv"), "MODELYARD_CACHE_DIR": str(RUN_CACHE), **env},
        capture_output=True,
        text=True,
        check=False,
        timeout=380,
    )


def upload(folder: Path, env: Mapping[str, str]) -> str:
    """`modelyard upload`, until it serves; the model's id."""
    done = run_command("upload", str(folder), "--json", env=env)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder.name


class Asked:
    """A deployed example."""

    def __init__(self, v2: V2, model_id: str) -> None:
        self._v2 = v2
        self.model_id = model_id

    def predict(self, *inputs: resources_pb2.Input, **settings: object) -> service_pb2.MultiOutputResponse:
        return self._v2.call("PostModelOutputs", self.request(*inputs, **settings))

    def generate(self, *inputs: resources_pb2.Input, **settings: object) -> Iterator[service_pb2.MultiOutputResponse]:
        request = self.request(*inputs, **settings)
        return self._v2.stub.GenerateModelOutputs(request, metadata=self._v2.metadata, timeout=60)

    def stream(self, *requests: service_pb2.PostModelOutputsRequest) -> Iterator[service_pb2.MultiOutputResponse]:
        return self._v2.stream(iter(requests))

    def request(
        self,
        *inputs: resources_pb2.Input,
        params: Mapping[str, object] | None = None,
        **config: float,
    ) -> service_pb2.PostModelOutputsRequest:
        """A request with parameters and, as `config`, settings of `output_config`."""
        request = self._v2.text_request(self.model_id)
        request.inputs.extend(inputs)
        output_info = request.model.model_version.output_info
        if params:
            output_info.params.update(params)
        for key, value in config.items():
            setattr(output_info.output_config, key, value)
        return request


def text(raw: str) -> resources_pb2.Input:
    return resources_pb2.Input(data=resources_pb2.Data(text=resources_pb2.Text(raw=raw)))


def image(content: bytes) -> resources_pb2.Input:
    return resources_pb2.Input(data=resources_pb2.Data(image=resources_pb2.Image(base64=content)))


def video(content: bytes) -> resources_pb2.Input:
    return resources_pb2.Input(data=resources_pb2.Data(video=resources_pb2.Video(base64=content)))


def audio(content: bytes = b"", url: str = "") -> resources_pb2.Input:
    return resources_pb2.Input(data=resources_pb2.Data(audio=resources_pb2.Audio(base64=content, url=url)))
