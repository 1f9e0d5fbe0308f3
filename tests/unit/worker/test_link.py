from __future__ import annotations

import os
import select
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from modelyard.errors import TooLarge
from modelyard.wire.frames import LARGE_BYTES, LAST, SHARED, Frame, FrameDecoder, Kind, decode_credit, encode_frame
from modelyard.wire.shared import SharedMemory, make_file
from modelyard.worker.link import LINGERING, Link


class Gateway:
    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.decoder = FrameDecoder()
        self.frames: list[Frame] = []

    def read(self, count: int) -> list[Frame]:
        while len(self.frames) < count:
            self.frames += self.decoder.feed(self.connection.recv(1 << 16))
        return self.frames


@pytest.fixture
def pair() -> Iterator[tuple[Link, Gateway]]:
    ours, theirs = socket.socketpair()
    theirs.settimeout(10)
    link = Link(ours, max_payload_bytes=1 << 24)
    yield link, Gateway(theirs)
    link.close()
    theirs.close()


def test_frames_arrive_as_they_were_sent(pair: tuple[Link, Gateway]) -> None:
    link, gateway = pair
    link.send(Kind.ITEM, 3, b"abc", 2)
    link.grant(4, 32)
    item, credit = gateway.read(2)
    assert item == Frame(Kind.ITEM, 2, 3, b"abc")
    assert (credit.kind, credit.request_id, decode_credit(credit.payload)) == (Kind.CREDIT, 4, 32)


