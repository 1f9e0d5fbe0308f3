"""Answers in bytes: what the application says, and what is made of it."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from modelyard.server.carriers.http.http1_answer import Answer, format_end, make_plain_answer

DATE = (b"date", b"today")


def write(
    *pieces: bytes,
    status: int = 200,
    headers: Iterable[tuple[bytes, bytes]] = (DATE,),
    is_head: bool = False,
    is_old: bool = False,
    closes: bool = False,
) -> bytes:
    answer = Answer(is_head=is_head, is_old=is_old)
    answer.start({"status": status, "headers": list(headers)})
    written = b""
    for number, piece in enumerate(pieces, 1):
        written += b"".join(answer.add(piece, has_more=number < len(pieces), closes=closes))
    assert answer.is_complete
    return written


def test_one_piece_is_counted() -> None:
    assert write(b"abc") == b"HTTP/1.1 200 OK\r\ndate: today\r\ncontent-length: 3\r\n\r\nabc"


def test_more_pieces_are_chunks() -> None:
    assert write(b"abc", b"", b"0123456789", b"") == (
        b"HTTP/1.1 200 OK\r\ndate: today\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\na\r\n0123456789\r\n0\r\n\r\n"
    )


def test_old_clients_get_no_chunks() -> None:
    assert write(b"a", b"b", is_old=True) == b"HTTP/1.1 200 OK\r\ndate: today\r\nconnection: close\r\n\r\nab"
    assert b"\r\nconnection: keep-alive\r\n" in write(b"a", is_old=True)


def test_a_date_is_added() -> None:
    assert format_end(0) == b"date: Thu, 01 Jan 1970 00:00:00 GMT\r\n\r\n"
    assert write(b"", headers=[]).count(b"\r\ndate: ") == 1


def test_how_an_answer_is_framed_is_not_for_the_application_to_say() -> None:
    headers = [
        DATE,
        (b"Transfer-Encoding", b"gzip, chunked"),
        (b"connection", b"keep-alive"),
        (b"keep-alive", b"timeout=5"),
        (b"X-Kept", b"1"),
    ]
    assert write(b"a", headers=headers) == (
        b"HTTP/1.1 200 OK\r\ndate: today\r\nX-Kept: 1\r\ncontent-length: 1\r\n\r\na"
    )


def test_a_length_in_any_case_is_seen() -> None:
    assert write(b"ab", b"c", headers=[DATE, (b"Content-LENGTH", b"3")]).endswith(b"Content-LENGTH: 3\r\n\r\nabc")


@pytest.mark.parametrize("status", [204, 304])
def test_some_statuses_have_no_body(status: int) -> None:
    assert write(b"abc", b"d", status=status).endswith(b"\r\ndate: today\r\n\r\n")


def test_a_head_has_the_length_of_what_it_has_not() -> None:
    assert write(b"abc", is_head=True).endswith(b"content-length: 3\r\n\r\n")
    assert write(b"", is_head=True).endswith(b"date: today\r\n\r\n")
    told = write(b"abc", is_head=True, headers=[DATE, (b"content-length", b"7")])
    assert told.endswith(b"content-length: 7\r\n\r\n")


def test_a_status_without_a_name_has_none() -> None:
    assert write(b"", status=299).startswith(b"HTTP/1.1 299 \r\n")


def test_an_end_of_the_connection_is_told() -> None:
    assert b"\r\nconnection: close\r\n" in write(b"", closes=True)
    assert write(b"", headers=[(b"connection", b"Close")]).count(b"connection: close") == 1


@pytest.mark.parametrize("length", [b"-1", b"1, 1", b"x", b""])
def test_a_length_is_a_number(length: bytes) -> None:
    with pytest.raises(RuntimeError, match="content-length"):
        write(b"a", headers=[(b"content-length", length)])


def test_there_is_one_length() -> None:
    with pytest.raises(RuntimeError, match="content-length"):
        write(b"a", headers=[(b"content-length", b"1")] * 2)


def test_what_is_out_of_order_is_refused() -> None:
    answer = Answer(is_head=False, is_old=False)
    with pytest.raises(RuntimeError, match="not been started"):
        answer.add(b"", has_more=False, closes=False)
    with pytest.raises(RuntimeError, match="103"):
        answer.start({"status": 103})
    answer.start({"status": 200})
    with pytest.raises(RuntimeError, match="started already"):
        answer.start({"status": 200})
    answer.add(b"", has_more=False, closes=False)
    with pytest.raises(RuntimeError, match="complete"):
        answer.add(b"", has_more=False, closes=False)


def test_a_refusal_is_told_in_words() -> None:
    told = make_plain_answer(431, "too long")
    assert told.startswith(b"HTTP/1.1 431 Request Header Fields Too Large\r\n")
    assert told.endswith(b"\r\n\r\ntoo long\n")
    assert b"connection: close" in told
    assert make_plain_answer(500, "no", is_head=True).endswith(b"\r\n\r\n")
