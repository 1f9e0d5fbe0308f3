"""Inputs from what people have."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelyard.client.inputs import (
    make_file_input,
    make_media_input,
    make_text_input,
    make_url_input,
    read_json_inputs,
)
from modelyard.errors import InvalidInput


def test_a_text_is_a_text() -> None:
    assert make_text_input("hi").data.text.raw == "hi"


def test_a_file_is_taken_by_its_ending(tmp_path: Path) -> None:
    for name in ("a.png", "a.wav", "a.mp4", "a.txt"):
        (tmp_path / name).write_bytes(b"bytes")
    assert make_file_input(str(tmp_path / "a.png")).data.image.base64 == b"bytes"
    assert make_file_input(str(tmp_path / "a.wav")).data.audio.base64 == b"bytes"
    assert make_file_input(str(tmp_path / "a.mp4")).data.video.base64 == b"bytes"
    assert make_file_input(str(tmp_path / "a.txt")).data.text.raw == "bytes"


def test_bytes_of_no_known_kind_are_refused_with_what_to_say(tmp_path: Path) -> None:
    (tmp_path / "blob").write_bytes(b"\xff\xfe\xfd")
    with pytest.raises(InvalidInput) as raised:
        make_file_input(str(tmp_path / "blob"))
    assert "--image" in raised.value.hint


def test_a_url_travels_as_a_url() -> None:
    assert make_media_input("image", "https://host/a.png").data.image.url == "https://host/a.png"
    assert make_url_input("https://host/a.mp4?x=1").data.video.url == "https://host/a.mp4?x=1"
    assert make_url_input("https://host/picture").data.image.url == "https://host/picture"


def test_what_is_no_url_is_refused() -> None:
    with pytest.raises(InvalidInput, match="not an http or https URL"):
        make_url_input("file:///etc/hosts")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"gone\.png cannot be read"):
        make_media_input("image", str(tmp_path / "gone.png"))


@pytest.mark.parametrize(
    "text",
    [
        '{"data": {"text": {"raw": "hi"}}}',
        '{"text": {"raw": "hi"}}',
        '[{"text": {"raw": "hi"}}]',
        '{"inputs": [{"data": {"text": {"raw": "hi"}}}]}',
    ],
)
def test_json_is_read_in_every_shape(text: str) -> None:
    assert [one.data.text.raw for one in read_json_inputs(text)] == ["hi"]


@pytest.mark.parametrize("text", ["{", '{"data": {"nonsense": 1}}', "[1]", '"hi"', "null", '{"inputs": 3}'])
def test_json_that_is_no_input_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        read_json_inputs(text)
