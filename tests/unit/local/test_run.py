"""A folder tried on this machine: real workers, in the interpreter of the tests instead of an installed environment."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from modelyard.client.inputs import make_text_input
from modelyard.config.load import load_config
from modelyard.errors import (
    DeadlineExceeded,
    InvalidFolder,
    ModelLoadFailed,
    PredictionFailed,
    WorkerCrashed,
)
from modelyard.local import session
from modelyard.local.request import make_request
from modelyard.local.run import Report, run_folder
from modelyard.local.session import Options
from modelyard.parts.cache_dir import default_cache_dir
from modelyard.parts.sample_inputs import make_samples
from support.folders import CONFIG, write_folder

FAULTY = """
from clarifai.runners.models.model_runner import ModelRunner
from clarifai_grpc.grpc.api import service_pb2

class Faulty(ModelRunner):
    def load_model(self):
        {load}

    def predict(self, request):
        {predict}
"""


class Environments:
    """The environment of the tests themselves: installing is tested elsewhere."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def lock(self, text: str, python_version: str, log: Any, *, stop: Any = None) -> Any:
        log("locked")
        return self

    def install(self, lock: Any, log: Any, *, stop: Any = None) -> Any:
        return self

    digest = "of the tests"
    is_new = False
    python = Path(sys.executable)
    python_version = "3.11"


@pytest.fixture(autouse=True)
def _no_installing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "Environments", Environments)


def try_folder(folder: Path, tmp_path: Path, text: str = "", timeout_s: float = 30, lines: Any = None) -> Report:
    inputs = [make_text_input(text)] if text else []
    options = Options(inputs=inputs, cache_dir=tmp_path / "cache", timeout_s=timeout_s)
    printed = [] if lines is None else lines
    return run_folder(folder, options, tell_build=printed.append, tell_line=printed.append)


def write_faulty(folder: Path, *, load: str = "pass", predict: str = "pass") -> Path:
    return write_folder(folder, model=FAULTY.format(load=load, predict=predict))


def test_every_method_of_a_folder_is_asked_with_a_sample(tmp_path: Path) -> None:
    lines: list[str] = []
    report = try_folder(write_folder(tmp_path / "m", suffix="!"), tmp_path, lines=lines)
    assert [step.method for step in report.steps] == ["predict", "generate", "stream"]
    assert report.error is None
    assert report.steps[0].answers[0].outputs[0].data.text.raw.endswith("dog.!")
    assert len(report.steps[1].answers) == 9
    assert {"locked", "loaded"} <= set(lines)


TYPED = """
from typing import Iterator, List
from clarifai.runners.models.model_class import ModelClass
from clarifai.runners.utils.data_types import Concept, Image, NamedFields

class Typed(ModelClass):
    @ModelClass.method
    def predict(self, text: str = "", times: int = 2) -> str:
        return text * times
    @ModelClass.method
    def label(self, picture: Image, size: float) -> List[Concept]:
        return [Concept("cat", 7.0 if size else len(picture.bytes))]
    @ModelClass.method
    def words(self, it: Iterator[NamedFields(text=str)], mark: str) -> Iterator[str]:
        yield from (one.text + mark for one in it)
"""


def test_each_typed_method_is_asked_with_arguments_of_its_own(tmp_path: Path) -> None:
    report = try_folder(write_folder(tmp_path / "m", model=TYPED), tmp_path)
    assert [(step.method, step.kind) for step in report.steps] == [
        ("predict", "predict"),
        ("label", "predict"),
        ("words", "stream"),
    ]
    sample = make_samples("text-to-text")[0].data.text.raw
    assert report.steps[0].answers[0].outputs[0].data.text.raw == sample * 2
    assert report.steps[2].answers[0].outputs[0].data.text.raw == sample * 2
    assert "label: outputs[0].data.concepts[0].value: 7; a value is a share from 0 to 1" in str(report.error)


def test_an_input_of_ones_own_goes_to_each_typed_method(tmp_path: Path) -> None:
    report = try_folder(write_folder(tmp_path / "m", model=TYPED), tmp_path, text="a")
    assert report.steps[0].answers[0].outputs[0].data.text.raw == "aa"
    assert "argument picture (Image), size (float) is missing" in str(report.steps[1].error)


def test_more_answers_than_the_credit_all_arrive(tmp_path: Path) -> None:
    report = try_folder(write_folder(tmp_path / "m"), tmp_path, text="word " * 300)
    assert len(report.steps[1].answers) == 300


def test_an_error_names_the_authors_line_and_the_next_method_is_still_asked(tmp_path: Path) -> None:
    report = try_folder(write_folder(tmp_path / "m"), tmp_path, text="raise")
    assert [step.error is not None for step in report.steps] == [True, True, False]
    assert isinstance(report.error, PredictionFailed)
    assert "1/model.py line" in report.error.message


def test_a_model_that_does_not_load_is_told_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(ModelLoadFailed, match=r"1/model.py line 7: OSError: no weights"):
        try_folder(write_faulty(tmp_path / "m", load="raise OSError('no weights')"), tmp_path)


