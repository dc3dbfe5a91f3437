"""The text of a file of tenants, checked. Pure.

    default = "house"            # tenant of the clients that belong to no other one

    [tenants.house]
    weight = 4

    [tenants.guests]
    networks = ["192.168.20.0/24"]
    requests = 2

docs/tenants.md describes the keys.
"""

from __future__ import annotations

import ipaddress
import re
import tomllib
from collections.abc import Mapping, Sequence
from typing import Any

from ..tenant import HOUSE, Identity, IdentityKind, Tenant
from .directory import Network, TenantDirectory
from .values import VALUES, only, table, texts

MOST_TENANTS = 10_000
MOST_LABELS = 100
"""Tenants that have labels of their own in the metrics, in the order of the file."""

OTHERS = "others"
"""Label of all further ones."""

_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")

IDENTITY_KEYS = {
    IdentityKind.KEY: "keys",
    IdentityKind.SUBJECT: "subjects",
    IdentityKind.CERTIFICATE: "certificates",
    IdentityKind.SITE: "sites",
    IdentityKind.CLAIM: "claims",
    IdentityKind.ADDRESS: "networks",
}
"""Key of a tenant's table that lists its identities of a kind."""


def parse_tenants(text: str, models: Mapping[str, Sequence[str]]) -> TenantDirectory:
    """Return the tenants in the text of a file.

    Args:
        text: TOML.
        models: the languages of each served model, by its name.

    Raises:
        ValueError: the text is not TOML, or a value is wrong. The message names table and key.
    """
    try:
        file = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ValueError(f"it is not TOML: {error}") from None
    only(file, ("default", "tenants"), "the file")
    given = table(file.get("tenants", {}), "tenants")
    if len(given) > MOST_TENANTS:
        raise ValueError(f"there are {len(given)} tenants; there may be {MOST_TENANTS}")
    default = file.get("default", HOUSE.name)
    if not isinstance(default, str) or not _NAME.fullmatch(default):
        raise ValueError(f"default is {default!r}; it must be the name of a tenant")
    if default not in given and "default" in file:
        raise ValueError(f"default is {default!r}, but there is no table [tenants.{default}]")
    return _Builder(default, models, shares=len(given.keys() | {default}) > 1).build(given)


class _Builder:
    """Makes a directory from the tables of tenants."""

    def __init__(
        self, default: str, models: Mapping[str, Sequence[str]], *, shares: bool
    ) -> None:
        self._default = default
        self._models = models
        self._shares = shares
        self._members: dict[Identity, Tenant] = {}
        self._networks: dict[Network, Tenant] = {}
        self._labels: set[str] = set()

    def build(self, given: Mapping[str, Any]) -> TenantDirectory:
        default = Tenant(name=self._default, label=self._default, shares=self._shares)
        for name, value in given.items():
            where = f"[tenants.{name}]"
            if not _NAME.fullmatch(name):
                raise ValueError(
                    f"{where}: a name of a tenant must have 1 to 64 letters, digits or ._-"
                )
            entries = table(value, where)
            tenant = self._tenant(name, entries, where)
            if name == self._default:
                default = tenant
            self._add_identities(tenant, entries, where)
        return TenantDirectory(default, self._members, self._networks)

    def _tenant(self, name: str, entries: Mapping[str, Any], where: str) -> Tenant:
        only(entries, (*VALUES, *IDENTITY_KEYS.values()), where)
        values: dict[str, Any] = {
            field: check(entries[key], f"{where} {key}")
            for key, (field, check) in VALUES.items()
            if key in entries
        }
        named = name != self._default
        if named:
            # What belongs to the house is not lent to others unless their table says so.
            values = {"prompt": "", "home_names": False, "log_text": False, **values}
        # Metrics must not have more time series than a database of metrics can hold.
        label = name if not named or len(self._labels) < MOST_LABELS else OTHERS
        self._labels.add(label)
        tenant = Tenant(name=name, label=label, named=named, shares=self._shares, **values)
        self._check_models(tenant, where)
        return tenant

    def _check_models(self, tenant: Tenant, where: str) -> None:
        for model in tenant.models:
            if model not in self._models:
                raise ValueError(
                    f"{where} models has {model!r}; this server has {', '.join(self._models)}; "
                    "see --model"
                )
        usable = [self._models[model] for model in tenant.models or self._models]
        if tenant.languages and not any(set(tenant.languages) & set(one) for one in usable):
            raise ValueError(
                f"{where} languages has none that its models support; they support "
                f"{', '.join(dict.fromkeys(code for one in usable for code in one))}"
            )

    def _add_identities(self, tenant: Tenant, entries: Mapping[str, Any], where: str) -> None:
        for kind, key in IDENTITY_KEYS.items():
            if kind in (IdentityKind.CLAIM, IdentityKind.ADDRESS):
                continue  # these are not lists of names
            for value in texts(entries.get(key, []), f"{where} {key}"):
                self._add(Identity(kind, value), tenant, f"{where} {key}")
        claims = table(entries.get("claims", {}), f"{where} claims")
        for claim, values in claims.items():
            for value in texts(values, f"{where} claims.{claim}"):
                identity = Identity(IdentityKind.CLAIM, value, claim)
                self._add(identity, tenant, f"{where} claims.{claim}")
        for text in texts(entries.get("networks", []), f"{where} networks"):
            self._add_network(text, tenant, f"{where} networks")

    def _add(self, identity: Identity, tenant: Tenant, where: str) -> None:
        other = self._members.setdefault(identity, tenant)
        if other is not tenant:
            raise ValueError(f"{where} has {identity.value!r}, which tenant {other.name} has too")

    def _add_network(self, text: str, tenant: Tenant, where: str) -> None:
        try:
            network = ipaddress.ip_network(text)
        except ValueError as error:
            raise ValueError(
                f"{where} has {text!r}: {error}; it must be like 192.168.20.0/24 or fd00::/8"
            ) from None
        other = self._networks.setdefault(network, tenant)
        if other is not tenant:
            raise ValueError(f"{where} has {text!r}, which tenant {other.name} has too")
