"""Admission control and eviction of clients."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_network

import pytest

from wyoming_faster_whisper.errors import Busy, NotAllowed
from wyoming_faster_whisper.transports.admission import Admission, normalised_host


@dataclass
class Visitor:
    host: str
    silent: bool = False
    idle: float = 0.0  # seconds


KITCHEN, HALL = "192.168.1.10", "192.168.1.11"


def test_who_comes_while_there_is_room_is_let_in() -> None:
    assert Admission(max_connections=2).admit(KITCHEN, [Visitor(KITCHEN, silent=True)]) is None


def test_who_has_been_silent_for_longest_gives_way() -> None:
    speaking, first, second = Visitor(KITCHEN), Visitor(HALL, True), Visitor(HALL, True)
    assert Admission(max_connections=3).admit(KITCHEN, [speaking, first, second]) is first


def test_who_is_speaking_or_has_just_spoken_does_not_give_way() -> None:
    with pytest.raises(Busy, match=r"^too many connections \(2 clients\); try again later$"):
        Admission(max_connections=2).admit(HALL, [Visitor(KITCHEN), Visitor(KITCHEN, idle=9.9)])


def test_who_said_something_once_and_has_been_idle_for_longest_gives_way() -> None:
    speaking, idle, idlest = Visitor(HALL), Visitor(HALL, idle=11.0), Visitor(HALL, idle=90.0)
    assert Admission(max_connections=3).admit(KITCHEN, [speaking, idle, idlest]) is idlest


def test_who_never_sent_anything_gives_way_before_who_did() -> None:
    idle, silent = Visitor(HALL, idle=90.0), Visitor(HALL, silent=True, idle=1.0)
    assert Admission(max_connections=2).admit(KITCHEN, [idle, silent]) is silent


def test_one_address_may_have_all_places_unless_it_is_said_otherwise() -> None:
    assert Admission(max_connections=3).admit(KITCHEN, [Visitor(KITCHEN)] * 2) is None
    with pytest.raises(Busy, match=f"^too many connections from {KITCHEN} "):
        Admission(max_connections=3, max_per_address=2).admit(KITCHEN, [Visitor(KITCHEN)] * 2)
    assert (
        Admission(max_connections=3, max_per_address=2).admit(HALL, [Visitor(KITCHEN)] * 2)
        is None
    )


def test_who_has_too_many_makes_room_among_its_own() -> None:
    other, own = Visitor(HALL, silent=True), Visitor(KITCHEN, silent=True)
    assert Admission(max_connections=9, max_per_address=1).admit(KITCHEN, [other, own]) is own
    with pytest.raises(Busy):
        Admission(max_connections=9, max_per_address=1).admit(KITCHEN, [other, Visitor(KITCHEN)])


def test_clients_without_an_address_are_no_kin() -> None:
    assert (
        Admission(max_connections=3, max_per_address=1).admit("", [Visitor(""), Visitor("")])
        is None
    )


@pytest.mark.parametrize(
    ("host", "let_in"),
    [
        (KITCHEN, True),
        ("192.169.0.1", False),
        ("fd00::1", True),
        ("2001:db8::1", False),
        ("127.0.0.1", True),
        ("::1", True),
        ("", True),
    ],
)
def test_only_networks_that_are_named_are_let_in(host: str, let_in: bool) -> None:
    admission = Admission(allowed_networks=(ip_network("192.168.0.0/16"), ip_network("fd00::/8")))
    if let_in:
        assert admission.admit(host, []) is None
    else:
        with pytest.raises(NotAllowed, match=f"^{host} is not in a network of --allow$"):
            admission.admit(host, [])


@pytest.mark.parametrize(
    ("host", "plain"),
    [
        ("::ffff:192.168.1.10", KITCHEN),
        ("fe80::1%eth0", "fe80::1"),
        ("FD00:0::1", "fd00::1"),
        (KITCHEN, KITCHEN),
    ],
)
def test_an_address_is_compared_in_one_form(host: str, plain: str) -> None:
    assert normalised_host(host) == plain