def test_nothing_is_written_into_the_folder(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "m", suffix="!")
    before = sorted(folder.rglob("*"))
    try_folder(folder, tmp_path)
    assert sorted(folder.rglob("*")) == before


def test_bytecode_is_kept_in_the_cache_for_the_next_run(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "m")
    try_folder(folder, tmp_path)
    place = tmp_path / "cache" / "bytecode" / folder.relative_to("/") / "1"
    assert [path.name.split(".")[0] for path in place.iterdir()] == ["model"]


def test_a_model_edited_between_two_runs_is_run_as_edited(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "m", suffix=" one")
    try_folder(folder, tmp_path)
    write_folder(folder, suffix=" second")
    report = try_folder(folder, tmp_path)
    assert report.steps[0].answers[0].outputs[0].data.text.raw.endswith(" second")


def test_a_process_that_dies_is_told_with_its_last_lines(tmp_path: Path) -> None:
    with pytest.raises(WorkerCrashed, match=r"^predict: .*exit code 3") as raised:
        try_folder(write_folder(tmp_path / "m"), tmp_path, text="crash")
    assert "loaded" in raised.value.details


def test_a_model_that_says_nothing_is_not_waited_for_longer_than_asked(tmp_path: Path) -> None:
    with pytest.raises(DeadlineExceeded, match=r"^predict: .*nothing for"):
        try_folder(write_folder(tmp_path / "m"), tmp_path, text="sleep 60", timeout_s=2)


def test_what_is_no_answer_is_refused(tmp_path: Path) -> None:
    report = try_folder(write_faulty(tmp_path / "m", predict="return 'text'"), tmp_path)
    assert report.error is not None
    assert "MultiOutputResponse" in report.error.message


def test_an_output_that_says_it_failed_is_a_failure(tmp_path: Path) -> None:
    predict = "return service_pb2.MultiOutputResponse(outputs=[{'status': {'code': 10020, 'description': 'too dark'}}])"
    report = try_folder(write_faulty(tmp_path / "m", predict=predict), tmp_path)
    assert report.error is not None
    assert "too dark" in report.error.message


PICKY = """
from clarifai.runners.models.model_runner import ModelRunner
from clarifai_grpc.grpc.api import service_pb2

class Picky(ModelRunner):
    def predict(self, request):
        return self.answer(request, "image")

    def generate(self, request):
        yield self.answer(request, "video")

    def stream(self, requests):
        for request in requests:
            yield self.answer(request, "audio")

    def answer(self, request, kind):
        if not getattr(request.inputs[0].data, kind).base64:
            raise ValueError(f"only {kind} is allowed here")
        return service_pb2.MultiOutputResponse(outputs=[{"data": {"concepts": [{"name": "cat", "value": 1}]}}])
"""


def test_a_method_that_refuses_the_usual_sample_is_asked_with_another_of_the_type(tmp_path: Path) -> None:
    config = CONFIG.format(model_id="m", user_id="ann", threads=1).replace("text-to-text", "visual-classifier")
    folder = write_folder(tmp_path / "m", model=PICKY, config=config + "concepts:\n- id: '0'\n  name: cat\n")
    report = try_folder(folder, tmp_path)
    asked = [[field.name for field, _ in step.inputs[0].data.ListFields()] for step in report.steps]
    assert asked == [["image"], ["video"], ["image"]]
    assert [step.error and step.error.message for step in report.steps[:2]] == [None, None]
    assert "only audio is allowed here" in str(report.steps[2].error)


def test_a_folder_that_cannot_be_built_is_not_started(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "m")
    (folder / "requirements.txt").unlink()
    with pytest.raises(InvalidFolder, match=r"requirements\.txt is missing"):
        try_folder(folder, tmp_path)


def test_samples_fit_the_models_type() -> None:
    def kinds(model_type_id: str) -> list[set[str]]:
        return [{field.name for field, _ in one.data.ListFields()} for one in make_samples(model_type_id)]

    assert kinds("text-to-text") == [{"text"}]
    assert kinds("visual-classifier") == [{"image"}]
    assert kinds("audio-to-text") == [{"audio"}]
    assert kinds("video-to-text") == [{"video"}]
    assert kinds("multimodal-to-text") == [{"text", "image"}]
    assert kinds("multimodal-embedder") == [{"text"}, {"image"}]
    assert kinds("of-ones-own") == [{"text"}]


def test_the_request_carries_the_concepts_as_the_servers_does() -> None:
    text = CONFIG.format(model_id="m", user_id="ann", threads=1) + "concepts:\n- id: '0'\n  name: cat\n"
    request = make_request(load_config(text).config, [make_text_input("x")])
    assert [one.name for one in request.model.model_version.output_info.data.concepts] == ["cat"]
    assert (request.user_app_id.user_id, request.model.id) == ("ann", "m")


def test_the_cache_can_be_put_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELYARD_CACHE_DIR", str(tmp_path))
    assert default_cache_dir() == tmp_path
    monkeypatch.delenv("MODELYARD_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_cache_dir() == tmp_path / "modelyard"
