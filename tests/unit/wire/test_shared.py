from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelyard.errors import InternalError, TooLarge
from modelyard.wire.pieces import Pieces
from modelyard.wire.shared import SharedMemory, make_file

SIZE_BYTES = 1 << 20
HALF_BYTES = SIZE_BYTES // 2


class Ends:
    """Both sides."""

    def __init__(self) -> None:
        self.file = make_file(SIZE_BYTES)
        self.gateway = SharedMemory(self.file, is_gateway=True)
        self.worker = SharedMemory(self.file, is_gateway=False)

    def count_bytes(self) -> int:
        """What the system has given of it."""
        return os.fstat(self.file).st_blocks * 512


@pytest.fixture
def ends() -> Iterator[Ends]:
    found = Ends()
    yield found
    os.close(found.file)


def test_what_one_side_puts_the_other_takes(ends: Ends) -> None:
    asked = ends.gateway.put(b"question")
    answered = ends.worker.put(Pieces([b"ans", memoryview(b"wer")]))
    assert asked is not None
    assert answered is not None
    assert ends.worker.take(asked, 100) == b"question"
    assert ends.gateway.take(answered, 100) == b"answer"
    assert not ends.gateway.is_empty
    ends.gateway.free(asked)
    assert ends.gateway.is_empty


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.tuples(st.integers(0, HALF_BYTES // 3), st.booleans(), st.integers(0, 1 << 30)), min_size=1, max_size=40
    )
)
def test_no_slot_lies_in_another_in_whatever_order_they_are_given_back(steps: list[tuple[int, bool, int]]) -> None:
    ends = Ends()
    held: list[tuple[bytes, bytes]] = []
    try:
        for number, (size, takes, which) in enumerate(steps):
            payload = bytes([number]) * (size + 1)
            place = ends.gateway.put(payload)
            if place is not None:
                held.append((place, payload))
            if held and (takes or place is None):
                place, payload = held.pop(which % len(held))
                assert ends.worker.take(place, HALF_BYTES) == payload
                ends.gateway.free(place)
        for place, payload in held:
            assert ends.worker.take(place, HALF_BYTES) == payload
            ends.gateway.free(place)
        assert ends.gateway.is_empty
        assert ends.gateway.put(bytes(HALF_BYTES)) is not None
    finally:
        os.close(ends.file)


def test_there_is_no_slot_where_there_is_no_room(ends: Ends) -> None:
    assert ends.worker.put(bytes(HALF_BYTES + 1)) is None
    first = ends.worker.put(bytes(HALF_BYTES // 2))
    assert ends.worker.put(bytes(HALF_BYTES // 2)) is not None
    assert ends.worker.put(b"x") is None
    assert ends.gateway.put(bytes(HALF_BYTES)) is not None  # the other direction has a half of its own
    assert first is not None
    ends.worker.free(first)
    assert ends.worker.put(b"x") is not None


@pytest.mark.parametrize(
    ("place", "said"),
    [
        (b"\0\0\0\0\0\0\0", "8 bytes, not 7"),
        (HALF_BYTES.to_bytes(4, "big") + b"\0\0\0\1", "ends behind it"),
        (b"\xff\xff\xff\xff\0\0\0\1", "ends behind it"),
    ],
)
def test_a_place_that_there_is_not_is_refused(ends: Ends, place: bytes, said: str) -> None:
    with pytest.raises(InternalError, match=said):
        ends.worker.take(place, HALF_BYTES)


def test_what_is_above_the_limit_is_refused(ends: Ends) -> None:
    place = ends.worker.put(bytes(1001))
    assert place is not None
    with pytest.raises(TooLarge):
        ends.gateway.take(place, 1000)


def test_nothing_is_given_back_twice_or_by_half(ends: Ends) -> None:
    place = ends.worker.put(bytes(100))
    assert place is not None
    with pytest.raises(InternalError, match="was free"):
        ends.worker.free(b"\0\0\0\1\0\0\0\1")
    ends.worker.free(place)
    with pytest.raises(InternalError, match="was free"):
        ends.worker.free(place)


def test_nobody_can_cut_it_off_under_the_hands_of_the_other(ends: Ends) -> None:
    for size in (0, SIZE_BYTES * 2):
        with pytest.raises(PermissionError):
            os.ftruncate(ends.file, size)


def test_memory_is_there_when_it_is_used_and_goes_back(ends: Ends) -> None:
    assert ends.count_bytes() == 0
    for side in (ends.gateway, ends.worker):
        place = side.put(bytes(HALF_BYTES // 2))
        assert place is not None
        side.free(place)
    assert ends.count_bytes() == HALF_BYTES
    ends.gateway.release()
    assert ends.count_bytes() == 0
    assert ends.gateway.put(b"again") is not None


def test_a_system_without_such_files_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "memfd_create")
    with pytest.raises(OSError, match="no files of memory"):
        make_file()


def test_what_is_no_such_file_is_not_mapped(tmp_path: Path) -> None:
    file = os.open(tmp_path / "empty", os.O_RDWR | os.O_CREAT)
    try:
        with pytest.raises((OSError, ValueError)):
            SharedMemory(file, is_gateway=False)
    finally:
        os.close(file)
