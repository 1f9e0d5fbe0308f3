"""An import that nothing in requirements.txt brings is told before it costs an upload."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelyard.parts.imports import check_imports
from modelyard.parts.requirements import parse_requirements


def check(folder: Path, model: str, requirements: str = "", **files: str) -> list[str]:
    (folder / "1").mkdir(exist_ok=True)
    (folder / "1" / "model.py").write_text(model)
    for name, text in files.items():
        path = folder / "1" / f"{name.replace('__', '/')}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return list(check_imports(folder, parse_requirements(requirements)))


@pytest.mark.parametrize(
    ("model", "requirements"),
    [
        ("import os, json, clarifai, clarifai_grpc.grpc, google.protobuf, yaml, grpc", ""),
        ("import numpy, PIL.Image, sklearn", "scikit-learn\npillow>=10\n"),
        ("import cv2", "opencv-python\n"),
        ("import cv2", "OpenCV_Python_Headless==4.9.0\n"),
        ("import torch, numpy", "torch==2.13.0\nnumpy\n"),
        ("import huggingface_hub, tokenizers", "transformers[torch]\n"),
        ("import onnxruntime", "onnxruntime-gpu\n"),
        ("import dateutil", "python-dateutil\n"),
        ("import pydantic_core, urllib3, joblib", "fastmcp\nclarifai\nsentence-transformers\n"),
        ("import some.thing", "some_thing\nsome-other\n"),
        ("try:\n    import flash_attn\nexcept ImportError:\n    pass", ""),
        ("import whatever", "git+https://example.com/a/b.git\n"),
    ],
)
def test_what_is_brought_is_not_mentioned(tmp_path: Path, model: str, requirements: str) -> None:
    assert check(tmp_path, model, requirements) == []


def test_what_is_missing_is_told_with_its_line_and_what_to_add(tmp_path: Path) -> None:
    assert check(tmp_path, "import os\nimport sklearn.svm\nfrom my_lib import x\nimport sklearn\n", "numpy\n") == [
        "1/model.py line 2: sklearn is imported, and nothing in requirements.txt brings it; add scikit-learn",
        "1/model.py line 3: my_lib is imported, and nothing in requirements.txt brings it; add my-lib",
    ]


def test_the_folders_own_modules_are_followed(tmp_path: Path) -> None:
    told = check(
        tmp_path,
        "import helper\nfrom pack import one\n",
        helper="import cv2\nimport model\n",
        pack__one="import requests\n",
    )
    assert [line.partition(":")[0] for line in told] == ["1/helper.py line 1", "1/pack/one.py line 1"]


def test_files_that_cannot_be_read_or_lead_in_circles_are_passed_over(tmp_path: Path) -> None:
    assert check(tmp_path, "import a, b, c\n", a="import b\n", b="import a\n", c="def (") == []
    (tmp_path / "1" / "a.py").write_bytes(b"\xff\xfe")
    assert check(tmp_path, "import a\n") == []
