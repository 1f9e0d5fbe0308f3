"""URLs that must not be followed: spelled in every odd way, resolved to private places, redirected there."""

from __future__ import annotations

import pytest

from modelyard.errors import InvalidInput, InvalidRequest
from modelyard.server.services.allow_list import AllowList
from modelyard.server.services.fetch import SafeFetcher, resolve_name
from modelyard.server.settings import FetchSettings
from support.web import open_web

WHERE = "inputs[0].data.image.url"


class Names:
    """A resolver out of a dict, which counts; what it does not know goes to the system's."""

    def __init__(self, **known: list[str]) -> None:
        self.known = {name.replace("_", "."): addresses for name, addresses in known.items()}
        self.asked: list[str] = []

    def __call__(self, host: str) -> list[str]:
        self.asked.append(host)
        return self.known[host] if host in self.known else resolve_name(host)


async def refuse(url: str, *allow: str, resolve: Names | None = None) -> str:
    """The refusal of a URL, which names the field and gives no secret away."""
    fetcher = SafeFetcher(FetchSettings(allow=allow), resolve=resolve)
    try:
        with pytest.raises(InvalidInput) as caught:
            await fetcher.fetch(url, where=WHERE, tenant="ada")
    finally:
        await fetcher.aclose()
    assert str(caught.value).startswith(f"{WHERE}: ")
    assert "secret" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/",
        "http://localhost/",
        "http://localhost./",
        "http://LOCALHOST/",
        "http://127.0.0.1./",
        "http://127.1/",
        "http://2130706433/",
        "http://0x7f000001/",
        "http://0/",
        "http://[::1]/",
        "http://[::]/",
        "http://[::ffff:127.0.0.1]/",
        "http://[::ffff:7f00:1]/",
        "http://[0:0:0:0:0:ffff:127.0.0.1]/",
        "http://[64:ff9b::7f00:1]/",
        "http://[2002:7f00:1::]/",
        "http://169.254.169.254/latest/meta-data/?token=secret",
        "https://10.0.0.1/",
    ],
)
async def test_private_addresses_are_refused_however_they_are_spelled(url: str) -> None:
    refusal = await refuse(url)
    assert "only public addresses are fetched" in refusal
    assert "modelyard up --fetch-allow" in refusal


@pytest.mark.parametrize(
    "url",
    [
        "",
        "x",
        "//example.com/x",
        "http://",
        "http:///x",
        "file:///etc/passwd",
        "ftp://example.com/",
        "gopher://127.0.0.1/",
        "data:text/plain,secret",
        "unix:///run/x.sock",
        "http://[::1",
        "http://[fe80::1%25eth0]/",
        "http://user:secret@example.com/",
        "http://user:secret/",
        "http://127.0.0.1\\@example.com/",
        "http://secret@127.0.0.1@example.com/",
        "http://a\r\nHost: b/",
        "http://a\tb/",
        "http://a b/",
        "http://a%2eb/",
        "http://0177.0.0.1/",
        "http://example.com../",
        "http://-a/",
        "http://①②⑦.⓪.⓪.①/",
        "http://example.com:0/",
        "http://example.com:99999/",
        "http://" + "a" * 300 + "/",
        "http://example.com/" + "a" * 9000,
        "http://\ud800/",
        "\x00",
    ],
)
async def test_what_is_not_a_plain_web_address_is_refused_before_any_name_is_looked_up(url: str) -> None:
    names = Names()
    await refuse(url, resolve=names)
    assert names.asked == []


async def test_other_ports_are_refused_with_the_way_to_allow_them() -> None:
    refusal = await refuse("http://example.com:8080/", resolve=Names(example_com=["93.184.216.34"]))
    assert "only 80 and 443" in refusal
    assert "--fetch-allow example.com:8080" in refusal


async def test_one_private_address_among_public_ones_is_enough_to_refuse() -> None:
    names = Names(two_example=["93.184.216.34", "10.0.0.7"])
    refusal = await refuse("http://two.example/", resolve=names)
    assert "two.example has a private address" in refusal
    assert "10.0.0.7" not in refusal


async def test_a_name_without_an_address_says_so() -> None:
    assert "has no address" in await refuse("http://none.example/", resolve=Names(none_example=[]))
    assert "cannot be resolved" in await refuse("http://a.invalid/", resolve=_FailingNames())


