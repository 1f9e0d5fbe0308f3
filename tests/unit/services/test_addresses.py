"""The deny list, network by network, and what only this host has."""

from __future__ import annotations

import ipaddress
import socket

import pytest

from modelyard.server.services.addresses import DENIED, explain_denied, parse_address

# fmt: off
NAMED_IN_THE_DESIGN = (
    "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
    "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
    "224.0.0.0/4", "240.0.0.0/4", "::/96", "::1/128", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23",
    "2001:db8::/32", "2002::/16", "3fff::/20", "5f00::/16", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8",
)
# fmt: on


def problem_of(text: str) -> str | None:
    address = parse_address(text)
    assert address is not None
    return explain_denied(address)


@pytest.mark.parametrize("text", NAMED_IN_THE_DESIGN)
def test_both_ends_of_every_denied_network_are_denied(text: str) -> None:
    network = ipaddress.ip_network(text)
    assert network in [denied for denied, _ in DENIED]
    for address in (network[0], network[-1], network[network.num_addresses // 2]):
        assert explain_denied(address)


@pytest.mark.parametrize(
    "text",
    [
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "126.255.255.255",
        "128.0.0.0",
        "169.253.255.255",
        "169.255.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "192.167.255.255",
        "192.169.0.0",
        "198.17.255.255",
        "198.20.0.0",
        "223.255.255.255",
        "2001:200::1",
        "2606:4700::1",
        "2003::1",
        "3ffe::1",
    ],
)
def test_neighbours_of_denied_networks_are_public(text: str) -> None:
    assert problem_of(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:a9fe:a9fe",
        "::127.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b:1::7f00:1",
        "2002:7f00:1::",
        "2001:0:7f00:1::",
        "::ffff:0:127.0.0.1",
        "fd00:ec2::254",
        "fe80::1%lo",
        "4000::1",
        "8000::1",
        "168.63.129.16",
        "255.255.255.255",
    ],
)
def test_private_addresses_in_disguise_are_denied(text: str) -> None:
    assert problem_of(text)


def test_a_mapped_public_address_is_the_public_one() -> None:
    assert parse_address("::ffff:93.184.216.34") == ipaddress.ip_address("93.184.216.34")
    assert problem_of("::ffff:93.184.216.34") is None


@pytest.mark.parametrize(
    "text", ["", "localhost", "2130706433", "0177.0.0.1", "127.1", "0x7f.0.0.1", "1.2.3.4.", "1.2.3"]
)
def test_only_canonical_text_is_an_address(text: str) -> None:
    assert parse_address(text) is None


def test_an_address_of_this_host_is_denied_although_it_is_public(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test machine has a public address for sure; the loopback stands in, with the deny list out of the way."""
    monkeypatch.setattr("modelyard.server.services.addresses.DENIED", ())
    assert problem_of("127.0.0.1") == "an address of this host"
    assert problem_of("93.184.216.34") is None
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("127.0.0.1", 9))
        assert problem_of(probe.getsockname()[0]) == "an address of this host"
