"""What the safe fetcher brings, from real servers on the loopback that an allow-list lets it reach."""

from __future__ import annotations

import asyncio
import gzip
import shutil
import ssl
import time
import zlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from modelyard.errors import InvalidInput
from modelyard.server.services.fetch import SafeFetcher
from modelyard.server.settings import FetchSettings
from support.doors import eventually
from support.web import Web, open_web

WHERE = "inputs[0].data.image.url"
LIMIT = 10_000
MakeFetcher = Callable[..., SafeFetcher]


@pytest.fixture
async def web() -> AsyncIterator[Web]:
    async with open_web() as opened:
        yield opened


@pytest.fixture
async def make(web: Web) -> AsyncIterator[MakeFetcher]:
    """Fetchers that may reach the server, with limits that a test can wait for."""
    made: list[SafeFetcher] = []

    def make_one(*, resolve: object = None, **changes: object) -> SafeFetcher:
        limits: dict[str, object] = {"allow": (web.address,), "max_size_bytes": LIMIT, **changes}
        made.append(SafeFetcher(FetchSettings(**limits), resolve=resolve))  # type: ignore[arg-type]
        return made[-1]

    yield make_one
    for one in made:
        await one.aclose()


async def fetch(fetcher: SafeFetcher, url: str, tenant: str = "ada") -> bytes:
    return await fetcher.fetch(url, where=WHERE, tenant=tenant)


async def refusal(fetcher: SafeFetcher, url: str) -> str:
    with pytest.raises(InvalidInput) as caught:
        await fetch(fetcher, url)
    text = str(caught.value)
    assert text.startswith(f"{WHERE}: http://127.0.0.1:")
    assert "secret" not in text
    return text


async def test_content_comes_back_to_the_byte(web: Web, make: MakeFetcher) -> None:
    web.put("/a b", bytes(range(256)))
    web.put("/a%20b", bytes(range(256)))
    assert await fetch(make(), web.url("/a b?x=1&y=ä#fragment")) == bytes(range(256))
    head = web.requests[0].decode()
    assert head.startswith("GET /a%20b?x=1&y=%C3%A4 HTTP/1.1\r\n")
    assert f"\r\nHost: {web.address}\r\n" in head
    assert "authorization" not in head.lower()
    assert "cookie" not in head.lower()


async def test_an_empty_body_and_one_at_the_limit_are_fine(web: Web, make: MakeFetcher) -> None:
    web.put("/empty")
    web.put("/full", b"x" * LIMIT)
    web.put("/packed", gzip.compress(b"x" * LIMIT), content_encoding="gzip")
    fetcher = make()
    assert await fetch(fetcher, web.url("/empty")) == b""
    assert len(await fetch(fetcher, web.url("/full"))) == LIMIT
    assert len(await fetch(fetcher, web.url("/packed"))) == LIMIT


async def test_redirects_are_followed_three_times(web: Web, make: MakeFetcher) -> None:
    for number in range(4):
        web.put(f"/{number}", status=(301, 302, 307, 308)[number], location=f"/{number + 1}", set_cookie="a=b")
    web.put("/4", b"end")
    fetcher = make()
    assert await fetch(fetcher, web.url("/1")) == b"end"
    assert all(b"ookie" not in head for head in web.requests)
    assert "redirects more than 3 times" in await refusal(fetcher, web.url("/0?secret"))


@pytest.mark.parametrize("status", [201, 204, 304, 400, 401, 403, 404, 500, 503])
async def test_any_other_status_is_named(web: Web, make: MakeFetcher, status: int) -> None:
    web.put("/x", status=status)
    assert f"/x: it answers {status}, not 200" in await refusal(make(), web.url("/x?key=secret"))


async def test_a_redirect_to_nowhere_is_refused(web: Web, make: MakeFetcher) -> None:
    web.put("/x", status=302)
    assert "does not say where to" in await refusal(make(), web.url("/x"))


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress])
async def test_content_that_is_packed_unasked_is_unpacked(
    web: Web, make: MakeFetcher, pack: Callable[[bytes], bytes]
) -> None:
    encoding = "gzip" if pack is gzip.compress else "deflate"
    web.put("/x", pack(b"hello" * 100), content_encoding=encoding)
    assert await fetch(make(), web.url("/x")) == b"hello" * 100
    assert b"Accept-Encoding: identity" in web.requests[0]


@pytest.mark.parametrize(
    ("body", "encoding", "words"),
    [
        (gzip.compress(bytes(100 * LIMIT)), "gzip", "more than 10000 bytes"),
        (gzip.compress(gzip.compress(bytes(10))), "gzip, gzip", "packed as"),
        (gzip.compress(b"hello")[:-4], "gzip", "ends too early"),
        (b"", "gzip", "ends too early"),
        (b"not gzip", "gzip", "cannot be unpacked"),
        (gzip.compress(b"hello") + b"more", "gzip", "something follows"),
        (b"x", "br", "packed as 'br'"),
    ],
    ids=["bomb", "twice", "short", "empty", "wrong", "longer", "brotli"],
)
async def test_packed_content_that_cannot_be_used_is_refused(
    web: Web, make: MakeFetcher, body: bytes, encoding: str, words: str
) -> None:
    web.put("/x", body, content_encoding=encoding)
    assert words in await refusal(make(), web.url("/x"))


async def test_too_much_is_refused_before_it_is_read(web: Web, make: MakeFetcher) -> None:
    web.put("/x", b"x", content_length=str(LIMIT + 1))
    assert f"more than {LIMIT} bytes" in await refusal(make(), web.url("/x"))


