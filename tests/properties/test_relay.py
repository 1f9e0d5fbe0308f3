"""The relay between processes: any body in any pieces arrives, and a front that lies breaks its own link alone."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from modelyard.server.carriers.relay.front import FrontApp
from modelyard.server.carriers.relay.house import RelayHouse
from modelyard.server.carriers.relay.messages import Hello, Opening, encode
from modelyard.wire.frames import FIRST, LAST, Kind, encode_credit, encode_frame
from support.doors import AsgiExchange, eventually, http_exchange

TIMEOUT_S = 30
SIZES = st.sampled_from([0, 1, 7, 65_535, 65_536, 65_537, 262_144, 700_000])
PIECES = st.lists(SIZES, min_size=1, max_size=5)


def make_app(answer: list[int], *, has_trailers: bool) -> Any:
    """Reads the whole request, then answers in these pieces; the headers say how much it has read."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        read, has_more = 0, True
        while has_more:
            event = await receive()
            read += len(event["body"])
            has_more = event["more_body"]
        headers = [(b"read", b"%d" % read), (b"path", scope["raw_path"])]
        await send({"type": "http.response.start", "status": 201, "headers": headers, "trailers": has_trailers})
        for number, size in enumerate(answer, 1):
            is_last = number == len(answer)
            await send({"type": "http.response.body", "body": bytes([number]) * size, "more_body": not is_last})
        if has_trailers:
            await send({"type": "http.response.trailers", "headers": [(b"grpc-status", b"0")]})

    return app


async def relay(app: Any, exchanges: list[AsgiExchange]) -> None:
    """Send requests through a house and a front."""
    with tempfile.TemporaryDirectory(prefix="modelyard-") as folder:
        house = RelayHouse(app, Path(folder) / "relay")
        await house.open()
        front = FrontApp(Path(folder) / "relay", 1, on_stop=lambda: None, on_lost=lambda: None)
        lifespan = AsgiExchange({"type": "lifespan"})
        lifespan.incoming.put_nowait({"type": "lifespan.startup"})
        living = asyncio.create_task(lifespan.run(front, TIMEOUT_S))
        await eventually(lambda: lifespan.sent)
        try:
            await asyncio.gather(*(one.run(front, TIMEOUT_S) for one in exchanges))
        finally:
            lifespan.incoming.put_nowait({"type": "lifespan.shutdown"})
            await living
            await house.close()


@given(requests=st.lists(PIECES, min_size=1, max_size=3), answer=PIECES, has_trailers=st.booleans())
def test_any_pieces_arrive_whole_in_both_directions(
    requests: list[list[int]], answer: list[int], has_trailers: bool
) -> None:
    exchanges = []
    for pieces in requests:
        exchange = http_exchange("POST", "/a%2Fb", [b"x" * size for size in pieces])
        exchange.scope["http_version"] = "2"
        exchanges.append(exchange)
    asyncio.run(relay(make_app(answer, has_trailers=has_trailers), exchanges))
    wanted = b"".join(bytes([number]) * size for number, size in enumerate(answer, 1))
    for exchange, pieces in zip(exchanges, requests, strict=True):
        assert exchange.status == 201
        assert exchange.headers == {b"read": b"%d" % sum(pieces), b"path": b"/a%2Fb"}
        assert exchange.body == wanted
        assert exchange.sent[-1]["type"] == ("http.response.trailers" if has_trailers else "http.response.body")
        bodies = [event for event in exchange.sent if event["type"] == "http.response.body"]
        assert [event["more_body"] for event in bodies] == [True] * (len(bodies) - 1) + [False]


OPENING = encode(
    Opening(
        method="POST", path="/", raw_path=b"/", query_string=b"", root_path="", scheme="http", http_version="2",
        headers=[], client=None, server=None, has_trailers=True, body=b"abc", has_more=True,
    )
)  # fmt: skip
IDS = st.integers(0, 3)
BAD_FRAMES = st.one_of(
    st.builds(encode_frame, st.sampled_from(list(Kind)), IDS, st.binary(max_size=30), st.integers(0, 255)),
    st.builds(encode_frame, st.just(Kind.REQUEST), IDS, st.just(OPENING), st.sampled_from([FIRST, FIRST | LAST])),
    st.builds(encode_frame, st.just(Kind.REQUEST), IDS, st.binary(max_size=30), st.sampled_from([0, LAST])),
    st.builds(encode_frame, st.just(Kind.CANCEL), IDS),
    st.builds(encode_credit, IDS, st.integers(0, 2**32 - 1)),
    st.binary(max_size=30),
)


@given(is_polite=st.booleans(), frames=st.lists(BAD_FRAMES, max_size=20), cut=st.integers(1, 64))
def test_front_that_lies_breaks_its_own_link_alone(is_polite: bool, frames: list[bytes], cut: int) -> None:
    unhandled: list[dict[str, Any]] = []

    async def read_and_answer(scope: Any, receive: Any, send: Any) -> None:
        while (await receive()).get("more_body"):
            pass
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"ok"})

    async def meet() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: unhandled.append(context))
        with tempfile.TemporaryDirectory(prefix="modelyard-") as folder:
            house = RelayHouse(read_and_answer, Path(folder) / "relay")
            await house.open()
            _, writer = await asyncio.open_unix_connection(str(Path(folder) / "relay"))
            await eventually(lambda: house.links)
            hello = encode_frame(Kind.HELLO, payload=encode(Hello(number=1, pid=1))) if is_polite else b""
            data = hello + b"".join(frames)
            for start in range(0, len(data), cut):
                writer.write(data[start : start + cut])
                await asyncio.sleep(0)
            writer.close()
            assert await house.wait_until(lambda: not house.requests and not house.links, TIMEOUT_S)
            await house.close()

    asyncio.run(meet())
    assert unhandled == []
