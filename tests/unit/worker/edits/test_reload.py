"""A real worker takes edits: it answers by the new code, and what it had loaded stays, or it says why not."""

from __future__ import annotations

import os
import select
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import modelyard
from modelyard.errors import ModelyardError
from modelyard.wire.frames import FIRST, GENERATE, LAST, Frame, FrameDecoder, Kind, encode_frame
from modelyard.wire.handshake import State
from modelyard.wire.messages import Data, Input, MultiOutputResponse, PostModelOutputsRequest, Text
from modelyard.wire.reload import FAILED, KEPT, RESTART, SAME, Reloaded, encode_paths
from modelyard.wire.worker_errors import decode_error

HEAD = """
from clarifai_grpc.grpc.api import resources_pb2, service_pb2
from modelyard.sdk.runner import ModelRunner

def reply(text):
    output = resources_pb2.Output()
    output.data.text.raw = str(text)
    return service_pb2.MultiOutputResponse(outputs=[output])
"""
MODEL = (
    HEAD
    + """
LIMIT = 1

class Model(ModelRunner):
    def load_model(self):
        with open("loads.txt", "a") as file:
            file.write("x")
        self.loaded = object()

    def predict(self, request):
        return reply(f"one {LIMIT}")
"""
)


class Worker:
    """A worker that watches, and a folder to edit."""

    def __init__(self, root: Path, files: dict[str, str]) -> None:
        self.folder = root / "model"
        for name, text in files.items():
            self.write(name, text)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(root / "s"))
        listener.listen()
        listener.settimeout(20)
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-P", "-m", "modelyard.worker", "--socket", str(root / "s"), "--watch"),
                *("--folder", str(self.folder), "--replica", "r"),
            ],
            stdin=subprocess.PIPE,
            start_new_session=True,
            env={
                **os.environ,
                "PYTHONPATH": str(Path(modelyard.__file__).parent.parent),
                "PYTHONPYCACHEPREFIX": str(root / "bytecode"),
            },
        )
        assert self.process.stdin is not None
        self.process.stdin.write(b"secret\n")
        self.process.stdin.close()
        self.connection, _ = listener.accept()
        self.connection.settimeout(20)
        listener.close()
        self.decoder = FrameDecoder()
        self.frames: list[Frame] = []
        self.last_id = 0
        self.read()
        self.read()
        self.state = State.decode(self.read().payload)

    def write(self, name: str, text: str) -> None:
        """As editors do: a new file takes the old one's place."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".tmp")
        temporary.write_text(text)
        temporary.replace(path)

    def edit(self, before: str, after: str, name: str = "1/model.py") -> None:
        text = (self.folder / name).read_text()
        assert before in text
        self.write(name, text.replace(before, after))

    def read(self) -> Frame:
        while not self.frames:
            data = self.connection.recv(1 << 16)
            assert data, "the worker closed"
            self.frames += self.decoder.feed(data)
        return self.frames.pop(0)

    def send(self, kind: Kind, payload: bytes, flags: int = 0) -> int:
        self.last_id += 1
        self.connection.sendall(encode_frame(kind, self.last_id, payload, flags))
        return self.last_id

    def ask(self, text: str = "x") -> str:
        """What predict answers, or why it fails."""
        self.begin(text)
        return self.hear()

    def begin(self, text: str, flags: int = 0) -> int:
        request = PostModelOutputsRequest(inputs=[Input(data=Data(text=Text(raw=text)))])
        return self.send(Kind.REQUEST, request.SerializeToString(), FIRST | LAST | flags)

    def hear(self) -> str:
        frame = self.read()
        if frame.kind is Kind.ERROR:
            error: ModelyardError = decode_error(frame.payload)
            return error.message
        return MultiOutputResponse.FromString(frame.payload).outputs[0].data.text.raw

    def reload(self, *paths: str) -> Reloaded:
        self.send(Kind.RELOAD, encode_paths(paths or ("1/model.py",)))
        return Reloaded.decode(self.read().payload)

    def count_loads(self) -> int:
        return len((self.folder / "loads.txt").read_text())


Start = Callable[..., Worker]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    workers: list[Worker] = []

    def start_worker(model: str = MODEL, **files: str) -> Worker:
        named = {f"1/{name}" if "." in name else f"1/{name}.py": text for name, text in files.items()}
        workers.append(Worker(tmp_path, {"1/model.py": model, **named}))
        return workers[-1]

    yield start_worker
    for worker in workers:
        worker.connection.close()
        worker.process.kill()
        worker.process.wait()


def test_an_edit_of_predict_answers_at_once_and_loads_nothing(start: Start) -> None:
    worker = start()
    assert worker.ask() == "one 1"

    worker.edit("one", "two")
    told = worker.reload()

    assert (told.outcome, told.changed, told.in_flight) == (KEPT, ("Model.predict",), 0)
    assert worker.ask() == "two 1"
    assert worker.count_loads() == 1


def test_two_saves_in_one_second_of_the_same_length_are_both_seen(start: Start) -> None:
    worker = start()
    for word in ("two", "six", "ten"):
        worker.write("1/model.py", MODEL.replace("one", word))
        worker.reload()
        assert worker.ask() == f"{word} 1"


def test_values_definitions_and_imports_come_and_go(start: Start) -> None:
    worker = start()

    worker.edit("LIMIT = 1", "LIMIT = 2\nimport json\n\ndef wrap(text, mark='!'):\n    return json.dumps(text + mark)")
    worker.edit('reply(f"one {LIMIT}")', 'reply(wrap(self._mark(f"one {LIMIT}")))')
    worker.edit(
        "    def predict", "    @staticmethod\n    def _mark(text):\n        return text + '?'\n\n    def predict"
    )
    assert worker.reload().outcome == KEPT
    assert worker.ask() == '"one 2?!"'

    worker.edit("mark='!'", "mark='.'")
    assert worker.reload().changed == ("wrap",)
    assert worker.ask() == '"one 2?."'

    worker.write("1/model.py", MODEL.replace('reply(f"one', 'reply(f"{wrap} one'))
    assert worker.reload().outcome == KEPT
    assert "name 'wrap' is not defined" in worker.ask()
    assert worker.count_loads() == 1


def test_a_syntax_error_keeps_the_old_code_and_says_the_line(start: Start) -> None:
    worker = start()

    worker.edit("return reply(f", "return return reply(f")
    told = worker.reload()

    assert (told.outcome, told.message) == (FAILED, "1/model.py line 19: SyntaxError: invalid syntax")
    assert worker.ask() == "one 1"
    worker.write("1/model.py", MODEL)
    assert worker.reload().outcome == SAME


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("self.loaded = object()", "self.loaded = None", "loading uses Model.load_model, which changed in 1/model.py"),
        ("class Model(", "class Renamed(", "loading uses Model, which is gone from 1/model.py"),
        ("LIMIT = 1", "LIMIT = len([1])", "1/model.py line 10: a statement that runs at import changed"),
        ("    def predict", "    @property\n    def predict", "Model.predict in 1/model.py changed its decorators"),
        ("LIMIT = 1", "LIMIT = 1\nfrom nowhere import nothing", "new definitions did not run: ModuleNotFoundError"),
        ("LIMIT = 1", "LIMIT = 1\nclass Other(ModelRunner): pass", "Other is another model in 1/model.py"),
    ],
)
def test_what_cannot_be_taken_changes_nothing(start: Start, before: str, after: str, told: str) -> None:
    worker = start()

    worker.edit(before, after)
    answer = worker.reload()

    assert answer.outcome == RESTART
    assert told in answer.message
    assert worker.ask() == "one 1"


def test_a_traceback_names_the_line_where_code_is_now(start: Start) -> None:
    worker = start(
        MODEL.replace('return reply(f"one {LIMIT}")', "return reply(fail())\n\ndef fail():\n    return 1 / 0")
    )
    assert "1/model.py line 22" in worker.ask()

    worker.edit("LIMIT = 1", "\n\n\nLIMIT = 1")
    assert worker.reload() == Reloaded(outcome=KEPT, methods=frozenset({"predict"}))
    assert "1/model.py line 25" in worker.ask()


HELPED = (
    HEAD
    + """
