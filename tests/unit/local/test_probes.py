"""Each probe against a model that survives it, and one that does not: real workers, in the tests' own interpreter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from modelyard.local import bench, session
from modelyard.local.conformance import Result, make_error, run_probes
from modelyard.local.probes import PROBES, Verdict, choose_probes
from modelyard.local.session import Options, prepare
from support.folders import write_folder
from unit.local.test_run import Environments

MODEL = """\
import os, signal, socket, threading, time
from pathlib import Path
from clarifai.runners.models.model_runner import ModelRunner
from clarifai_grpc.grpc.api import service_pb2

KEPT = []

def answer(*texts):
    return service_pb2.MultiOutputResponse(outputs=[{{"data": {{"text": {{"raw": text}}}}}} for text in texts])

class Tried(ModelRunner):
    def load_model(self):
        self.calls = 0
        {load}

    def predict(self, request):
        self.calls += 1
        texts = []
        for one in request.inputs:
            text = one.data.text.raw
            {each}
            texts.append(text[:50].upper())
        {end}
        return answer(*texts)

    def generate(self, request):
        for word in request.inputs[0].data.text.raw.split()[:5]:
            yield answer(word)
            {word}

    def stream(self, requests):
        {stream}
        for request in requests:
            yield answer(request.inputs[0].data.text.raw)
"""
BREAKERS: dict[str, dict[str, str]] = {
    "empty": {"each": "text or os._exit(3)"},
    "huge": {"each": "time.sleep(60 if len(text) > 100_000 else 0)"},
    "wrong-kind": {"each": "one.data.image.base64 and os._exit(3)"},
    "broken": {"each": "'\\0' in text and os._exit(3)"},
    "batch": {"end": "texts.reverse()"},
    "params": {"end": "'temperature' in request.model.model_version.output_info.params and os._exit(3)"},
    "cancel": {"word": "time.sleep(60)"},
    "deadline": {"end": "time.sleep(60 if self.calls == 3 else 0)"},
    "at-once": {"end": "self.texts = texts; time.sleep(0.05); texts = self.texts"},
    "replicas": {"load": "self.port = socket.socket(socket.AF_UNIX); self.port.bind(chr(0) + str(Path(__file__)))"},
    "sigterm": {
        "load": "signal.signal(signal.SIGTERM, lambda *_: os._exit(1))",
        "end": "time.sleep(0.1)",
    },
}
SUSPECTS: dict[str, dict[str, str]] = {
    "neighbours": {"each": "assert text, 'no text'"},
    "half-stream": {"stream": "requests = list(requests)"},
    "memory": {"end": "KEPT.append(bytearray(os.urandom(2_000_000)))"},
    "folder": {"end": "Path(__file__).with_name('cache.txt').write_text(str(self.calls))"},
}


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "Environments", Environments)
    monkeypatch.setattr(bench, "MIN_PATIENCE_S", 1.0)


def try_model(tmp_path: Path, *names: str, threads: int = 1, **parts: str) -> dict[str, Result]:
    filled = {**dict.fromkeys(("load", "each", "end", "word", "stream"), "pass"), **parts}
    folder = write_folder(tmp_path / "m", model=MODEL.format(**filled), threads=threads)
    options = Options(cache_dir=tmp_path / "cache", timeout_s=20)
    lines: list[Any] = []
    prepared = prepare(folder, options, lines.append)
    return {one.probe.name: one for one in run_probes(prepared, options, choose_probes(names), lines.append)}


def test_a_model_that_behaves_survives_everything(tmp_path: Path) -> None:
    results = try_model(tmp_path, threads=4)
    assert list(results) == [*(probe.name for probe in PROBES), "folder"]
    assert {name: one.outcome for name, one in results.items() if one.outcome.verdict is not Verdict.SURVIVED} == {}
    assert make_error(results.values()) is None


@pytest.mark.parametrize("name", BREAKERS)
def test_what_breaks_a_model_is_found_by_its_probe(tmp_path: Path, name: str) -> None:
    threads = 8 if name == "at-once" else 1
    result = try_model(tmp_path, name, threads=threads, **BREAKERS[name])[name]
    assert result.outcome.verdict is Verdict.FAILED
    assert result.outcome.reason
    assert result.outcome.fix


@pytest.mark.parametrize("name", SUSPECTS)
def test_what_is_only_unusual_fails_nobody(tmp_path: Path, name: str) -> None:
    results = try_model(tmp_path, *([] if name == "folder" else [name]), **SUSPECTS[name])
    assert results[name].outcome.verdict is Verdict.UNUSUAL
    assert make_error([results[name]]) is None


def test_every_probe_has_a_model_that_it_finds() -> None:
    assert {*BREAKERS, *SUSPECTS} == {"folder", *(probe.name for probe in PROBES)}


def test_a_model_that_one_probe_kills_is_there_again_for_the_next(tmp_path: Path) -> None:
    results = try_model(tmp_path, "empty", "batch", "memory", each="text or os._exit(3)")
    verdicts = [results[name].outcome.verdict for name in ("empty", "batch", "memory")]
    assert verdicts == [Verdict.FAILED, Verdict.SURVIVED, Verdict.SURVIVED]
    error = make_error(results.values())
    assert error is not None
    assert error.message == "the model does not survive: empty"


def test_a_model_that_stays_sick_after_a_probe_has_not_survived_it(tmp_path: Path) -> None:
    each = "self.sick = getattr(self, 'sick', False) or bool(one.data.image.base64); assert not self.sick, 'still sick'"
    result = try_model(tmp_path, "wrong-kind", each=each)["wrong-kind"]
    assert result.outcome.verdict is Verdict.FAILED
    assert "afterwards an ordinary request failed" in result.outcome.reason
    assert "still sick" in result.outcome.reason


def test_methods_that_are_not_there_are_skipped(tmp_path: Path) -> None:
    model = MODEL.format(**dict.fromkeys(("load", "each", "end", "word", "stream"), "pass"))
    model = model.replace("def generate", "def _generate").replace("def stream", "def _stream")
    folder = write_folder(tmp_path / "m", model=model)
    options = Options(cache_dir=tmp_path / "cache", timeout_s=20)
    prepared = prepare(folder, options, print)
    probes = choose_probes(("cancel", "half-stream"))
    verdicts = [one.outcome.verdict for one in run_probes(prepared, options, probes, print)]
    assert verdicts == [Verdict.SKIPPED, Verdict.SKIPPED, Verdict.SURVIVED]
