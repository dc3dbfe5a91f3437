"""Directory of tenants: finds the tenant of a client by its identities. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from ..principal import Principal
from ..tenant import HOUSE, Identity, IdentityKind, Tenant
from .claims import claim_at

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class TenantDirectory:
    """The tenants of a server, and which clients belong to them.

    Args:
        default: the tenant of all clients that belong to no other one.
        members: identities other than addresses, each with its tenant.
        networks: networks, each with its tenant. Of several that contain an address, the
            smallest counts.
    """

    def __init__(
        self,
        default: Tenant = HOUSE,
        members: Mapping[Identity, Tenant] | None = None,
        networks: Mapping[Network, Tenant] | None = None,
    ) -> None:
        self.default = default
        self._members = dict(members or {})
        self._claims = {one.claim for one in self._members if one.kind is IdentityKind.CLAIM}
        self._networks = {_prefix(one): tenant for one, tenant in (networks or {}).items()}
        lengths = {(version, length) for version, length, _ in self._networks}
        self._lengths = sorted(lengths, reverse=True)  # the smallest networks first
        every = [default, *self._members.values(), *self._networks.values()]
        self.names = frozenset(tenant.name for tenant in every)

    def __repr__(self) -> str:
        return f"<TenantDirectory {len(self.names)} tenants>"

    def find(self, identities: Iterable[Identity]) -> Tenant:
        """Return the tenant of a client.

        Args:
            identities: of the client, the most specific first; the first that belongs to a tenant
                counts.
        """
        for identity in identities:
            if identity.kind is IdentityKind.ADDRESS:
                found = self._by_address(identity.value)
            else:
                found = self._members.get(identity)
            if found is not None:
                return found
        return self.default

    def tenants_by(self, kind: IdentityKind) -> list[str]:
        """Return the names of the tenants that list identities of a kind."""
        if kind is IdentityKind.ADDRESS:
            members = list(self._networks.values())
        else:
            members = [tenant for one, tenant in self._members.items() if one.kind is kind]
        return list(dict.fromkeys(tenant.name for tenant in members))

    def values_by(self, kind: IdentityKind) -> dict[str, str]:
        """Return the values of a kind of identity, each with the name of its tenant."""
        members = self._members.items()
        return {one.value: tenant.name for one, tenant in members if one.kind is kind}

    def assign(self, principal: Principal) -> Principal:
        """Return a client with the tenant that it belongs to."""
        tenant = self.find(principal.identities)
        if tenant is principal.tenant:
            return principal
        return replace(principal, tenant=tenant)

    def identities_in(self, claims: Mapping[str, Any]) -> Iterator[Identity]:
        """Yield the identities in the claims of a token that belong to a tenant.

        A claim is a text, a number, or a list of them.
        """
        for name in sorted(self._claims):
            value = claim_at(claims, name)
            for one in value if isinstance(value, list) else [value]:
                if isinstance(one, str | int) and not isinstance(one, bool):
                    identity = Identity(IdentityKind.CLAIM, str(one), name)
                    if identity in self._members:
                        yield identity

    def _by_address(self, host: str) -> Tenant | None:
        if not self._lengths:
            return None
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return None
        for version, length in self._lengths:
            if version == address.version:
                top = int(address) >> (address.max_prefixlen - length)
                if (found := self._networks.get((version, length, top))) is not None:
                    return found
        return None


def _prefix(network: Network) -> tuple[int, int, int]:
    """Return the version, the length and the value of a network's prefix."""
    length = network.prefixlen
    return (
        network.version,
        length,
        int(network.network_address) >> (network.max_prefixlen - length),
    )
