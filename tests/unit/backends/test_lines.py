from __future__ import annotations

import asyncio
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.server.backends.lines import CUT_MARK, LinePump, LineSplitter


@given(
    lines=st.lists(st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), max_size=20)),
    cuts=st.lists(st.integers(1, 7)),
)
def test_any_split_of_the_bytes_gives_the_same_lines(lines: list[str], cuts: list[int]) -> None:
    data = "".join(f"{line}\n" for line in lines).encode()
    splitter = LineSplitter()
    got: list[str] = []
    for cut in cuts:
        got += splitter.feed(data[:cut])
        data = data[cut:]
    assert got + splitter.feed(data) + splitter.finish() == lines


@pytest.mark.parametrize(
    ("printed", "lines"),
    [
        (b"a\r\nb\r\n", ["a", "b"]),
        (b" 10%\r 20%\r 30%\n", [" 30%"]),
        (b"caf\xe9\n", ["caf\ufffd"]),
        (b"\n\n", ["", ""]),
        (b"no end", ["no end"]),
    ],
)
def test_lines_of_terminals_and_of_other_encodings(printed: bytes, lines: list[str]) -> None:
    for size in (1, 3, 100):
        splitter = LineSplitter()
        got = [line for at in range(0, len(printed), size) for line in splitter.feed(printed[at : at + size])]
        assert got + splitter.finish() == lines


def test_long_line_is_cut_and_the_next_is_whole() -> None:
    splitter = LineSplitter(max_line_bytes=10)
    got = [line for _ in range(5) for line in splitter.feed(b"x" * 7)]
    assert got + splitter.feed(b"\nnext\n") == ["x" * 10 + CUT_MARK, "next"]


async def test_pump_gives_lines_as_they_come_until_the_end() -> None:
    out, into = os.pipe()
    lines: list[str] = []
    pump = LinePump(out, lines.append)
    os.write(into, b"one\ntwo\nrest")
    os.close(into)
    await asyncio.wait_for(pump.ended.wait(), 5)
    assert lines == ["one", "two", "rest"]


async def test_pump_can_be_closed_while_somebody_holds_the_pipe() -> None:
    out, into = os.pipe()
    pump = LinePump(out, lambda line: None)
    pump.close()
    pump.close()
    os.close(into)
    assert pump.ended.is_set()