class _FailingNames(Names):
    def __call__(self, host: str) -> list[str]:
        raise OSError(f"no {host}")


async def test_switched_off_it_fetches_nothing() -> None:
    names = Names()
    fetcher = SafeFetcher(FetchSettings(is_enabled=False, allow=("127.0.0.1",)), resolve=names)
    with pytest.raises(InvalidInput, match=r"does not fetch URLs.*base64"):
        await fetcher.fetch("http://127.0.0.1/", where=WHERE, tenant="ada")
    await fetcher.aclose()
    assert names.asked == []


@pytest.mark.parametrize(
    "location",
    [
        "http://127.0.0.2:{port}/found",
        "http://localhost:{port}/found",
        "http://[::ffff:127.0.0.2]:{port}/found",
        "//169.254.169.254/latest",
        "http://127.0.0.1:1/",
        "file:///etc/passwd",
        "http://user:secret@127.0.0.1:{port}/found",
        "http://[::1",
        "javascript:alert(1)",
    ],
)
async def test_redirects_are_checked_from_the_start(location: str) -> None:
    async with open_web() as web:
        web.put("/found", b"inside")
        web.put("/", status=302, location=location.format(port=web.port))
        await refuse(web.url(), web.address)
        assert len(web.requests) == 1


async def test_a_name_is_resolved_once_and_that_address_is_connected_to() -> None:
    """DNS rebinding: the second answer of the name server would be another address; nobody asks for it."""
    async with open_web() as web:
        web.put("/", b"ok")
        names = Names(pin_example=["127.0.0.1"])
        fetcher = SafeFetcher(FetchSettings(allow=("127.0.0.0/8",)), resolve=names)
        assert await fetcher.fetch(web.url(host="pin.example"), where=WHERE, tenant="ada") == b"ok"
        await fetcher.aclose()
        assert names.asked == ["pin.example"]
        assert f"Host: pin.example:{web.port}\r\n".encode() in web.requests[0]


async def test_a_redirect_to_a_name_that_now_is_private_is_refused() -> None:
    async with open_web() as web:
        names = Names(pin_example=["127.0.0.1"])
        web.put("/", status=307, location=web.url("/found", host="pin.example"))

        class Rebinding(Names):
            def __call__(self, host: str) -> list[str]:
                found = super().__call__(host)
                self.known[host] = ["10.0.0.1"]
                return found

        rebinding = Rebinding(pin_example=names.known["pin.example"])
        refusal = await refuse(web.url(host="pin.example"), "127.0.0.0/8", resolve=rebinding)
        assert "has a private address" in refusal
        assert rebinding.asked == ["pin.example", "pin.example"]


@pytest.mark.parametrize(
    "entry", ["", "http://a", "a:b", "a:0", "a:70000", "10.0.0.1/8", "a/24", "[::1", "a b", "*", "é"]
)
def test_an_allow_list_entry_that_means_nothing_is_named(entry: str) -> None:
    with pytest.raises(InvalidRequest, match="--fetch-allow") as caught:
        SafeFetcher(FetchSettings(allow=("good.example", entry)))
    assert repr(entry) in str(caught.value)
    assert "good.example" not in str(caught.value)


def test_allow_list_entries_allow_just_what_they_say() -> None:
    allowed = AllowList.parse(["A.example", "b.example:81", "10.1.0.0/16", "fd00::/8", "[::1]:82", "192.0.2.1"])
    for host, port in (("a.example", 1), ("b.example", 81), ("::1", 82)):
        assert allowed.allows_name(host, port)
    for host, port in (("b.example", 80), ("x.a.example", 80), ("::1", 80), ("a.example.", 80)):
        assert not allowed.allows_name(host, port)


@pytest.fixture(autouse=True)
def proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the environment says of proxies is not listened to."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")


async def test_proxies_of_the_environment_are_not_used() -> None:
    async with open_web() as web:
        web.put("/", b"ok")
        fetcher = SafeFetcher(FetchSettings(allow=(web.address,)))
        assert await fetcher.fetch(web.url(), where=WHERE, tenant="ada") == b"ok"
        await fetcher.aclose()
