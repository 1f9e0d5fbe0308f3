"""What an author can get wrong: told with file and line, and the version before it goes on serving."""

from __future__ import annotations

from pathlib import Path

import pytest
from clarifai_grpc.grpc.api.status import status_code_pb2 as codes

from support.folders import CONFIG, pack, write_folder
from support.server import V2
from support.uploads import create_model, deploy, read_log, send_upload, upload_messages, wait_built

RUNNER = "from clarifai.runners.models.model_runner import ModelRunner\n"
BUILDS_THAT_FAIL = {
    "import error": (RUNNER + "import no_such_module\nclass A(ModelRunner):\n    pass\n", "no_such_module", "line 2"),
    "load_model raises": (
        RUNNER + "class A(ModelRunner):\n    def load_model(self):\n        raise RuntimeError('no weights here')\n",
        "no weights here",
        "line 4",
    ),
    "no class": ("x = 1\n", "ModelRunner", "model.py"),
    "two classes": (RUNNER + "class A(ModelRunner):\n    pass\nclass B(ModelRunner):\n    pass\n", "A", "B"),
    "exits": (RUNNER + "import sys\nsys.exit(4)\n", "SystemExit", "line 3"),
}
FOLDERS_THAT_ARE_REFUSED = {
    "syntax error": ({"1/model.py": RUNNER + "def broken(:\n"}, "1/model.py", "line 2"),
    "config not yaml": ({"config.yaml": "model: [unclosed\n"}, "config.yaml", "line"),
    "config value": (
        {"config.yaml": CONFIG.format(model_id="bad", user_id="local", threads=1).replace('"1Gi"', '"lots"')},
        "cpu_memory",
        "lots",
    ),
    "python version": (
        {
            "config.yaml": CONFIG.format(model_id="bad", user_id="local", threads=1)
            + "build_info:\n  python_version: '3.7'\n"
        },
        "build_info.python_version",
        "3.10",
    ),
    "requirements": ({"requirements.txt": "-r other.txt\n"}, "requirements.txt", "line 1"),
    "no model.py": ({"1/model.py": None}, "1/model.py", "1/model.py"),
}


@pytest.mark.parametrize("case", BUILDS_THAT_FAIL)
def test_model_that_cannot_load_fails_its_build_with_the_line(v2: V2, folder: Path, case: str) -> None:
    model, *needles = BUILDS_THAT_FAIL[case]
    write_folder(folder, model="pass", model_id="bad")
    (folder / "1" / "model.py").write_text(model)
    create_model(v2, "bad")
    last = send_upload(v2, upload_messages(v2, pack(folder), "bad"))[-1]
    assert last.status.code == codes.MODEL_BUILDING, last.status
    status = wait_built(v2, last.model_version_id, "bad").status
    assert status.code == codes.MODEL_BUILDING_FAILED
    for needle in needles:
        assert needle in status.description + status.details
        assert needle in "\n".join(read_log(v2, last.model_version_id, "builder", "bad"))


@pytest.mark.parametrize("case", FOLDERS_THAT_ARE_REFUSED)
def test_folder_that_is_wrong_is_refused_at_the_upload(v2: V2, folder: Path, case: str) -> None:
    changes, *needles = FOLDERS_THAT_ARE_REFUSED[case]
    write_folder(folder, model_id="bad")
    for name, content in changes.items():
        if content is None:
            (folder / name).unlink()
        else:
            (folder / name).write_text(content)
    create_model(v2, "bad")
    last = send_upload(v2, upload_messages(v2, pack(folder), "bad"))[-1]
    assert last.status.code == codes.MODEL_UPLOADING_FAILED, last.status
    for needle in needles:
        assert needle in last.status.description + last.status.details


def test_requirement_that_does_not_exist_is_named_with_its_line(v2: V2, folder: Path) -> None:
    write_folder(folder, model_id="bad", requirements="# pins\nsix==1.16.0\nsix-no-such-thing==9.9.9\n")
    create_model(v2, "bad")
    last = send_upload(v2, upload_messages(v2, pack(folder), "bad"))[-1]
    status = wait_built(v2, last.model_version_id, "bad").status
    assert status.code == codes.MODEL_BUILDING_FAILED
    assert "requirements.txt line 3" in status.description


def test_failed_build_leaves_the_previous_version_serving(v2: V2, folder: Path) -> None:
    deploy(v2, write_folder(folder, suffix="-good", model_id="steady"), "steady")
    write_folder(folder, model="raise OSError('bad day')", model_id="steady")
    last = send_upload(v2, upload_messages(v2, pack(folder), "steady"))[-1]
    assert wait_built(v2, last.model_version_id, "steady").status.code == codes.MODEL_BUILDING_FAILED
    assert v2.predict("steady", "x").outputs[0].data.text.raw == "x-good"
    failed = v2.predict("steady", "x", version_id=last.model_version_id)
    assert failed.status.code != codes.SUCCESS
    assert "bad day" in failed.status.description + failed.status.details
