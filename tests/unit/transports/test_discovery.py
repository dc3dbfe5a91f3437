"""Zeroconf announcement: addresses and name."""

from __future__ import annotations

from ipaddress import ip_address

import ifaddr
import pytest

from wyoming_faster_whisper.transports.discovery import addresses_to_announce, instance_names


def adapter(name: str, *addresses: str) -> ifaddr.Adapter:
    ips = [
        ifaddr.IP((address, 0, 0) if ":" in address else address, 24, name)
        for address in addresses
    ]
    return ifaddr.Adapter(name, name, ips)


HOME = [
    adapter("lo", "127.0.0.1", "::1"),
    adapter("wlan0", "192.168.1.6", "169.254.8.8"),
    adapter("eth0", "192.168.1.5", "fd00::5", "2001:db8::5", "fe80::5"),
    adapter("br0", "192.168.7.1"),
    adapter("br-lan", "192.168.8.1"),
    adapter("docker0", "172.17.0.1"),
    adapter("br-0123456789ab", "172.18.0.1"),
    adapter("hassio", "172.30.32.1"),
    adapter("wg0", "10.6.0.1"),
    adapter("tailscale0", "100.100.1.1", "fd7a:115c:a1e0::1"),
]
IPV4 = ["192.168.1.5", "192.168.1.6", "192.168.7.1", "192.168.8.1"]
IPV6 = ["2001:db8::5", "fd00::5"]


def announced(*listening: str) -> list[str]:
    return [
        str(address)
        for address in addresses_to_announce([ip_address(one) for one in listening], HOME)
    ]


def test_the_ipv4_wildcard_announces_all_reachable_ipv4_addresses() -> None:
    assert announced("0.0.0.0") == IPV4


def test_the_ipv6_wildcard_announces_ipv4_and_ipv6_addresses() -> None:
    assert announced("::") == IPV4 + IPV6


def test_both_wildcards_announce_no_address_twice() -> None:
    assert announced("0.0.0.0", "::") == IPV4 + IPV6


@pytest.mark.parametrize("address", ["192.168.1.5", "fd00::5", "172.17.0.1", "203.0.113.9"])
def test_a_specific_address_is_announced_unchanged(address: str) -> None:
    assert announced(address) == [address]


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "127.0.1.1", "::1", "169.254.8.8", "fe80::5%2", "224.0.0.251"]
)
def test_local_and_multicast_addresses_are_not_announced(address: str) -> None:
    assert announced(address) == []


def test_the_order_of_the_interfaces_does_not_matter() -> None:
    listening = [ip_address("::")]
    assert addresses_to_announce(listening, HOME) == addresses_to_announce(listening, HOME[::-1])


def test_a_machine_without_a_network_announces_nothing() -> None:
    assert addresses_to_announce([ip_address("::")], HOME[:1]) == []


def first_name(name: str, port: int = 10300) -> str:
    return next(instance_names(name, "kitchen-pi", port))


def test_the_default_name_contains_the_host_and_a_non_default_port() -> None:
    assert first_name("faster-whisper") == "faster-whisper on kitchen-pi"
    assert first_name("faster-whisper", port=10301) == "faster-whisper on kitchen-pi:10301"


@pytest.mark.parametrize("port", [10300, 10301])
def test_long_host_names_that_begin_alike_are_told_apart(port: int) -> None:
    hosts = [f"{'stt-' * 11}{end}" for end in ("one", "two")]
    names = [list(instance_names("faster-whisper", host, port)) for host in hosts]
    assert len({*names[0], *names[1]}) == 10
    if port == 10301:
        assert all(":10301" in name for some in names for name in some)


def test_a_name_chosen_by_the_operator_is_kept() -> None:
    assert first_name("Küche", port=10301) == "Küche"


def test_a_name_already_in_use_gets_a_number() -> None:
    assert list(instance_names("kitchen", "", 10300))[:3] == [
        "kitchen",
        "kitchen (2)",
        "kitchen (3)",
    ]


def test_a_name_fits_into_one_dns_label() -> None:
    assert first_name("whisper 2.0\n") == "whisper 2-0"
    for name in instance_names("ü" * 40, "", 10300):
        assert len(name.encode()) <= 63
    assert len(set(instance_names("ü" * 40, "", 10300))) == 5