def test_frames_of_many_threads_are_whole_and_none_is_lost(pair: tuple[Link, Gateway]) -> None:
    link, gateway = pair

    def send_many(number: int) -> None:
        for index in range(200):
            link.send(Kind.ITEM, number, bytes([number]) * (100_000 if index % 50 == 0 else 10))

    threads = [threading.Thread(target=send_many, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    frames = gateway.read(800)
    for thread in threads:
        thread.join()
    assert len(frames) == 800
    assert all(set(frame.payload) == {frame.request_id} for frame in frames)


def test_who_waits_for_frames_sleeps_on_while_the_gateway_reads(pair: tuple[Link, Gateway]) -> None:
    link, gateway = pair
    received: list[list[Frame] | None] = []
    thread = threading.Thread(target=lambda: received.append(link.receive()))
    thread.start()

    def count_sleeps() -> int:
        status = Path(f"/proc/self/task/{thread.native_id}/status").read_text()
        return int(status.split("\nvoluntary_ctxt_switches:")[1].split()[0])

    threading.Event().wait(0.05)
    before = count_sleeps()
    for number in range(1, 21):
        link.send(Kind.ITEM, number, b"answer")
        gateway.read(number)
        threading.Event().wait(0.002)
    assert count_sleeps() == before
    gateway.connection.sendall(encode_frame(Kind.REQUEST, 1, b"x"))
    thread.join(10)
    assert received == [[Frame(Kind.REQUEST, 0, 1, b"x")]]


def test_payload_above_the_limit_is_refused_and_the_next_one_passes(pair: tuple[Link, Gateway]) -> None:
    link, gateway = pair
    with pytest.raises(TooLarge):
        link.send(Kind.ITEM, 1, bytes((1 << 24) + 1))
    link.send(Kind.END, 1)
    assert gateway.read(1)[0].kind is Kind.END


def test_reader_gives_frames_until_the_gateway_closes(pair: tuple[Link, Gateway]) -> None:
    link, gateway = pair
    gateway.connection.sendall(encode_frame(Kind.PING, 1) + encode_frame(Kind.STOP))
    gateway.connection.shutdown(socket.SHUT_WR)
    assert [frame.kind for frame in link.read_frames()] == [Kind.PING, Kind.STOP]


def test_sending_to_a_gateway_that_is_gone_does_nothing(pair: tuple[Link, Gateway]) -> None:
    link, gateway = pair
    gateway.connection.close()
    for _ in range(3):
        link.send(Kind.ITEM, 1, b"x")


def test_nobody_listening_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(OSError):  # noqa: PT011 - which one is the system's affair
        Link.connect(str(tmp_path / "none"))


def test_held_frames_leave_with_the_next_one_in_order(pair: tuple[Link, Gateway]) -> None:
    link, gateway = pair
    link.hold()
    link.send(Kind.ITEM, 1, b"a")
    link.send(Kind.ITEM, 2, b"b")
    gateway.connection.setblocking(False)
    with pytest.raises(BlockingIOError):
        gateway.connection.recv(1)
    gateway.connection.settimeout(10)
    link.let_go()
    link.send(Kind.ITEM, 3, b"c")
    assert [frame.payload for frame in gateway.read(3)] == [b"a", b"b", b"c"]


def test_held_frames_leave_by_flushing_behind_a_large_one_or_after_a_while(pair: tuple[Link, Gateway]) -> None:
    link, gateway = pair
    link.hold()
    link.send(Kind.ITEM, 1, b"a")
    link.flush()
    assert gateway.read(1)[0].payload == b"a"
    link.hold()
    link.send(Kind.ITEM, 2, b"b")
    link.send(Kind.ITEM, 3, bytes(100_000))
    assert [len(frame.payload) for frame in gateway.read(3)[1:]] == [1, 100_000]
    link.send(Kind.ITEM, 4, b"d")
    while True:
        link.hold()
        if select.select([gateway.connection], [], [], 0)[0]:
            break
    assert gateway.read(4)[3].payload == b"d"


def test_items_that_follow_quickly_leave_together_in_order(
    pair: tuple[Link, Gateway], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("modelyard.worker.link.LINGER_S", 60.0)
    link, gateway = pair
    link.send_now()
    for number in range(3):
        link.send_soon(Kind.ITEM, 1, b"%d" % number)
    assert not select.select([gateway.connection], [], [], 0.05)[0]
    link.send(Kind.END, 1)
    gateway.frames += gateway.decoder.feed(gateway.connection.recv(1 << 16))
    assert [(one.kind, one.payload) for one in gateway.frames] == [
        (Kind.ITEM, b"0"),
        (Kind.ITEM, b"1"),
        (Kind.ITEM, b"2"),
        (Kind.END, b""),
    ]
    for number in range(LINGERING):
        link.send_soon(Kind.ITEM, 2, b"%d" % number)
    assert [int(one.payload) for one in gateway.read(4 + LINGERING)[4:]] == list(range(LINGERING))


def test_an_item_that_nothing_follows_leaves_by_itself(pair: tuple[Link, Gateway]) -> None:
    link, gateway = pair
    for number in range(20):
        link.send_now()
        link.send_soon(Kind.ITEM, 1, b"%d" % number)
        assert gateway.read(number + 1)[-1].payload == b"%d" % number


def test_the_first_item_for_a_while_and_a_large_one_leave_at_once(
    pair: tuple[Link, Gateway], monkeypatch: pytest.MonkeyPatch
) -> None:
    link, gateway = pair
    link.send_soon(Kind.ITEM, 1, b"first")
    assert gateway.read(1)[0].payload == b"first"
    monkeypatch.setattr("modelyard.worker.link.LINGER_S", 60.0)
    large = bytes(1 << 20)
    threading.Thread(target=link.send_soon, args=(Kind.ITEM, 1, large), daemon=True).start()
    assert gateway.read(2)[1].payload == large


@pytest.fixture
def memory(pair: tuple[Link, Gateway]) -> Iterator[SharedMemory]:
    """The gateway's side of what the link shares."""
    file = make_file(4 << 20)
    pair[0].share(SharedMemory(file, is_gateway=False))
    pair[1].decoder.fetch = lambda place: place  # taken when a test takes it
    yield SharedMemory(file, is_gateway=True)
    os.close(file)


LARGE = bytes(LARGE_BYTES + 1)


def test_large_answers_go_through_memory_that_is_shared(pair: tuple[Link, Gateway], memory: SharedMemory) -> None:
    link, gateway = pair
    for number in range(100):  # more than there is room for at once
        link.send(Kind.ITEM, number, LARGE, LAST)
        frame = gateway.read(1)[0]
        gateway.frames.clear()
        assert (frame.kind, frame.flags, frame.request_id) == (Kind.ITEM, LAST | SHARED, number)
        assert memory.take(frame.payload, 1 << 20) == LARGE
        link.free(frame.payload)


def test_answers_for_which_there_is_no_room_go_through_the_socket(
    pair: tuple[Link, Gateway], memory: SharedMemory
) -> None:
    link, gateway = pair
    threading.Thread(target=lambda: [link.send(Kind.ITEM, number, bytes(900_000)) for number in range(3)]).start()
    frames = gateway.read(3)
    assert [frame.flags for frame in frames] == [SHARED, SHARED, 0]
    assert frames[-1].payload == bytes(900_000)


def test_answer_above_the_limit_takes_no_room(pair: tuple[Link, Gateway], memory: SharedMemory) -> None:
    link, gateway = pair
    with pytest.raises(TooLarge):
        link.send(Kind.ITEM, 1, bytes((1 << 24) + 1))
    link.send(Kind.ITEM, 2, bytes(1 << 21))
    assert gateway.read(1)[0].flags == SHARED  # all of the room is there


def test_that_a_request_was_taken_is_told_beside_what_is_sent_next(
    pair: tuple[Link, Gateway], memory: SharedMemory
) -> None:
    link, gateway = pair
    place = memory.put(LARGE)
    assert place is not None
    gateway.connection.sendall(encode_frame(Kind.REQUEST, 5, place, SHARED))
    frames = link.receive()
    assert frames is not None
    assert (frames[0].request_id, frames[0].payload) == (5, LARGE)
    assert not select.select([gateway.connection], [], [], 0.05)[0]
    link.send(Kind.ITEM, 5, b"answer", LAST)
    taken, answer = gateway.read(2)
    assert (taken.kind, taken.payload) == (Kind.TAKEN, place)
    assert answer.payload == b"answer"
    memory.free(taken.payload)
    assert memory.is_empty
