"""What `modelyard init` prints as next is what works: the commands of new folders, word by word, against a server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from support.server import CACHE, RunningServer

Shell = Callable[[str], str]
TELLS = {
    "image-classifier": "green",
    "audio-to-text": "HELLO WORLD",
    "multimodal-to-text": "48 pixels wide",
    "openai": "your tests take too long",
    "typed": "light",
}


@pytest.fixture
def shell(server: RunningServer, tmp_path: Path) -> Shell:
    """A shell in an empty folder, in which `modelyard` is this one and knows the server."""
    environ = {
        **os.environ,
        **server.environment,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "UV_CACHE_DIR": str(CACHE / "uv"),
        "MODELYARD_CACHE_DIR": str(tmp_path / "cache"),
    }

    def run(line: str) -> str:
        done = subprocess.run(
            ["sh", "-c", line], cwd=tmp_path, env=environ, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    return run


@pytest.mark.parametrize("template", TELLS)
def test_the_next_commands_work_as_they_are_printed(template: str, shell: Shell) -> None:
    printed = shell(f"modelyard init 'My {template}' -t {template}")
    commands = [line.strip() for line in printed.partition("next:\n")[2].splitlines()]
    assert len(commands) == 3
    answers = [shell(command) for command in commands]
    assert TELLS[template] in answers[-1]


def test_a_chat_goes_through_rest_and_grpc_alike(shell: Shell) -> None:
    shell("modelyard init chat -t openai && modelyard upload chat")
    body = json.dumps({"messages": [{"role": "user", "content": "I need a holiday"}], "temperature": 0})
    answer = json.loads(shell(f"modelyard predict chat --text '{body}'"))
    assert answer["choices"][0]["message"]["content"] == "Why do you need a holiday?"
    assert answer["model"] == "chat"
    before = json.dumps([{"role": "user", "content": "hello"}])
    told = shell(f"modelyard predict chat --text 'my dog is ill' --param 'messages={before}' --param temperature=0")
    assert told.strip() == "Tell me more about your dog."