import pickle
from parts import Entry, Level, SCALE, state, describe

class Base:
    def name(self):
        return "base"

class Derived(Base):
    def name(self):
        return "derived"

class Model(ModelRunner):
    def load_model(self):
        open("loads.txt", "a").write("x")
        self.entry = Entry("a")
        self.level = Level.HIGH
        self.object = Derived()

    def predict(self, request):
        state["calls"] = state.get("calls", 0) + 1
        again = pickle.loads(pickle.dumps(self.entry))
        facts = [isinstance(self.entry, Entry), again == self.entry, self.level is Level.HIGH]
        return reply(f"{facts} {state['calls']} {describe(self.entry)} {SCALE} {self.object.name()}")
"""
)
PARTS = """
from dataclasses import dataclass
from enum import Enum

SCALE = 2
state = {}

class Level(Enum):
    HIGH = 1

@dataclass(frozen=True)
class Entry:
    text: str

def describe(entry):
    return entry.text
"""


def test_identity_pickles_enums_and_state_of_modules_survive(start: Start) -> None:
    worker = start(HELPED, parts=PARTS)
    assert worker.ask() == "[True, True, True] 1 a 2 derived"

    worker.edit("return entry.text", "return entry.text.upper()", "1/parts.py")
    worker.edit("SCALE = 2", "SCALE = 3", "1/parts.py")
    told = worker.reload("1/parts.py")

    assert told.changed == ("SCALE", "describe")
    assert worker.ask() == "[True, True, True] 2 A 3 derived"

    worker.edit('"derived"', 'super().name() + "!"')
    assert worker.reload().outcome == KEPT
    assert worker.ask() == "[True, True, True] 3 A 3 base!"
    assert worker.count_loads() == 1


def test_a_subclass_and_a_new_module_in_other_files_are_followed(start: Start) -> None:
    base = HEAD + "class Base(ModelRunner):\n    def predict(self, request):\n        return reply('base')\n"
    worker = start("from base import Base\n\nclass Model(Base):\n    pass\n", base=base)
    assert worker.ask() == "base"

    worker.write("1/words.py", "WORD = 'word'\n")
    worker.edit("class Base", "from words import WORD\n\nclass Base", "1/base.py")
    worker.edit("'base'", "WORD", "1/base.py")
    assert worker.reload("1/base.py", "1/words.py").outcome == KEPT
    assert worker.ask() == "word"

    worker.edit("'word'", "'other'", "1/words.py")
    assert worker.reload("1/words.py").changed == ("WORD",)
    assert worker.ask() == "other"

    (worker.folder / "1/words.py").unlink()
    assert worker.reload("1/words.py").message == "1/words.py is gone"
    assert worker.ask() == "other"


def test_two_files_may_change_together(start: Start) -> None:
    parts = "def one(text):\n    return text\n"
    model = HEAD + "from parts import one\nclass Model(ModelRunner):\n    def predict(self, request):\n"
    worker = start(model + "        return reply(one('a'))\n", parts=parts)

    worker.write("1/parts.py", parts + "def two(text):\n    return text * 2\n")
    worker.edit("from parts import one", "from parts import one, two")
    worker.edit("one('a')", "two(one('a'))")

    assert worker.reload("1/model.py", "1/parts.py").outcome == KEPT
    assert worker.ask() == "aa"


DECORATED = (
    HEAD
    + """
