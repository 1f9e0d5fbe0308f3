"""A URL taken apart once: what is shown, resolved, checked, connected to and sent all comes from here."""

from __future__ import annotations

from dataclasses import dataclass, field

import httpx

from modelyard.errors import InvalidInput
from modelyard.server.services.addresses import Address, parse_address
from modelyard.server.services.allow_list import NAME_GRAMMAR

PORTS = {"http": 80, "https": 443}
MAX_URL_LENGTH = 8192
MAX_SHOWN_LENGTH = 200


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a URL points."""

    scheme: str
    host: str
    """A name in its ASCII form, or an address, canonical and without brackets."""
    address: Address | None
    """The host, where it is an address."""
    port: int
    target: bytes
    """Path and query, as they are sent."""
    url: httpx.URL = field(repr=False)

    @property
    def authority(self) -> str:
        """The `Host` header: without the port, where that is the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def shown(self) -> str:
        """The URL for messages: no query, which may hold a secret, and not too long."""
        text = f"{self.scheme}://{self.authority}{self.target.partition(b'?')[0].decode('ascii')}"
        return text if len(text) <= MAX_SHOWN_LENGTH else text[:MAX_SHOWN_LENGTH] + "..."

    def follow(self, location: str) -> Place:
        """Where a redirect leads; raises InvalidInput as `parse_place` does."""
        try:
            return _take_apart(self.url.join(location))
        except (httpx.InvalidURL, ValueError):
            raise InvalidInput("it redirects to something that is not a URL") from None
        except InvalidInput as error:
            raise InvalidInput(f"it redirects to a URL that is not fetched: {error.message}") from None


def parse_place(text: str) -> Place:
    """Take a URL apart. Raises InvalidInput, which does not name the URL, for one that may not be fetched."""
    if len(text) > MAX_URL_LENGTH:
        raise InvalidInput(f"the URL has {len(text)} characters; at most {MAX_URL_LENGTH} are allowed")
    try:
        return _take_apart(httpx.URL(text))
    except (httpx.InvalidURL, ValueError):
        # httpx says which part it cannot read, and that part may be a password.
        raise InvalidInput(
            "this is not a URL", hint="write it as https://host/path, with a host in ASCII or IDNA 2008"
        ) from None


def _take_apart(url: httpx.URL) -> Place:
    scheme = url.scheme.lower()
    if scheme not in PORTS:
        raise InvalidInput(f"its scheme is {scheme[:20]!r}; only http and https are fetched")
    if url.userinfo:
        raise InvalidInput("it has a user name or a password in it: those are not sent")
    host = url.raw_host.decode("ascii").lower()
    address = None if "%" in host else parse_address(host)
    name = host.removesuffix(".")
    if address is None and not NAME_GRAMMAR.fullmatch(name):
        raise InvalidInput(f"its host {host[:100]!r} is not a name or an address")
    port = url.port if url.port is not None else PORTS[scheme]
    if not 0 < port < 65536:
        raise InvalidInput(f"its port {port} does not exist")
    return Place(
        scheme=scheme,
        host=name if address is None else str(address),
        address=address,
        port=port,
        target=url.raw_path,
        url=url,
    )
