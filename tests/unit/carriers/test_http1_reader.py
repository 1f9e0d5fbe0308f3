"""Requests in bytes: what they say in whichever pieces they come, and which are refused."""

from __future__ import annotations

import itertools
from contextlib import suppress
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.server.carriers.base import HEADER_BYTES
from modelyard.server.carriers.http.http1_head import Refusal
from modelyard.server.carriers.http.http1_reader import RequestReader

HOST = b"Host: h\r\n"


@dataclass(frozen=True)
class Seen:
    """What the application would be told."""

    method: str
    path: str
    raw_path: bytes
    query: bytes
    headers: list[tuple[bytes, bytes]]
    body: bytes
    is_old: bool
    keeps_alive: bool
    expects_continue: bool


def read_all(pieces: list[bytes]) -> list[Seen]:
    """All requests in these pieces, as a connection reads them that answers at once."""
    reader, found, body = RequestReader(), [], b""
    for piece in pieces:
        while piece:
            piece = reader.read(piece)
            body += reader.take_body()
            if reader.is_whole:
                found.append(
                    Seen(
                        reader.head.scope["method"],
                        reader.head.scope["path"],
                        reader.head.scope["raw_path"],
                        reader.head.scope["query_string"],
                        reader.head.headers,
                        body,
                        reader.head.is_old,
                        reader.keeps_alive,
                        reader.head.expects_continue,
                    )
                )
                body = b""
                reader.restart()
    return found


def read_one(data: bytes) -> Seen:
    (seen,) = read_all([data])
    return seen


def cut_up(stream: bytes, cuts: list[int]) -> list[bytes]:
    edges = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    return [stream[start:end] for start, end in itertools.pairwise(edges)]


def refusal_of(data: bytes) -> int:
    with pytest.raises(Refusal) as refusal:
        read_all([data])
    return refusal.value.status


def test_a_request_is_told_as_asgi_tells_it() -> None:
    assert read_one(b"GET /a%20b/%C3%A4?x=%201&y HTTP/1.1\r\nHost: h\r\nX-Odd-NAME:  v w \r\n\r\n") == Seen(
        method="GET",
        path="/a b/ä",
        raw_path=b"/a%20b/%C3%A4",
        query=b"x=%201&y",
        headers=[(b"host", b"h"), (b"x-odd-name", b"v w")],
        body=b"",
        is_old=False,
        keeps_alive=True,
        expects_continue=False,
    )