import functools
from contextlib import contextmanager

def size():
    return 1

@functools.lru_cache
def count(text):
    return f"{text} {size()}"

@contextmanager
def around():
    yield "in"

def loud(function):
    memory = {}
    def remember(text):
        if text not in memory:
            memory[text] = function(text)
        return memory[text]
    return remember

@loud
def shout(text):
    return text.upper()

class Model(ModelRunner):
    @property
    def mark(self):
        return "!"

    @classmethod
    def kind(cls):
        return "kind"

    def predict(self, request):
        with around() as word:
            return reply(f"{count('n')} {word} {self.mark} {self.kind()} {shout('a')}")
"""
)


def test_decorated_functions_are_exchanged_where_their_decorator_is_known(start: Start) -> None:
    worker = start(DECORATED)
    assert worker.ask() == "n 1 in ! kind A"

    worker.edit("return 1", "return 2")
    assert worker.reload().outcome == KEPT
    assert worker.ask() == "n 2 in ! kind A"

    for before, after in (('f"{text} {size()}"', "text"), ('"in"', '"out"'), ('"!"', '"?"'), ('"kind"', '"sort"')):
        worker.edit(before, after)
    assert worker.reload().outcome == KEPT
    assert worker.ask() == "n out ? sort A"

    worker.edit("text.upper()", "text.lower()")
    told = worker.reload()
    assert (told.outcome, told.message) == (RESTART, "shout is not the plain function that the file says")
    assert worker.ask() == "n out ? sort A"


def test_requests_in_flight_finish_in_the_old_code(start: Start, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    model = (
        HEAD
        + f"""
