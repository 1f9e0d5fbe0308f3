"""Small model folders that the tests write: each a real folder in the guide's shape."""

from __future__ import annotations

import io
import tarfile
import textwrap
from pathlib import Path

CONFIG = """\
model:
  id: "{model_id}"
  user_id: "{user_id}"
  app_id: "main"
  model_type_id: "text-to-text"
inference_compute_info:
  cpu_limit: "1"
  cpu_memory: "1Gi"
num_threads: {threads}
"""

ECHO = """\
import os
import signal
import sys
import time
from pathlib import Path

from clarifai.runners.models.model_runner import ModelRunner
from clarifai_grpc.grpc.api import resources_pb2, service_pb2
from clarifai_grpc.grpc.api.status import status_code_pb2


def answer(text):
    output = resources_pb2.Output()
    output.data.text.raw = text
    output.status.code = status_code_pb2.SUCCESS
    return output


class Echo(ModelRunner):
    '''Echoes; some words make it misbehave.'''

    def load_model(self):
        self.suffix = "{suffix}"
        print("loaded", flush=True)

    def predict(self, request):
        outputs = []
        for one in request.inputs:
            text = one.data.text.raw
            if text == "crash":
                os._exit(3)
            if text == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            if text == "raise":
                raise ValueError("I was told to")
            if text.startswith("sleep "):
                time.sleep(float(text.split()[1]))
            if text.startswith("gate "):
                while not Path("open-" + text.split()[1]).exists():
                    time.sleep(0.005)
            if text == "version":
                text = request.model.model_version.id
            if text == "params":
                params = request.model.model_version.output_info.params
                text = ",".join(f"{{key}}={{params[key]}}" for key in sorted(params))
            if text == "size":
                text = str(len(one.data.image.base64))
            outputs.append(answer(text + self.suffix))
        return service_pb2.MultiOutputResponse(outputs=outputs)

    def generate(self, request):
        text = request.inputs[0].data.text.raw
        for number, word in enumerate(text.split()):
            if word == "crash":
                os._exit(3)
            if word == "raise":
                raise ValueError("I was told to")
            if word == "pause":
                time.sleep(0.2)
            yield service_pb2.MultiOutputResponse(outputs=[answer(f"{{number}}:{{word}}{{self.suffix}}")])

    def stream(self, request_iterator):
        for request in request_iterator:
            text = request.inputs[0].data.text.raw
            if text == "crash":
                os._exit(3)
            yield service_pb2.MultiOutputResponse(outputs=[answer(text.upper() + self.suffix)])
"""


def write_folder(
    folder: Path,
    *,
    model: str = "",
    suffix: str = "",
    model_id: str = "echo",
    user_id: str = "local",
    requirements: str = "",
    config: str = "",
    threads: int = 4,
) -> Path:
    """Write a model folder; by default the echo model."""
    (folder / "1").mkdir(parents=True, exist_ok=True)
    (folder / "1" / "model.py").write_text(textwrap.dedent(model) if model else ECHO.format(suffix=suffix))
    (folder / "requirements.txt").write_text(requirements)
    (folder / "config.yaml").write_text(config or CONFIG.format(model_id=model_id, user_id=user_id, threads=threads))
    return folder


def pack(folder: Path) -> bytes:
    """The folder as published clients pack it: tar.gz, entries `./...`."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        tar.add(folder, arcname=".")
    return buffer.getvalue()
