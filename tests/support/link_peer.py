"""The other end of a link to a worker: a worker that the tests play, honest or hostile."""

from __future__ import annotations

import asyncio
import socket

from modelyard.server.backends.link import WorkerLink
from modelyard.wire.frames import LARGE_BYTES, LAST, SHARED, Frame, FrameDecoder, Kind, encode_frame
from modelyard.wire.handshake import Hello, State
from modelyard.wire.shared import SharedMemory, make_file

LARGE = bytes(range(256)) * (LARGE_BYTES // 256 + 1)


class Owner:
    def __init__(self) -> None:
        self.states: list[State] = []
        self.is_greeted = asyncio.Event()
        self.lost = 0

    def on_hello(self, link: WorkerLink, hello: Hello) -> bool:
        return hello.token == "right"

    def on_state(self, state: State) -> None:
        self.states.append(state)
        self.is_greeted.set()

    def on_lost(self, link: WorkerLink) -> None:
        self.lost += 1


class Worker:
    """The other end."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.decoder = FrameDecoder()
        self.frames: list[Frame] = []

    async def read(self) -> Frame:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(5):
            while not self.frames:
                data = await loop.sock_recv(self.connection, 1 << 16)
                assert data, "the gateway closed"
                self.frames += self.decoder.feed(data)
        return self.frames.pop(0)

    async def send(self, kind: Kind, request_id: int = 0, payload: bytes = b"", flags: int = 0) -> None:
        await self.send_bytes(encode_frame(kind, request_id, payload, flags))

    async def send_bytes(self, data: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(self.connection, data)

    async def say_hello(self, token: str = "right") -> None:
        await self.send(Kind.HELLO, payload=Hello(token=token, replica_id="r").encode())


class Pair:
    def __init__(self, link: WorkerLink, worker: Worker, owner: Owner) -> None:
        self.link = link
        self.worker = worker
        self.owner = owner

    async def greet(self) -> None:
        await self.worker.say_hello()
        await self.worker.send(Kind.STATE, payload=State(state="loading").encode())
        await asyncio.wait_for(self.owner.is_greeted.wait(), 5)

    async def wait_closed(self) -> None:
        await asyncio.wait_for(self.link.closed.wait(), 5)
        assert self.owner.lost == 1


class Sharing:
    """A pair whose worker shares memory with the gateway."""

    def __init__(self, pair: Pair) -> None:
        self.pair = pair
        self.file = make_file(4 << 20)
        self.memory = SharedMemory(self.file, is_gateway=False)
        pair.worker.decoder.fetch = lambda place: place  # taken when a test takes it

    async def begin(self) -> None:
        await self.pair.greet()
        self.pair.link.share(SharedMemory(self.file, is_gateway=True))

    async def take(self) -> Frame:
        """The next request, whose message lies in the memory, taken as a worker does."""
        frame = await self.pair.worker.read()
        assert frame.flags & SHARED
        message = self.memory.take(frame.payload, 1 << 20)
        await self.pair.worker.send(Kind.TAKEN, payload=frame.payload)
        return frame._replace(payload=message)

    async def answer(self, request_id: int, message: bytes, flags: int = LAST) -> None:
        place = self.memory.put(message)
        assert place is not None
        await self.pair.worker.send(Kind.ITEM, request_id, place, flags | SHARED)

    async def hear_taken(self) -> None:
        frame = await self.pair.worker.read()
        assert frame.kind is Kind.TAKEN
        self.memory.free(frame.payload)
