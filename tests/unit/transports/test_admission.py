"""Admission control and eviction of clients."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_network

import pytest

from wyoming_faster_whisper.errors import Busy, NotAllowed
from wyoming_faster_whisper.principal import Principal
from wyoming_faster_whisper.tenant import Tenant
from wyoming_faster_whisper.transports.admission import Admission, normalised_host


@dataclass
class Visitor:
    principal: Principal
    silent: bool = False
    idle: float = 0.0  # seconds


KITCHEN = Principal("192.168.1.10", "192.168.1.10:4711")
HALL = Principal("192.168.1.11", "192.168.1.11:4711")
LOCAL = Principal("", "unix")


def test_a_client_is_admitted_while_there_is_room() -> None:
    assert Admission(max_connections=2).admit(KITCHEN, [Visitor(KITCHEN, silent=True)]) is None


def test_the_oldest_client_that_never_sent_anything_is_evicted() -> None:
    speaking, first, second = Visitor(KITCHEN), Visitor(HALL, True), Visitor(HALL, True)
    assert Admission(max_connections=3).admit(KITCHEN, [speaking, first, second]) is first


def test_an_active_client_is_not_evicted() -> None:
    with pytest.raises(Busy, match=r"^too many connections \(2 clients\); try again later$"):
        Admission(max_connections=2).admit(HALL, [Visitor(KITCHEN), Visitor(KITCHEN, idle=9.9)])


def test_the_client_idle_for_longest_is_evicted() -> None:
    speaking, idle, idlest = Visitor(HALL), Visitor(HALL, idle=11.0), Visitor(HALL, idle=90.0)
    assert Admission(max_connections=3).admit(KITCHEN, [speaking, idle, idlest]) is idlest


def test_a_client_that_never_sent_anything_is_evicted_before_an_idle_one() -> None:
    idle, silent = Visitor(HALL, idle=90.0), Visitor(HALL, silent=True, idle=1.0)
    assert Admission(max_connections=2).admit(KITCHEN, [idle, silent]) is silent


def test_one_address_may_use_all_connections_unless_limited() -> None:
    assert Admission(max_connections=3).admit(KITCHEN, [Visitor(KITCHEN)] * 2) is None
    with pytest.raises(Busy, match=r"^too many connections from 192\.168\.1\.10 \(2 clients\)"):
        Admission(max_connections=3, max_per_address=2).admit(KITCHEN, [Visitor(KITCHEN)] * 2)
    assert (
        Admission(max_connections=3, max_per_address=2).admit(HALL, [Visitor(KITCHEN)] * 2)
        is None
    )


def test_connections_of_one_principal_count_together() -> None:
    other_port = Visitor(Principal(KITCHEN.key, "192.168.1.10:4712"))
    with pytest.raises(Busy):
        Admission(max_per_address=1).admit(KITCHEN, [other_port])


def test_a_limited_address_evicts_only_its_own_clients() -> None:
    other, own = Visitor(HALL, silent=True), Visitor(KITCHEN, silent=True)
    assert Admission(max_connections=9, max_per_address=1).admit(KITCHEN, [other, own]) is own
    with pytest.raises(Busy):
        Admission(max_connections=9, max_per_address=1).admit(KITCHEN, [other, Visitor(KITCHEN)])


def test_clients_without_an_address_are_not_limited_per_address() -> None:
    assert (
        Admission(max_connections=3, max_per_address=1).admit(
            LOCAL, [Visitor(LOCAL), Visitor(LOCAL)]
        )
        is None
    )


@pytest.mark.parametrize(
    ("host", "let_in"),
    [
        ("192.168.1.10", True),
        ("192.169.0.1", False),
        ("192.169.0.2", True),  # its own
        ("fd00::1", True),
        ("2001:db8::1", False),
        ("127.0.0.1", True),
        ("::1", True),
        ("", True),
    ],
)
def test_only_clients_in_allowed_networks_are_admitted(host: str, let_in: bool) -> None:
    admission = Admission(allowed_networks=(ip_network("192.168.0.0/16"), ip_network("fd00::/8")))
    if let_in:
        admission.check_network(host, own="192.169.0.2")
    else:
        with pytest.raises(NotAllowed, match=f"^{host} is not in a network of --allow$"):
            admission.check_network(host, own="192.169.0.2")


@pytest.mark.parametrize(
    ("host", "plain"),
    [
        ("::ffff:192.168.1.10", "192.168.1.10"),
        ("fe80::1%eth0", "fe80::1"),
        ("FD00:0::1", "fd00::1"),
        ("192.168.1.10", "192.168.1.10"),
    ],
)
def test_addresses_are_normalised_before_they_are_compared(host: str, plain: str) -> None:
    assert normalised_host(host) == plain


def of_tenant(name: str) -> Principal:
    return Principal("10.0.0.1", "10.0.0.1", tenant=Tenant(name=name, named=True, shares=True))


def test_a_tenant_leaves_room_for_the_connections_of_others() -> None:
    greedy, other = of_tenant("greedy"), of_tenant("other")
    connected = [Visitor(greedy) for _ in range(4)]
    admission = Admission(max_connections=8)
    with pytest.raises(Busy):
        admission.admit(greedy, connected)
    assert admission.admit(other, connected) is None


def test_a_tenant_that_has_its_part_evicts_only_its_own_clients() -> None:
    greedy, silent = of_tenant("greedy"), Visitor(HALL, silent=True)
    own = Visitor(greedy, idle=11.0)
    connected = [silent, own, *(Visitor(greedy) for _ in range(3))]
    assert Admission(max_connections=8).admit(greedy, connected) is own
