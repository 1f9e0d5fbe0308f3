"""`modelyard run DIR --serve` and `--watch` as an author uses them: real processes, real doors, real saves."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from modelyard.cli.exit_codes import exit_code_of
from modelyard.errors import ModelLoadFailed
from support.folders import CONFIG, write_folder
from support.probe import wait_until
from support.server import V2
from support.serving import ServedFolder, Terminal, save, served_folder

MODEL = """\
from clarifai.runners.models.model_runner import ModelRunner
from clarifai_grpc.grpc.api import resources_pb2, service_pb2


def reply(text):
    output = resources_pb2.Output()
    output.data.text.raw = text
    return service_pb2.MultiOutputResponse(outputs=[output])


class Model(ModelRunner):
    def load_model(self):
        with open("loads.txt", "a") as file:
            file.write("x")
        self.mark = "!"

    def predict(self, request):
        return reply("one " + request.inputs[0].data.text.raw + self.mark)
"""


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder for temporary files whose path has room for sockets."""
    with tempfile.TemporaryDirectory(prefix="my") as name:
        yield Path(name)


@pytest.fixture
def served(folder: Path, cache: Path) -> Iterator[ServedFolder]:
    with served_folder(write_folder(folder, model=MODEL), "--watch", cache_dir=cache) as one:
        yield one


def ask(served: ServedFolder, text: str = "x") -> str:
    with V2(served) as v2:
        answer = v2.predict("echo", text)
        return answer.outputs[0].data.text.raw if answer.outputs else answer.status.details


def count_loads(served: ServedFolder) -> int:
    return len((served.folder / "loads.txt").read_text())


def find_workers(folder: Path) -> list[str]:
    """Processes of this machine that work in the folder."""
    found = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = place.read_bytes().split(b"\0")
        except OSError:
            continue
        if os.fsencode(folder) in words and b"modelyard.worker" in words:
            found.append(place.parent.name)
    return found


