"""The documented imports in a fresh interpreter, as a worker gives them: our runtime first on the path."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

ROOT = Path(__file__).parents[3]
OURS = (ROOT / "src", ROOT / "compat" / "clarifai" / "src")


def run(source: str, *later: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join(str(folder) for folder in (*OURS, *later))
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", dedent(source)],
        env={"PYTHONPATH": path, "PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """A published SDK behind ours: modules that we lack, and one that we have."""
    files = {
        "clarifai/__init__.py": "raise AssertionError('ours comes first')",
        "clarifai/client.py": "Model = 'published'",
        "clarifai/runners/__init__.py": "raise AssertionError('ours comes first')",
        "clarifai/runners/utils/__init__.py": "",
        "clarifai/runners/utils/openai_convertor.py": "convert = 'published'",
        "clarifai/runners/models/__init__.py": "raise AssertionError('ours comes first')",
        "clarifai/runners/models/model_runner.py": "raise AssertionError('ours comes first')",
        "clarifai/runners/models/openai_class.py": "OpenAIModelClass = 'published'",
        "clarifai/utils/__init__.py": "",
        "clarifai/utils/misc.py": "found = 'published'",
    }
    for name, source in files.items():
        path = tmp_path / "published" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)
    return tmp_path / "published"


def test_the_guides_class_is_ours():
    done = run(
        """
        from clarifai.runners.models.model_runner import ModelRunner
        from clarifai.runners.models.model_class import ModelClass
        from clarifai.runners import ModelRunner as Short
        from clarifai.utils.logging import get_logger, logger
        from clarifai_grpc.grpc.api import resources_pb2, service_pb2
        from clarifai_grpc.grpc.api.status import status_code_pb2, status_pb2
        from modelyard.sdk import runner
        assert ModelRunner is Short is runner.ModelRunner
        assert issubclass(ModelClass, ModelRunner)

        class YourCustomModelRunner(ModelRunner):
            def load_model(self):
                pass
            def predict(self, request):
                logger.info("predict")
                return service_pb2.MultiOutputResponse()
            def generate(self, request):
                pass
            def stream(self, request):
                pass
        model = YourCustomModelRunner(user_id="me")
        model.load_model()
        model.predict(service_pb2.PostModelOutputsRequest())
        print(sorted(runner.implemented_methods(YourCustomModelRunner)))
        """
    )
    assert (done.stdout, done.stderr, done.returncode) == ("['predict']\n", "INFO clarifai: predict\n", 0)


def test_importing_the_packages_imports_nothing_heavy():
    done = run(
        """
        import sys, clarifai, clarifai.runners, clarifai.utils, clarifai.runners.models
        heavy = ("modelyard", "clarifai_grpc", "google", "numpy", "yaml")
        print([name for name in sys.modules if name.partition(".")[0] in heavy])
        """
    )
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_a_name_that_is_not_here_is_an_import_error():
    done = run("from clarifai.runners import ModelUploader")
    assert "ImportError: cannot import name 'ModelUploader' from 'clarifai.runners'" in done.stderr


def test_a_module_that_is_not_here_comes_from_a_published_sdk_behind_ours(published: Path):
    done = run(
        """
        from clarifai.client import Model
        from clarifai.runners.models.openai_class import OpenAIModelClass
        from clarifai.runners import OpenAIModelClass as Short
        from clarifai.runners.utils.openai_convertor import convert
        from clarifai.utils.misc import found
        assert {Model, OpenAIModelClass, Short, convert, found} == {"published"}
        from clarifai.runners.models.model_runner import ModelRunner
        print(ModelRunner.__module__)
        """,
        published,
    )
    assert (done.stdout, done.stderr) == ("modelyard.sdk.runner\n", "")


@pytest.mark.parametrize(("level", "lines"), [("ERROR", 0), ("debug", 2), ("nonsense", 1)])
def test_the_level_of_the_logger_comes_from_the_environment(level: str, lines: int):
    source = "from clarifai.utils.logging import logger; logger.debug('a'); logger.info('b')"
    assert len(run(source, LOG_LEVEL=level).stderr.splitlines()) == lines


def test_typed_methods_have_all_that_they_are_written_with():
    done = run(
        """
        from typing import Iterator
        from clarifai.runners.models.model_class import ModelClass
        from clarifai.runners.utils.data_types import (
            JSON, Audio, Concept, Frame, Image, MessageData, NamedFields, Region, Stream, Text, Video, cast
        )
        from clarifai.runners.utils.data_types.data_types import Image as Same
        from clarifai.runners.utils.data_utils import Param
        assert Same is Image

        class MyModel(ModelClass):
            @ModelClass.method
            def predict(self, text1: str = "", n: int = Param(default=2)) -> str:
                return text1 * n
            @ModelClass.method
            def stream(self, items: Stream[NamedFields(x=Image, y=str)]) -> Stream[str]:
                yield from (one.y for one in items)
        from modelyard.sdk.runner import implemented_methods
        print(MyModel().predict("a"), sorted(implemented_methods(MyModel)))
        """
    )
    assert (done.stdout, done.stderr) == ("aa ['predict', 'stream']\n", "")


def test_a_class_of_the_published_sdk_alone_is_told_to_need_it():
    done = run("from clarifai.runners import OpenAIModelClass")
    assert "No module named 'clarifai.runners.models.openai_class'" in done.stderr
