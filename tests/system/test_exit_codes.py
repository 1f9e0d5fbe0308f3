"""`modelyard run` tells causes apart by its exit code, as docs/how-to/run.md and docs/how-to/conformance.md say."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from modelyard.cli.exit_codes import TABLE
from modelyard.local.probes import PROBES
from support.folders import CONFIG, write_folder
from support.server import CACHE

DOCS = Path(__file__).parents[2] / "docs" / "how-to"
MODEL = """
import os, time
from clarifai.runners.models.model_runner import ModelRunner
from clarifai_grpc.grpc.api import service_pb2

class Model(ModelRunner):
    def load_model(self):
        {load}

    def predict(self, request):
        {predict}
        return service_pb2.MultiOutputResponse(outputs=[{{"data": {{"text": {{"raw": "x"}}}}}} for _ in request.inputs])
"""
CONCEPTS = CONFIG.format(model_id="m", user_id="local", threads=1).replace("text-to-text", "image-classifier")
CASES: dict[int, dict[str, str]] = {
    0: {},
    1: {"predict": "raise ValueError('too dark')"},
    2: {"config": CONCEPTS},
    5: {"predict": "time.sleep(60)"},
    8: {"requirements": "no-such-package-of-anybody==1.2.3\n"},
    9: {"load": "open('labels.txt')"},
    10: {"predict": "return service_pb2.MultiOutputResponse()"},
    11: {"predict": "os._exit(3)"},
    12: {"predict": "request.inputs[0].data.text.raw or os._exit(3)"},
}


def run(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "modelyard.cli.main", "run", str(folder), *options],
        env={**os.environ, "UV_CACHE_DIR": str(CACHE / "uv"), "MODELYARD_CACHE_DIR": str(CACHE / "run")},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.mark.parametrize("code", CASES)
def test_a_run_ends_with_the_code_of_its_cause(tmp_path: Path, code: int) -> None:
    parts = {"load": "pass", "predict": "pass", "config": "", "requirements": "", **CASES[code]}
    model = MODEL.format(load=parts["load"], predict=parts["predict"])
    folder = write_folder(tmp_path / "m", model=model, config=parts["config"], requirements=parts["requirements"])
    options = ["--strict", "--only", "empty"] if code == 12 else ["--timeout", "3"]
    done = run(folder, *options)
    assert done.returncode == code, done.stdout + done.stderr


def test_the_page_names_every_code() -> None:
    page = (DOCS / "run.md").read_text()
    named = {int(one) for one in re.findall(r"\| (\d+) \|", page)}
    known = {code for kind, code, _ in TABLE if kind.__name__ != "ModelyardError"}
    assert named - {5} <= known
    assert set(CASES) - {0} <= named


def test_a_conformance_run_is_the_page_probe_by_probe(tmp_path: Path) -> None:
    page = (DOCS / "conformance.md").read_text()
    captured = re.findall(r"^  ([a-z-]+) +(?:survived|unusual|failed|skipped) +[\d.]+ s  (.+)$", page, re.MULTILINE)
    done = run(write_folder(tmp_path / "m"), "--strict", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    probes = json.loads(done.stdout)["probes"]
    assert captured == [(one["name"], one["what"]) for one in probes]
    assert [one["name"] for one in probes] == [*(probe.name for probe in PROBES), "folder"]
    for probe in probes:
        assert f"`{probe['name']}`" in page