def test_every_door_answers_and_requests_are_told(folder: Path, cache: Path) -> None:
    with served_folder(write_folder(folder), cache_dir=cache) as served, V2(served) as v2:
        assert v2.predict("echo", "hi").outputs[0].data.text.raw == "hi"
        assert [one.outputs[0].data.text.raw for one in v2.generate("echo", "a b")] == ["0:a", "1:b"]
        assert [one.outputs[0].data.text.raw for one in v2.stream(iter([v2.text_request("echo", "up")]))] == ["UP"]
        assert "ValueError: I was told to" in str(v2.predict("echo", "raise").status)
        with pytest.raises(grpc.RpcError, match="UNIMPLEMENTED"):
            list(v2.stub.PostModelVersionsUpload(iter([]), metadata=v2.metadata))

        body = json.dumps({"inputs": [{"data": {"text": {"raw": "rest"}}}]}).encode()
        request = urllib.request.Request(
            f"{served.url}/v2/users/local/apps/main/models/echo/outputs",
            body,
            {"Authorization": f"Key {served.token}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request) as answer:
            assert json.load(answer)["outputs"][0]["data"]["text"]["raw"] == "rest"

        served.wait_for("predict  ", times=2)
        assert "2 answers, the first after" in served.wait_for("generate  ")
        assert "1 answer, the first" in served.wait_for("stream  ")
        assert "1/model.py line 35, in predict" in served.wait_for("MODEL_PREDICTION_FAILED")
        served.wait_for('    raise ValueError("I was told to")')


def test_a_wrong_token_is_refused_and_told(served: ServedFolder) -> None:
    with V2(served, token="wrong") as v2:
        assert not v2.predict("echo", "x").outputs
    served.wait_for("predict  failed")


def test_the_command_line_reaches_it_by_env(served: ServedFolder) -> None:
    def run(*arguments: str, **more: str) -> str:
        command = [sys.executable, "-m", "modelyard.cli.main", *arguments]
        done = subprocess.run(command, env={**served.environ, **more}, text=True, capture_output=True, check=True)
        return done.stdout

    values = json.loads(run("env", str(served.folder), "--json"))
    assert values["CLARIFAI_API_BASE"] == served.url
    assert run("predict", "echo", "--text", "by hand", **values).strip() == "one by hand!"
    assert "echo" in run("models", **values)
    assert "one" not in run("logs", "echo", **values)


@pytest.mark.parametrize(("model_type", "field"), [("text-to-text", "text"), ("image-to-text", "image")])
def test_the_curl_command_works_as_it_is_printed(folder: Path, cache: Path, model_type: str, field: str) -> None:
    config = CONFIG.format(model_id="echo", user_id="local", threads=1).replace("text-to-text", model_type)
    model = MODEL.replace("request.inputs[0].data.text.raw", f"str(request.inputs[0].data.HasField('{field}'))")
    write_folder(folder, model=model, config=config)
    terminal = Terminal("run", folder, "--serve", cache_dir=cache)
    try:
        command = terminal.wait_for("curl -s")
        answer = subprocess.run(["sh", "-c", command], capture_output=True, check=True)
        assert json.loads(answer.stdout)["outputs"][0]["data"]["text"]["raw"] == "one True!"
        terminal.wait_for("Ctrl-C stops it.")
    finally:
        assert terminal.interrupt() == 0


def test_a_save_answers_and_loads_nothing(served: ServedFolder) -> None:
    assert ask(served) == "one x!"
    for before, after in (("one", "two"), ("two", "ten")):
        served.save(f'"{before} "', f'"{after} "')
        wait_until(lambda after=after: ask(served) == f"{after} x!")
    assert "Model.predict changed; weights kept" in served.wait_for("reloaded in", times=2)
    assert count_loads(served) == 1


def test_a_mistake_is_told_with_its_line_and_the_old_code_serves_on(served: ServedFolder) -> None:
    served.save("        self.mark", "        self.mark = = ")
    assert "1/model.py line 15: SyntaxError" in served.wait_for("not reloaded")
    assert ask(served) == "one x!"

    served.save("        self.mark = =  = ", "        self.mark = ")
    served.save('"one "', '"two "')
    served.wait_for("reloaded in")
    assert ask(served) == "two x!"
    assert count_loads(served) == 1


def test_a_changed_load_model_loads_again_and_the_old_one_serves_until_then(
    served: ServedFolder, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    served.save('self.mark = "!"', f"self.mark = open({str(gate)!r}).read()")
    assert "loading uses Model.load_model" in served.wait_for("loading again")
    assert ask(served) == "one x!"

    gate.write_text("?")
    served.wait_for("loaded again in")
    assert ask(served) == "one x?"
    assert count_loads(served) == 2


def test_a_load_that_fails_leaves_the_old_model_serving(served: ServedFolder) -> None:
    served.save('self.mark = "!"', "self.mark = 1 / 0")
    assert "1/model.py line 15: ZeroDivisionError" in served.wait_for("not loaded")
    served.wait_for("the model as it was before serves on")
    assert ask(served) == "one x!"


def test_a_changed_config_starts_a_new_worker(served: ServedFolder) -> None:
    served.save("num_threads: 4", "num_threads: 2", "config.yaml")
    assert "config.yaml changed" in served.wait_for("loading again")
    served.wait_for("loaded again in")
    assert ask(served) == "one x!"


def test_a_model_that_dies_is_started_again(folder: Path, cache: Path) -> None:
    with served_folder(write_folder(folder), "--watch", cache_dir=cache) as served:
        assert ask(served, "crash") != "crash"
        served.wait_for("exit code 3")
        assert ask(served) == "x"


def test_a_first_load_that_fails_ends_with_its_code_and_is_waited_for_with_watch(folder: Path, cache: Path) -> None:
    write_folder(folder, model=MODEL.replace('self.mark = "!"', "self.mark = 1 / 0"))
    terminal = Terminal("run", folder, "--serve", "--port", "0", cache_dir=cache)
    terminal.wait_for("1/model.py line 15: ZeroDivisionError")
    assert terminal.end() == exit_code_of(ModelLoadFailed(""))

    with served_folder(folder, "--watch", cache_dir=cache) as served:
        served.wait_for("the next save is waited for")
        served.save("1 / 0", '"!"')
        served.wait_for("loaded again in")
        assert ask(served) == "one x!"


@pytest.mark.parametrize("when", ["serving", "loading"])
def test_ctrl_c_leaves_nothing_behind(folder: Path, cache: Path, tmp_path: Path, short: Path, when: str) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    wait = f"print('waits', flush=True); open({str(gate)!r}).read()" if when == "loading" else "pass"
    write_folder(folder, model=MODEL.replace('self.mark = "!"', f'self.mark = "!"; {wait}'))
    before = sorted(folder.rglob("*"))
    terminal = Terminal(*("run", folder, "--serve", "--watch", "--port", "0"), cache_dir=cache, temp_dir=short)
    terminal.wait_for("Ctrl-C stops it." if when == "serving" else "waits")
    assert find_workers(folder)

    assert terminal.interrupt() == 0
    assert find_workers(folder) == []
    assert sorted(set(folder.rglob("*")) - {folder / "loads.txt"}) == before
    assert list(short.iterdir()) == []
    assert list(cache.glob("serve/*/server.json")) == []
    assert list(cache.glob("serve/*/run")) == []


def test_a_second_start_keeps_the_token(folder: Path, cache: Path) -> None:
    tokens = []
    for _ in range(2):
        with served_folder(write_folder(folder, model=MODEL), cache_dir=cache) as served:
            tokens.append(served.token)
            assert ask(served) == "one x!"
    assert tokens[0] == tokens[1]


def test_a_folder_is_served_once(served: ServedFolder, cache: Path) -> None:
    second = Terminal("run", served.folder, "--serve", cache_dir=cache)
    second.wait_for("is being served already")
    assert second.end() != 0


def test_a_port_that_is_taken_is_told_where_it_was_asked_for(folder: Path, cache: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        terminal = Terminal("run", write_folder(folder), "--serve", "--port", str(port), cache_dir=cache)
        terminal.wait_for(f"port {port} is in use")
        assert terminal.end() != 0


def test_without_serving_the_test_requests_run_again_after_every_save(folder: Path, cache: Path) -> None:
    write_folder(folder, model=MODEL)
    terminal = Terminal("run", folder, "--watch", "--text", "hi", cache_dir=cache)
    try:
        terminal.wait_for("one hi!")
        path = folder / "1" / "model.py"
        save(path, MODEL.replace('"one "', '"two "'))
        terminal.wait_for("weights kept")
        terminal.wait_for("two hi!")
        save(path, MODEL.replace('"one "', "one"))
        terminal.wait_for("failed: NameError", times=1)
        save(path, MODEL.replace('"one "', '"ten "').replace('"!"', '"?"'))
        terminal.wait_for("loading again: loading uses Model.load_model")
        terminal.wait_for("ten hi?")
        save(path, "import nothing_of_this_name")
        terminal.wait_for("not loaded: 1/model.py line 1: ModuleNotFoundError")
        save(path, MODEL.replace('"one "', '"end "'))
        terminal.wait_for("end hi!")
    finally:
        code = terminal.interrupt()
    assert code == 0
    assert (folder / "loads.txt").read_text() == "xxx"
    assert find_workers(folder) == []


def test_files_that_a_slow_load_writes_do_not_start_it_again(served: ServedFolder, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    served.save('self.mark = "!"', f"open({str(gate)!r}).read(); self.mark = '?'")
    served.wait_for("loading again")
    with gate.open("w"):
        (served.folder / "notes.md").write_text("saved while it loads")
        time.sleep(0.5)  # longer than a burst: the saves have been told
    served.wait_for("loaded again in")
    assert ask(served) == "one x?"
    assert count_loads(served) == 2


def test_a_failing_load_that_writes_files_is_not_tried_again_by_itself(folder: Path, cache: Path) -> None:
    write_folder(folder, model=MODEL.replace('self.mark = "!"', "self.mark = 1 / 0"))
    with served_folder(folder, "--watch", cache_dir=cache) as served:
        served.wait_for("the next save is waited for")
        time.sleep(0.5)  # as above
        assert count_loads(served) == 1
        served.save("1 / 0", "2 / 0")
        served.wait_for("not loaded", times=2)
        time.sleep(0.5)
        assert count_loads(served) == 2