def word():
    return "old"

class Model(ModelRunner):
    def predict(self, request):
        if request.inputs[0].data.text.raw == "wait":
            open({str(gate)!r}).read()
        return reply(word())
"""
    )
    worker = start(model)
    worker.begin("wait")
    opened = gate.open("w")

    worker.edit('"old"', '"new"')
    worker.send(Kind.RELOAD, encode_paths(["1/model.py"]))
    is_quiet = not select.select([worker.connection], [], [], 0.5)[0]
    opened.close()

    assert is_quiet
    assert worker.hear() == "old"
    assert Reloaded.decode(worker.read().payload).in_flight == 0
    assert worker.ask() == "new"


def test_a_long_answer_goes_on_in_the_function_that_it_is_in(start: Start, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    model = (
        HEAD
        + f"""
class Model(ModelRunner):
    def generate(self, request):
        yield reply("old 1")
        open({str(gate)!r}).read()
        yield reply("old 2")
"""
    )
    worker = start(model)
    worker.begin("x", GENERATE)
    assert worker.hear() == "old 1"

    worker.edit("old 1", "new 1")
    worker.edit("old 2", "new 2")
    told = worker.reload()
    with gate.open("w"):
        pass

    assert (told.outcome, told.in_flight) == (KEPT, 1)
    assert worker.hear() == "old 2"


def test_methods_that_come_and_go_are_told(start: Start) -> None:
    worker = start()
    assert worker.state.methods == {"predict"}

    worker.edit("    def predict", "    def generate(self, request):\n        yield reply('g')\n\n    def predict")
    assert worker.reload().methods == {"predict", "generate"}
    worker.begin("x", GENERATE)
    assert worker.hear() == "g"


TYPED = """
from modelyard.sdk.model_class import ModelClass

class Model(ModelClass):
    def load_model(self):
        with open("loads.txt", "a") as file:
            file.write("x")

    @ModelClass.method
    def predict(self, text: str, times: int = 2) -> str:
        return "one" * times
"""


def test_a_typed_method_gets_new_code_and_a_new_signature_is_a_new_start(start: Start) -> None:
    worker = start(TYPED)
    assert worker.ask() == "oneone"

    worker.edit('"one"', '"two"')
    assert worker.reload().outcome == KEPT
    assert worker.ask() == "twotwo"
    worker.edit("times: int = 2", "times: int = 3")
    assert worker.reload().outcome == RESTART


def test_files_that_loading_read_ask_for_a_new_start_and_others_do_not(start: Start) -> None:
    model = MODEL.replace("self.loaded = object()", "self.labels = open('1/labels.txt').read()")
    worker = start(model, **{"labels.txt": "cat"})
    worker.write("notes.md", "notes")

    assert worker.reload("notes.md", "loads.txt", "1/labels.txt").outcome == SAME
    worker.write("1/labels.txt", "dog")
    assert worker.reload("1/labels.txt").message == "loading read 1/labels.txt, which changed"
    worker.write("1/checkpoints/a.bin", "weights")
    assert worker.reload("1/checkpoints/a.bin").message == "1/checkpoints/a.bin is new among the weights"


def test_saves_under_load_fail_no_request(start: Start) -> None:
    worker = start()
    answers = []
    in_flight = 100  # a gateway reads whatever it writes: two who only write would wait for each other
    for number in range(300 + in_flight):
        if number >= 300:
            pass
        elif number % 10 == 9:
            worker.write("1/model.py", MODEL.replace("one", f"n{number:03}"))
            worker.send(Kind.RELOAD, encode_paths(["1/model.py"]))
        else:
            worker.begin("x")
        if number < in_flight:
            continue
        frame = worker.read()
        if frame.request_id % 10:
            answers.append(MultiOutputResponse.FromString(frame.payload).outputs[0].data.text.raw)
        else:
            assert Reloaded.decode(frame.payload).outcome in (KEPT, SAME)

    assert len(answers) == 270
    assert {text[-2:] for text in answers} == {" 1"}
    assert worker.ask() == "n299 1"
    assert worker.count_loads() == 1
