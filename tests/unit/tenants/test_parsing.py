"""The file of tenants: its keys, their checks, and the tenants that result."""

from __future__ import annotations

import pytest

from wyoming_faster_whisper.tenant import HOUSE, Identity, IdentityKind, Priority, Tenant
from wyoming_faster_whisper.tenants.directory import TenantDirectory
from wyoming_faster_whisper.tenants.parsing import (
    MOST_LABELS,
    MOST_TENANTS,
    OTHERS,
    parse_tenants,
)

MODELS = {"base": ("en", "de", "fr"), "tiny.en": ("en",)}


def parsed(text: str) -> TenantDirectory:
    return parse_tenants(text, MODELS)


def key(name: str) -> Identity:
    return Identity(IdentityKind.KEY, name)


def address(host: str) -> Identity:
    return Identity(IdentityKind.ADDRESS, host)


def tenant(text: str) -> Tenant:
    """Return the tenant "guests" with some values."""
    return parsed(f'[tenants.guests]\nkeys = ["guest"]\n{text}').find([key("guest")])


def test_an_empty_file_has_the_house_only() -> None:
    assert parsed("").find([key("anybody")]) == HOUSE


def test_a_table_sets_what_a_tenant_may_use() -> None:
    assert tenant(
        """
        models = ["base"]
        languages = ["German", "en-GB"]
        prompt = "Terms of a workshop."
        vocabulary = ["Lötstation", "Lötstation", "Fräse"]
        home_names = true
        requests = 2
        audio_per_minute = 90
        jobs = 3
        priority = "batch"
        weight = 0.5
        log_text = true
        """
    ) == Tenant(
        name="guests",
        label="guests",
        named=True,
        shares=True,
        models=("base",),
        languages=("de", "en"),
        prompt="Terms of a workshop.",
        vocabulary=("Lötstation", "Fräse"),
        home_names=True,
        requests=2,
        audio_per_minute=90.0,
        jobs=3,
        priority=Priority.BATCH,
        weight=0.5,
        log_text=True,
    )


def test_the_prompt_and_the_names_of_the_house_are_not_for_other_tenants() -> None:
    found = tenant("")
    assert (found.prompt, found.home_names, found.log_text) == ("", False, False)


def test_the_default_tenant_is_the_house_or_the_one_that_the_file_names() -> None:
    house = parsed("[tenants.house]\nweight = 4\n[tenants.guests]").default
    assert (house.name, house.weight, house.named, house.home_names) == ("house", 4, False, True)
    flat = parsed('default = "flat"\n[tenants.flat]\nrequests = 9').default
    assert (flat.name, flat.requests, flat.shares) == ("flat", 9, False)


def test_every_kind_of_identity_leads_to_its_tenant() -> None:
    directory = parsed(
        """
        [tenants.a]
        keys = ["archive"]
        [tenants.b]
        subjects = ["alice"]
        [tenants.c]
        claims = { groups = ["staff"], "realm_access.roles" = ["stt"] }
        [tenants.d]
        certificates = ["panel"]
        [tenants.e]
        networks = ["192.168.20.0/24", "fd00:20::/64"]
        [tenants.f]
        sites = ["kitchen"]
        """
    )
    for name, identity in {
        "a": key("archive"),
        "b": Identity(IdentityKind.SUBJECT, "alice"),
        "c": Identity(IdentityKind.CLAIM, "staff", "groups"),
        "d": Identity(IdentityKind.CERTIFICATE, "panel"),
        "e": address("192.168.20.7"),
        "f": Identity(IdentityKind.SITE, "kitchen"),
    }.items():
        assert directory.find([identity]).name == name
    assert directory.find([address("fd00:20::1")]).name == "e"
    assert directory.find([key("alice"), Identity(IdentityKind.SITE, "hall")]).name == "house"
    claims = {"groups": ["guests", "staff", 7], "realm_access": {"roles": ["stt"]}}
    assert {one.value for one in directory.identities_in(claims)} == {"staff", "stt"}


