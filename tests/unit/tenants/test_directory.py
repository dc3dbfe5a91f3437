"""The tenant of a client, found by its identities."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wyoming_faster_whisper.principal import Principal
from wyoming_faster_whisper.tenant import HOUSE, Identity, IdentityKind, Tenant, has_room
from wyoming_faster_whisper.tenants.directory import TenantDirectory

GUESTS = Tenant(name="guests", label="guests", named=True, shares=True)
BATCH = Tenant(name="batch", label="batch", named=True, shares=True)
ALICE = Identity(IdentityKind.KEY, "alice")


def here(host: str) -> Identity:
    return Identity(IdentityKind.ADDRESS, host)


def test_a_client_that_belongs_to_no_tenant_has_the_default_one() -> None:
    assert TenantDirectory().find([ALICE, here("10.0.0.1")]) is HOUSE


def test_the_first_identity_that_has_a_tenant_counts() -> None:
    networks = {ipaddress.ip_network("10.0.0.0/8"): GUESTS}
    found = TenantDirectory(HOUSE, {ALICE: BATCH}, networks)
    assert found.find([ALICE, here("10.0.0.1")]) is BATCH
    assert found.find([Identity(IdentityKind.KEY, "bob"), here("10.0.0.1")]) is GUESTS


def test_an_assigned_client_is_logged_under_the_name_of_its_tenant() -> None:
    found = TenantDirectory(HOUSE, {ALICE: BATCH})
    client = Principal("key:alice", "alice", identities=(ALICE,))
    assigned = found.assign(client)
    assert (assigned.tenant, assigned.name, assigned.account) == (BATCH, "batch", "batch")
    assert (assigned.key, assigned.identities) == (client.key, client.identities)
    # The tenant is deleted: the client belongs to the house, under its own name.
    again = TenantDirectory().assign(assigned)
    assert (again.tenant, again.name) == (HOUSE, "alice")


@pytest.mark.parametrize("host", ["", "unix", "fe80::1%eth0", "300.0.0.1"])
def test_a_host_that_is_not_an_address_belongs_to_no_network(host: str) -> None:
    found = TenantDirectory(HOUSE, {}, {ipaddress.ip_network("0.0.0.0/0"): GUESTS})
    assert found.find([here(host)]) is HOUSE


_NETWORKS = st.one_of(
    st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 32)).map(
        lambda pair: ipaddress.ip_network((pair[0] >> 24 << 24, pair[1]), strict=False)
    ),
    st.tuples(st.integers(0, 2**128 - 1), st.integers(0, 128)).map(
        lambda pair: ipaddress.ip_network((pair[0], pair[1]), strict=False)
    ),
)


@given(st.lists(_NETWORKS, max_size=12, unique=True), st.ip_addresses())
def test_the_smallest_network_with_the_address_counts(
    networks: list[ipaddress.IPv4Network | ipaddress.IPv6Network],
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    tenants = {one: Tenant(name=str(one), named=True) for one in networks}
    around = [one for one in networks if address in one]
    expected = tenants[max(around, key=lambda one: one.prefixlen)] if around else HOUSE
    assert TenantDirectory(HOUSE, {}, tenants).find([here(str(address))]) is expected


@given(st.integers(1, 12), st.integers(1, 300))
def test_tenants_that_take_all_they_can_get_leave_room_for_another_one(
    count: int, limit: int
) -> None:
    own = [0] * count
    while True:
        hungry = [at for at in range(count) if has_room(own[at], sum(own), limit, GUESTS)]
        if not hungry:
            break
        own[min(hungry, key=lambda at: own[at])] += 1
    assert sum(own) <= limit
    assert limit <= count or has_room(0, sum(own), limit, GUESTS)
    assert max(own) - min(own) <= 1


def test_a_tenant_that_is_alone_may_use_everything() -> None:
    assert has_room(63, 63, 64, HOUSE)
    assert not has_room(64, 64, 64, HOUSE)
    assert not has_room(32, 32, 64, GUESTS)