@pytest.mark.parametrize(
    ("head", "keeps_alive"),
    [
        (b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", True),
        (b"GET / HTTP/1.1\r\nHost: h\r\nConnection: Close\r\n\r\n", False),
        (b"GET / HTTP/1.1\r\nHost: h\r\nConnection: x, close\r\n\r\n", False),
        (b"GET / HTTP/1.0\r\n\r\n", False),
        (b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", True),
    ],
)
def test_a_connection_is_kept_as_the_client_wishes(head: bytes, keeps_alive: bool) -> None:
    assert read_one(head).keeps_alive == keeps_alive


def test_an_absolute_target_has_its_own_host() -> None:
    seen = read_one(b"GET http://other:81/a?b HTTP/1.1\r\nHost: h\r\n\r\n")
    assert (seen.raw_path, seen.query, seen.headers) == (b"/a", b"b", [(b"host", b"other:81")])


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [(b"http://o", b"/", b""), (b"HTTP://o?a=/b", b"/", b"a=/b"), (b"https://o/", b"/", b"")],
)
def test_an_absolute_target_may_lack_a_path(target: bytes, path: bytes, query: bytes) -> None:
    seen = read_one(b"GET " + target + b" HTTP/1.1\r\n" + HOST + b"\r\n")
    assert (seen.raw_path, seen.query, seen.headers) == (path, query, [(b"host", b"o")])


def test_options_may_ask_about_all() -> None:
    assert read_one(b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n").path == "*"


def test_old_clients_need_no_host() -> None:
    assert read_one(b"GET / HTTP/1.0\r\n\r\n").is_old


def test_only_new_clients_wait_for_a_word() -> None:
    expects = b"Expect: 100-Continue\r\nContent-Length: 1\r\n\r\nx"
    assert read_one(b"POST / HTTP/1.1\r\n" + HOST + expects).expects_continue
    assert not read_one(b"POST / HTTP/1.0\r\n" + HOST + expects).expects_continue


def test_trailers_are_ignored() -> None:
    seen = read_one(
        b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"3;ext=1\r\nabc\r\n0\r\nHost: evil\r\nX-Sum: 7\r\n\r\n"
    )
    assert seen.body == b"abc"
    assert seen.headers == [(b"host", b"h"), (b"transfer-encoding", b"chunked")]


UPGRADE = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n"


@pytest.mark.parametrize(
    ("framing", "body"),
    [
        (b"", b""),
        (b"Content-Length: 0\r\n", b""),
        (b"Content-Length: 5\r\n", b"hello"),
        (b"Transfer-Encoding: chunked\r\n", b"5\r\nhello\r\n0\r\n\r\n"),
    ],
)
def test_an_upgrade_is_ignored(framing: bytes, body: bytes) -> None:
    request = b"POST /up HTTP/1.1\r\n" + HOST + UPGRADE + framing + b"\r\n" + body
    for at in range(1, len(request)):
        one, other, plain = read_all([request[:at], request[at:] + request + b"GET / HTTP/1.1\r\n" + HOST + b"\r\n"])
        assert one == other
        assert (one.path, one.body, one.keeps_alive) == ("/up", b"hello" if body else b"", True)
        assert plain.method == "GET"


REQUESTS = [
    b"GET /a?b=c HTTP/1.1\r\nHost: h\r\nAccept: */*\r\n\r\n",
    b"\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n",
    b"POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\na\r\n\r\nb\r\n\r",
    b"POST /c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n6\r\n\r\n\r\n\r\n\r\n1\r\nx\r\n0\r\n\r\n",
    b"POST /t HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: Chunked\r\n\r\nA\r\n0\r\n\r\nGET /\r\n0\r\nTrailer: x\r\n\r\n",
    b"PUT /k HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n",
]
BODIES = [b"", b"", b"a\r\n\r\nb\r\n\r", b"\r\n\r\n\r\nx", b"0\r\n\r\nGET /", b""]


def test_requests_say_the_same_split_at_any_byte() -> None:
    stream = b"".join(REQUESTS)
    whole = read_all([stream])
    assert [one.body for one in whole] == BODIES
    for at in range(1, len(stream)):
        assert read_all([stream[:at], stream[at:]]) == whole
    assert read_all([stream[at : at + 1] for at in range(len(stream))]) == whole


@given(order=st.lists(st.integers(0, len(REQUESTS) - 1), max_size=8), cuts=st.lists(st.integers(0, 600), max_size=12))
def test_any_requests_in_any_pieces_are_read_one_by_one(order: list[int], cuts: list[int]) -> None:
    stream = b"".join(REQUESTS[one] for one in order)
    seen = read_all(cut_up(stream, cuts))
    assert seen == [read_one(REQUESTS[one]) for one in order]


@given(
    bodies=st.lists(st.binary(min_size=40, max_size=40), min_size=1, max_size=6),
    cuts=st.lists(st.integers(0, 600), max_size=8),
)
def test_a_head_that_is_sent_again_is_read_again_in_any_pieces(bodies: list[bytes], cuts: list[int]) -> None:
    head = b"POST /again HTTP/1.1\r\nHost: h\r\nContent-Length: 40\r\n\r\n"
    stream = b"".join(head + body for body in bodies)
    seen = read_all(cut_up(stream, cuts))
    assert seen == [read_one(head + body) for body in bodies]


@given(body=st.binary(max_size=300), sizes=st.lists(st.integers(1, 50), min_size=1), pieces=st.integers(1, 40))
def test_any_body_in_any_chunks_and_pieces_arrives(body: bytes, sizes: list[int], pieces: int) -> None:
    chunks, left = [], body
    while left:
        size = sizes[len(chunks) % len(sizes)]
        chunks.append(b"%X\r\n%b\r\n" % (len(left[:size]), left[:size]))
        left = left[size:]
    request = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" + b"".join(chunks) + b"0\r\n\r\n"
    stream = request * 2
    seen = read_all([stream[at : at + pieces] for at in range(0, len(stream), pieces)])
    assert [one.body for one in seen] == [body, body]


@given(junk=st.binary(max_size=400), cut=st.integers(0, 400))
def test_junk_is_refused_or_waited_for(junk: bytes, cut: int) -> None:
    with suppress(Refusal):
        read_all([junk[:cut], junk[cut:]])


POST = b"POST / HTTP/1.1\r\n" + HOST
CHUNKED = b"Transfer-Encoding: chunked\r\n"
GET = b"GET / HTTP/1.1\r\n"
SMUGGLED = {
    "a length and chunks": POST + b"Content-Length: 3\r\n" + CHUNKED + b"\r\n0\r\n\r\n",
    "chunks and a length": POST + CHUNKED + b"Content-Length: 3\r\n\r\n0\r\n\r\n",
    "two lengths": POST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    "two lengths in one": POST + b"Content-Length: 3, 4\r\n\r\nabcd",
    "a signed length": POST + b"Content-Length: +3\r\n\r\nabc",
    "a negative length": POST + b"Content-Length: -3\r\n\r\nabc",
    "a length in hex": POST + b"Content-Length: 0x3\r\n\r\nabc",
    "a length of no digits": POST + b"Content-Length: \r\n\r\n",
    "a length beyond all": POST + b"Content-Length: 99999999999999999999999\r\n\r\n",
    "a coding after chunks": POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "a coding after chunks in another line": POST + CHUNKED + b"Transfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    "a coding like chunks": POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "a coding in quotes": POST + b'Transfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n',
    "a coding behind a tab and a letter": POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "no coding": POST + b"Transfer-Encoding: identity\r\n\r\nabc",
    "an empty coding": POST + b"Transfer-Encoding: \r\n\r\nabc",
    "chunks of an old client": b"POST / HTTP/1.0\r\n" + HOST + CHUNKED + b"\r\n0\r\n\r\n",
    "an upgrade with a coding": POST + UPGRADE + b"Transfer-Encoding: identity\r\n\r\nabc",
    "an upgrade with a length and chunks": POST + UPGRADE + b"Content-Length: 3\r\n" + CHUNKED + b"\r\n0\r\n\r\n",
    "a space before the colon": GET + b"Host : h\r\n\r\n",
    "a tab before the colon": GET + b"Host\t: h\r\n\r\n",
    "a folded header": GET + HOST + b"X: a\r\n b\r\n\r\n",
    "a header that begins with a space": GET + b" Host: h\r\n\r\n",
    "a header without a name": GET + HOST + b": x\r\n\r\n",
    "a header without a colon": GET + HOST + b"X\r\n\r\n",
    "bare line feeds": b"GET / HTTP/1.1\nHost: h\n\n",
    "a bare line feed in the head": GET + b"Host: h\nX: y\r\n\r\n",
    "a bare carriage return in a value": GET + HOST + b"X: a\rb\r\n\r\n",
    "a NUL in a value": GET + HOST + b"X: a\0b\r\n\r\n",
    "a NUL in a name": GET + HOST + b"X\0: a\r\n\r\n",
    "no host": GET + b"X: y\r\n\r\n",
    "two hosts": GET + HOST + HOST + b"\r\n",
    "two hosts of an old client": b"GET / HTTP/1.0\r\n" + HOST + HOST + b"\r\n",
    "a chunk of no size": POST + CHUNKED + b"\r\n\r\n",
    "a chunk of no number": POST + CHUNKED + b"\r\nxyz\r\n",
    "a signed chunk": POST + CHUNKED + b"\r\n+3\r\nabc\r\n0\r\n\r\n",
    "a chunk in hex": POST + CHUNKED + b"\r\n0x3\r\nabc\r\n0\r\n\r\n",
    "a chunk beyond all": POST + CHUNKED + b"\r\nffffffffffffffffff\r\n",
    "a chunk with a space": POST + CHUNKED + b"\r\n3 \r\nabc\r\n0\r\n\r\n",
    "a chunk that is longer": POST + CHUNKED + b"\r\n3\r\nabcd\r\n0\r\n\r\n",
    "a chunk after a bare line feed": POST + CHUNKED + b"\r\n3\nabc\r\n0\r\n\r\n",
    "a chunk's extension with a line feed": POST + CHUNKED + b"\r\n3;x\nabc\r\n0\r\n\r\n",
    "an end of chunks with a bare line feed": POST + CHUNKED + b"\r\n0\n\r\n",
    "a target that is none": b"GET x HTTP/1.1\r\n" + HOST + b"\r\n",
    "a target of another scheme": b"GET ftp://h/ HTTP/1.1\r\n" + HOST + b"\r\n",
    "a target with a fragment": b"GET /#a HTTP/1.1\r\n" + HOST + b"\r\n",
    "a target beyond ASCII": b"GET /\xc3\xa4 HTTP/1.1\r\n" + HOST + b"\r\n",
    "a star for GET": b"GET * HTTP/1.1\r\n" + HOST + b"\r\n",
    "a target with a space": b"GET /a b HTTP/1.1\r\n" + HOST + b"\r\n",
    "a length in a trailer": POST + CHUNKED + b"\r\n0\r\nContent-Length: 3\r\n\r\n",
    "no version": b"GET /\r\n" + HOST + b"\r\n",
    "spaces before the target": b"GET  / HTTP/1.1\r\n" + HOST + b"\r\n",
    "spaces after the target": b"GET /  HTTP/1.1\r\n" + HOST + b"\r\n",
    "an unknown method": b"FETCH / HTTP/1.1\r\n" + HOST + b"\r\n",
    "a method in lower case": b"get / HTTP/1.1\r\n" + HOST + b"\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
}


@pytest.mark.parametrize("data", SMUGGLED.values(), ids=SMUGGLED)
def test_what_others_may_read_differently_is_refused(data: bytes) -> None:
    assert refusal_of(data) in (400, 501)
    assert refusal_of(REQUESTS[2] * 3 + data) in (400, 501)


def test_nothing_is_read_behind_a_request_that_ends_the_connection() -> None:
    last = POST + b"Connection: close\r\nContent-Length: 2\r\n\r\nab"
    assert read_one(last).body == b"ab"
    assert refusal_of(last * 2) == 400


@pytest.mark.parametrize("version", [b" HTTP/0.9", b" HTTP/2.0", b" HTTP/3.0", b" HTTP/1.2", b" RTSP/1.0"])
def test_other_versions_are_refused(version: bytes) -> None:
    assert refusal_of(b"GET /" + version + b"\r\n" + HOST + b"\r\n") == 505


def test_this_is_no_proxy() -> None:
    assert refusal_of(b"CONNECT other:443 HTTP/1.1\r\n" + HOST + b"\r\n") == 501


def test_a_head_is_as_long_as_it_may_be() -> None:
    head = GET + HOST + b"X: " + b"x" * (HEADER_BYTES - len(GET + HOST + b"X: \r\n\r\n")) + b"\r\n\r\n"
    assert len(read_one(head).headers) == 2
    assert refusal_of(head.replace(b"X: ", b"X: x")) == 431


def feed_endlessly(reader: RequestReader, piece: bytes) -> tuple[int, int]:
    """The status that ends it, and how many bytes were read by then."""
    read = 0
    while read < 10 * HEADER_BYTES:
        try:
            reader.read(piece)
        except Refusal as refusal:
            return refusal.status, read
        read += len(piece)
    return 0, read


@pytest.mark.parametrize("size", [1, 100, 1000])
def test_an_endless_head_is_refused_in_whichever_pieces(size: int) -> None:
    reader = RequestReader()
    reader.read(GET + HOST + b"X: ")
    status, read = feed_endlessly(reader, b"x" * size)
    assert status == 431
    assert read <= HEADER_BYTES


def test_an_endless_url_is_refused() -> None:
    assert refusal_of(b"GET /" + b"x" * HEADER_BYTES) == 414


def test_endless_trailers_are_refused() -> None:
    reader = RequestReader()
    reader.read(POST + CHUNKED + b"\r\n1\r\nx\r\n0\r\nT: ")
    reader.take_body()
    assert feed_endlessly(reader, b"xx")[0] == 431


def test_chunks_of_any_number_are_no_trailers() -> None:
    reader = RequestReader()
    reader.read(POST + CHUNKED + b"\r\n")
    for _ in range(HEADER_BYTES // 4):
        reader.read(b"1;extension\r\n")
        reader.read(b"x\r\n")
        assert reader.take_body() == b"x"


def test_requests_of_any_number_are_no_trailers() -> None:
    empty = POST + CHUNKED + b"\r\n0\r\n\r\n"
    assert len(read_all([empty * HEADER_BYTES])) == HEADER_BYTES


def test_a_head_that_comes_again_says_the_same() -> None:
    one = b"GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
    other = POST + b"Content-Length: 2\r\n\r\nab"
    first, second, third, fourth, fifth = read_all([one + one + other + other + one])
    assert first == second == fifth
    assert third == fourth
    assert (first.body, third.body) == (b"", b"ab")
