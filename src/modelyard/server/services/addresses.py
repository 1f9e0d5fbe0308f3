"""Which addresses the server may not be sent to by a URL of a caller's.

The list is explicit: `ipaddress.is_global` lets several ways to write 127.0.0.1 in IPv6 pass.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

DENIED: tuple[tuple[Network, str], ...] = tuple(
    (ipaddress.ip_network(text), what)
    for text, what in (
        ("0.0.0.0/8", "an address of this host"),
        ("10.0.0.0/8", "a private address"),
        ("100.64.0.0/10", "a private address"),
        ("127.0.0.0/8", "a private address of this host"),
        ("168.63.129.16/32", "an address of the cloud that a host is in"),
        ("169.254.0.0/16", "a link-local address"),
        ("172.16.0.0/12", "a private address"),
        ("192.0.0.0/24", "a reserved address"),
        ("192.0.2.0/24", "a reserved address"),
        ("192.88.99.0/24", "a tunnel's address"),
        ("192.168.0.0/16", "a private address"),
        ("198.18.0.0/15", "a reserved address"),
        ("198.51.100.0/24", "a reserved address"),
        ("203.0.113.0/24", "a reserved address"),
        ("224.0.0.0/4", "a multicast address"),
        ("240.0.0.0/4", "a reserved address"),
        ("::1/128", "a private address of this host"),
        ("::/96", "a reserved address"),
        ("64:ff9b::/96", "a translated address"),
        ("64:ff9b:1::/48", "a translated address"),
        ("100::/64", "a reserved address"),
        ("2001::/23", "a reserved address"),
        ("2001:db8::/32", "a reserved address"),
        ("2002::/16", "a tunnel's address"),
        ("3fff::/20", "a reserved address"),
        ("5f00::/16", "a reserved address"),
        ("fc00::/7", "a private address"),
        ("fe80::/10", "a link-local address"),
        ("fec0::/10", "a private address"),
        ("ff00::/8", "a multicast address"),
        # Whatever else is not in 2000::/3, the only part of IPv6 that is given to networks.
        ("::/3", "a reserved address"),
        ("4000::/2", "a reserved address"),
        ("8000::/1", "a reserved address"),
    )
)


def parse_address(text: str) -> Address | None:
    """The address that a text is; an IPv4 address inside IPv6 (`::ffff:1.2.3.4`) is that IPv4 address."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def explain_denied(address: Address) -> str | None:
    """What kind of address it is, where the server may not be sent to it; else None."""
    for network, what in DENIED:
        if address in network:
            return what
    return "an address of this host" if _is_own(address) else None


def is_within(address: Address, networks: Iterable[Network]) -> bool:
    """Is the address in one of the networks?"""
    return any(address in network for network in networks)


def _is_own(address: Address) -> bool:
    """Is it an address of this host? Only its own can be bound to, so there is no list to go stale.

    Where the kernel binds to any address (`ip_nonlocal_bind`), all count as own: refused rather than reached.
    """
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((str(address), 0))
    except OSError:
        return False
    return True
