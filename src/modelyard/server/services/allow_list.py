"""What the operator allows input URLs to reach although it is private or on another port: `--fetch-allow`."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass

from modelyard.errors import InvalidRequest
from modelyard.server.services.addresses import Address, Network, is_within, parse_address

NAME_GRAMMAR = re.compile(r"[a-z0-9_]([a-z0-9_.-]{0,251}[a-z0-9_])?")
_HOST_AND_PORT = re.compile(r"(?P<host>\[[^\[\]]+\]|[^:\[\]]+)(:(?P<port>[0-9]{1,5}))?")


@dataclass(frozen=True)
class AllowList:
    """Hosts, hosts with one port, and networks."""

    names: frozenset[tuple[str, int | None]] = frozenset()
    """(host as a URL names it, its port or None for every port)."""
    networks: tuple[Network, ...] = ()

    @classmethod
    def parse(cls, entries: Sequence[str]) -> AllowList:
        """Read `host`, `host:port` and CIDR entries; raises InvalidRequest that names every wrong one."""
        names: set[tuple[str, int | None]] = set()
        networks: list[Network] = []
        wrong: list[str] = []
        for entry in entries:
            network, name = _parse_network(entry), _parse_name(entry)
            if network is not None:
                networks.append(network)
            elif name is not None:
                names.add(name)
            else:
                wrong.append(repr(entry))
        if wrong:
            raise InvalidRequest(
                f"--fetch-allow {', '.join(wrong)}: this is neither HOST, HOST:PORT nor a network such as 10.0.0.0/8",
                hint="write an IPv6 address with a port as [::1]:8080",
            )
        return cls(frozenset(names), tuple(networks))

    def allows_name(self, host: str, port: int) -> bool:
        """May this host be reached on this port, whatever its addresses are?"""
        return (host, None) in self.names or (host, port) in self.names

    def allows_address(self, address: Address) -> bool:
        """May this address be reached, on any port?"""
        return is_within(address, self.networks)


def _parse_network(entry: str) -> Network | None:
    """A CIDR entry, or a lone address, which is a network of one."""
    try:
        return ipaddress.ip_network(entry)
    except ValueError:
        return None


def _parse_name(entry: str) -> tuple[str, int | None] | None:
    found = _HOST_AND_PORT.fullmatch(entry.lower())
    if found is None:
        return None
    host, port = found["host"], int(found["port"]) if found["port"] else None
    if port is not None and not 0 < port < 65536:
        return None
    if host.startswith("["):
        address = parse_address(host[1:-1])
        return (str(address), port) if address is not None else None
    return (host, port) if NAME_GRAMMAR.fullmatch(host) else None
