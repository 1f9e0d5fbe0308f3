"""Typed methods, told and called by a published SDK that nobody changed for us."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from published import CLIENTS, Published

from support.folders import write_folder
from support.server import V2, RunningServer
from support.uploads import deploy, get_version

ROOT = Path(__file__).parents[2]
OURS = (ROOT / "src", ROOT / "compat" / "clarifai" / "src")
MODEL = Path(__file__).parent / "typed_model.py"


SMALL = """
from typing import Iterator
from clarifai.runners.models.model_class import ModelClass

class Shout(ModelClass):
    def load_model(self):
        self.mark = "!"

    @ModelClass.method
    def predict(self, prompt: str = "") -> str:
        return prompt.upper() + self.mark

    @ModelClass.method
    def generate(self, prompt: str = "") -> Iterator[str]:
        yield from (prompt.upper() + self.mark).split()
"""


@pytest.fixture(scope="module")
def version_id(server: RunningServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A deployed model with typed methods of all kinds and types."""
    folder = write_folder(
        tmp_path_factory.mktemp("typed"), model=MODEL.read_text(), model_id="typed", requirements="numpy\npillow\n"
    )
    with V2(server) as v2:
        yield deploy(v2, folder, "typed")


def read_signatures(python: Path, *path: Path) -> list[object]:
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(map(str, path))}
    arguments = [python, str(CLIENTS / "typed_signatures.py"), str(MODEL)]
    done = subprocess.run(arguments, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    found: list[object] = json.loads(done.stdout)
    return found


def test_signatures_are_those_that_12_5_reads_off_the_same_class(new: Published) -> None:
    python = new.root / "bin" / "python"
    theirs = read_signatures(python)
    assert len(theirs) == 15
    assert read_signatures(python, *OURS) == theirs


def test_a_version_tells_its_signatures_whoever_uploaded_it(v2: V2, version_id: str, new: Published) -> None:
    theirs = read_signatures(new.root / "bin" / "python")
    told = get_version(v2, version_id, "typed").method_signatures
    assert [one.name for one in told] == [one["name"] for one in theirs]  # type: ignore[index]


def test_12_5_calls_typed_methods_of_every_kind_and_type(
    new: Published, server: RunningServer, version_id: str
) -> None:
    done = new.run("python", str(CLIENTS / "typed_predict.py"), server.user_id, "typed", server=server)
    assert done.returncode == 0, done.stdout + done.stderr
    answers = json.loads(done.stdout.splitlines()[-1])
    assert "ValueError: I was told to (1/model.py line" in answers.pop("fail")
    assert "lie: its result is a value of type str; int is expected" in answers.pop("lie")
    assert {"predict", "generate", "stream", "again", "later"} <= set(answers.pop("methods"))
    assert answers == {
        "predict": "x!",
        "positional": "x!",
        "default": "!",
        "batch": ["a!", "b!"],
        "generate": ["g0", "g1"],
        "stream": ["a#", "b#"],
        "again": [2, "2"],
        "params": "('p', 0.7, 'a', 5, None, None, 1e-08, {'a': 1}, ['.'], [1, 'x'], False)",
        "params_given": "('p', 0.25, 'a', 5, [{'type': 'f'}], None, 1e-08, {}, [], [1, 'x'], True)",
        "seen": [
            "é", -3, 0.25, True, "raw", True, [4, 2], [[0, 1, 2], [3, 4, 5]], "text", {"a": [1, None, {"b": True}]},
            [1, "two"], {"x": 2}, ["p", "q"], [1, 2], [0.5], ["", ""], [[1, "a"], [2, "b"]], [[1], [], [2, 3]],
            ["tt", 4], 1, ["why"], ["cat", "a dog"], "bird", [[0.25, 0.5, 0.75, 1.0]], [[3, 1.5]], "sound", "",
            {"j": "s"}, [{"k": "v"}],
        ],
        "boxes": [[0.25, 0.5, 0.75, 1.0]],
        "array": [[[0.0, 2.0, 4.0], [6.0, 8.0, 10.0]], "float32"],
        "picture": [4, 2],
        "best": ["bird", "bird", 1.0],
        "pictures": [[4, 2], [2, 4]],
        "texts": ["hello"],
        "track": ["aa", "bbb"],
        "zeros": [0, "", False],
        "zeros_default": [7, "seven", True],
        "zero": 0,
        "by_bytes": "old!",
        "generate_by_bytes": ["old0", "old1", "old2"],
        "tokens": 4,
        "async_predict": "x!",
        "async_generate": ["g0", "g1"],
    }  # fmt: skip


def test_base_classes_of_the_published_sdk_stand_on_ours(new: Published) -> None:
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(map(str, OURS))}
    arguments = [new.root / "bin" / "python", str(CLIENTS / "published_bases.py")]
    done = subprocess.run(arguments, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert all(one.startswith("_published_") for one in found.pop("published"))
    assert found == {
        "ours": [True, True, True],
        "methods": [["openai_stream_transport", "generate"], ["openai_transport", "predict"], ["predict", "predict"]],
        "mcp": ["mcp_transport"],
        "answer": "user",
    }


def test_12_5_uploads_a_folder_with_typed_methods_and_its_command_line_asks_it(
    new: Published, server: RunningServer, v2: V2, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its upload wants uv and ruff on the path, and a pinned clarifai in the requirements."""
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    folder = write_folder(
        tmp_path / "f", model=SMALL, model_id="typed-12-5", user_id=server.user_id, requirements="clarifai==12.5.0\n"
    )
    done = new.run("clarifai", "model", "upload", str(folder), server=server, stdin="y\n")
    assert "Model uploaded successfully!" in done.stdout, done.stdout + done.stderr
    uploaded = get_version(v2, "", "typed-12-5").method_signatures
    assert [(one.name, one.output_fields[0].iterator) for one in uploaded] == [("predict", False), ("generate", True)]
    asked = new.run("clarifai", "model", "predict", f"{server.user_id}/main/models/typed-12-5", "hi", server=server)
    assert "HI!" in asked.stdout, asked.stdout + asked.stderr


def test_an_old_clarifai_grpc_is_told_where_a_method_is_typed_and_does_elsewhere(stubs: Published) -> None:
    source = """
from modelyard.sdk.model_class import ModelClass
class Plain(ModelClass):
    def predict(self, request): return request
print(Plain().predict(1))
try:
    ModelClass.method(Plain.predict)
except ImportError as error:
    print(error)
"""
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "src")}
    python = stubs.root / "bin" / "python"
    done = subprocess.run([python, "-c", source], env=env, capture_output=True, text=True, timeout=60, check=False)
    plain, told = done.stdout.splitlines()
    assert plain == "1", done.stderr
    assert told.startswith("the installed clarifai-grpc is too old for typed methods")