async def test_a_body_without_an_end_is_cut_at_the_limit(web: Web, make: MakeFetcher) -> None:
    async def pour(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"x" * 5000)
            await writer.drain()

    web.script("/x", pour)
    assert f"more than {LIMIT} bytes" in await refusal(make(), web.url("/x"))


async def test_a_broken_answer_is_refused(web: Web, make: MakeFetcher) -> None:
    fetcher = make()
    for number, raw in enumerate((b"", b"hello\r\n\r\n", b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc")):

        async def answer(writer: asyncio.StreamWriter, raw: bytes = raw) -> None:
            writer.write(raw)

        web.script(f"/{number}", answer)
        assert "the connection broke off" in await refusal(fetcher, web.url(f"/{number}"))


async def test_a_closed_port_is_named(make: MakeFetcher) -> None:
    assert "no connection could be made" in await refusal(make(allow=("127.0.0.1",)), "http://127.0.0.1:1/x")


async def test_a_silent_server_is_given_up(web: Web, make: MakeFetcher) -> None:
    web.script("/x", _hang)
    assert "nothing came for 0.05 s" in await refusal(make(idle_timeout_s=0.05), web.url("/x"))


async def test_a_server_that_trickles_is_given_up(web: Web, make: MakeFetcher) -> None:
    async def trickle(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.01)

    web.script("/x", trickle)
    fetcher = make(idle_timeout_s=5.0, total_timeout_s=0.15)
    assert "could not be fetched within 0.15 s" in await refusal(fetcher, web.url("/x"))


async def test_a_slow_name_server_is_given_up(make: MakeFetcher) -> None:
    def resolve(host: str) -> list[str]:
        time.sleep(0.3)
        return ["127.0.0.1"]

    with pytest.raises(InvalidInput, match=r"within 0\.05 s"):
        await fetch(make(total_timeout_s=0.05, resolve=resolve), "http://slow.example/")


async def test_a_tenant_waits_for_a_turn_and_others_do_not(web: Web, make: MakeFetcher) -> None:
    go = asyncio.Event()

    async def wait(writer: asyncio.StreamWriter) -> None:
        await go.wait()
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")

    web.script("/x", wait)
    fetcher = make(concurrent_per_user=2)
    asked = [asyncio.create_task(fetch(fetcher, web.url("/x"), tenant)) for tenant in ("ada",) * 5 + ("bob",)]
    await eventually(lambda: web.running == 3)
    go.set()
    assert await asyncio.gather(*asked) == [b"ok"] * 6
    assert web.most_at_once == 3


async def test_waiting_for_a_turn_ends_with_the_time(web: Web, make: MakeFetcher) -> None:
    web.script("/x", _hang)
    fetcher = make(concurrent_per_user=1, total_timeout_s=0.1)
    results = await asyncio.gather(*(fetch(fetcher, web.url("/x")) for _ in range(4)), return_exceptions=True)
    assert [type(one) for one in results] == [InvalidInput] * 4


async def test_a_fetch_that_is_cancelled_gives_its_turn_back(web: Web, make: MakeFetcher) -> None:
    web.script("/slow", _hang)
    web.put("/x", b"ok")
    fetcher = make(concurrent_per_user=1)
    task = asyncio.create_task(fetch(fetcher, web.url("/slow")))
    await eventually(lambda: web.running)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert await fetch(fetcher, web.url("/x")) == b"ok"


@pytest.mark.parametrize("entry", ["localhost", "localhost:{port}", "127.0.0.0/8", "127.0.0.1"])
async def test_every_kind_of_allow_list_entry_lets_through(web: Web, make: MakeFetcher, entry: str) -> None:
    web.put("/x", b"ok")
    fetcher = make(allow=(entry.format(port=web.port),), resolve=lambda _: ["127.0.0.1"])
    assert await fetch(fetcher, web.url("/x", host="LOCALHOST.")) == b"ok"


async def test_the_next_address_is_tried_where_the_first_does_not_answer(web: Web, make: MakeFetcher) -> None:
    web.put("/x", b"ok")
    fetcher = make(allow=("two.example",), resolve=lambda _: ["127.0.0.2", "127.0.0.1"])
    assert await fetch(fetcher, web.url("/x", host="two.example")) == b"ok"


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl to make a certificate")
async def test_tls_believes_a_certificate_for_the_name_and_no_other(tmp_path: Path) -> None:
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    await _make_certificate(certificate, key, "safe.example")
    serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    serving.load_cert_chain(certificate, key)
    async with open_web(tls=serving) as web:
        web.put("/x", b"ok")
        settings = FetchSettings(allow=("127.0.0.0/8",))
        believing = ssl.create_default_context(cafile=str(certificate))
        for tls, host, is_believed in (
            (believing, "safe.example", True),
            (believing, "other.example", False),
            (None, "safe.example", False),
        ):
            fetcher = SafeFetcher(settings, resolve=lambda _: ["127.0.0.1"], tls=tls)
            url = f"https://{host}:{web.port}/x"
            if is_believed:
                assert await fetch(fetcher, url) == b"ok"
            else:
                with pytest.raises(InvalidInput, match=r"no connection could be made: .*CERTIFICATE_VERIFY_FAILED"):
                    await fetch(fetcher, url)
            await fetcher.aclose()
        assert web.names == ["safe.example", "other.example", "safe.example"]
        assert len(web.requests) == 1


async def _make_certificate(certificate: Path, key: Path, host: str) -> None:
    making = await asyncio.create_subprocess_exec(
        *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
        *("-subj", f"/CN={host}", "-addext", f"subjectAltName=DNS:{host}", "-keyout", key, "-out", certificate),
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert await making.wait() == 0


async def _hang(_: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()