def test_only_the_first_tenants_have_labels_of_their_own() -> None:
    tables = (f'[tenants.t{n}]\nkeys = ["k{n}"]\n' for n in range(MOST_LABELS + 50))
    directory = parsed("".join(tables))
    labels = {directory.find([key(f"k{n}")]).label for n in range(MOST_LABELS + 50)}
    assert len(labels) == MOST_LABELS + 1
    assert OTHERS in labels
    assert directory.find([key(f"k{MOST_LABELS + 9}")]).name == f"t{MOST_LABELS + 9}"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("x = ", "it is not TOML"),
        ("[tenant.a]", "the file has the key 'tenant'; it must be among default, tenants"),
        ("tenants = 3", "tenants is 3; it must be a table"),
        ("[tenants]\na = 3", r"\[tenants.a\] is 3; it must be a table"),
        ('[tenants."a b"]', r"\[tenants.a b\]: a name of a tenant"),
        ('default = "a"', r"default is 'a', but there is no table \[tenants.a\]"),
        ("default = 7", "default is 7; it must be the name of a tenant"),
    ],
)
def test_a_wrong_file_is_explained(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parsed(text)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("request = 3", r"\[tenants.guests\] has the key 'request'; it must be among audio_per_"),
        ("requests = 0", r"\[tenants.guests\] requests is 0; it must be 1 to 65535"),
        ("requests = true", "requests is True; it must be a whole number"),
        ("requests = 1.5", "requests is 1.5; it must be a whole number"),
        ("weight = nan", "weight is nan; it must be 0.01 to 100"),
        ("weight = inf", "weight is inf; it must be 0.01 to 100"),
        ('weight = "2"', "weight is '2'; it must be a number"),
        ('priority = "first"', "priority is 'first'; it must be house or batch"),
        ("priority = []", r"priority is \[\]; it must be house or batch"),
        ("log_text = 1", "log_text is 1; it must be true or false"),
        ('models = ["large"]', "models has 'large'; this server has base, tiny.en; see --model"),
        ("models = []", "models is empty; leave it out to allow all models"),
        ('models = "base"', "models is 'base'; it must be a list of texts"),
        ('languages = ["xx"]', "languages has 'xx', a language that Whisper does not know"),
        ('languages = ["ja"]', "languages has none that its models support; they support en, de"),
        ("languages = []", "languages is empty"),
        ("prompt = 3", "prompt is 3; it must be a text"),
        (f'prompt = "{"a" * 2001}"', "prompt has 2001 characters; it may have 2000"),
        ('vocabulary = ["a\\u0007"]', "vocabulary is 'a.*; it must be a text without control"),
        ('vocabulary = [""]', "vocabulary has an empty text"),
        (f'vocabulary = ["{"a" * 101}"]', "vocabulary has a name of 101 characters"),
        ('networks = ["192.168.20.1/24"]', "networks has '192.168.20.1/24': .* has host bits"),
        ("claims = []", r"claims is \[\]; it must be a table"),
        ('claims = { groups = "staff" }', "claims.groups is 'staff'; it must be a list"),
        ('[tenants.b]\nkeys = ["guest"]', r"b\] keys has 'guest', which tenant guests has too"),
    ],
)
def test_a_wrong_value_is_explained_with_its_table_and_key(line: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        tenant(line)


def test_a_network_belongs_to_one_tenant() -> None:
    with pytest.raises(ValueError, match="which tenant a has too"):
        parsed('[tenants.a]\nnetworks=["10.0.0.0/8"]\n[tenants.b]\nnetworks=["10.0.0.0/8"]')


def test_a_file_may_have_ten_thousand_tenants() -> None:
    tables = [f'[tenants.t{n}]\nkeys = ["k{n}"]\n' for n in range(MOST_TENANTS)]
    directory = parsed("".join(tables))
    assert directory.find([key("k9999")]).name == "t9999"
    with pytest.raises(ValueError, match="there are 10001 tenants; there may be 10000"):
        parsed("".join([*tables, "[tenants.more]"]))
