"""Tokens: which are accepted, and the attacks that must fail. Real keys, virtual time."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import random
from collections.abc import Sequence
from typing import Any

import pytest

from tests.support.issuer import (
    AUDIENCE,
    ISSUER,
    NOW,
    claims,
    ec_key,
    ed_key,
    jwk,
    public_pem,
    rsa_key,
    segment,
    signed,
    token,
    usual_set,
)
from tests.support.virtual_time import run
from wyoming_faster_whisper.principal import Principal
from wyoming_faster_whisper.tenant import Identity, IdentityKind, Tenant
from wyoming_faster_whisper.tenants.directory import TenantDirectory
from wyoming_faster_whisper.transports.auth.authenticator import Authenticator
from wyoming_faster_whisper.transports.auth.grant import Grant
from wyoming_faster_whisper.transports.auth.jwk import SharedSecret
from wyoming_faster_whisper.transports.auth.jwks import COOL_DOWN, Jwks
from wyoming_faster_whisper.transports.auth.refusal import Reason, Refused, TokenExpired
from wyoming_faster_whisper.transports.auth.scopes import Scope
from wyoming_faster_whisper.transports.auth.tokens import LEEWAY, TokenRules, TokenVerifier

SECRET = b"0123456789abcdef0123456789abcdef"
BOTH = {Scope.TRANSCRIBE, Scope.REALTIME}


class Source:
    """A key set in memory."""

    name = "the test"

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.fetches = 0

    async def fetch(self) -> bytes:
        self.fetches += 1
        return self.body

    async def close(self) -> None: ...


def authenticator(
    keys: Jwks | SharedSecret | None = None,
    *,
    issuer: str = ISSUER,
    audience: Sequence[str] = (AUDIENCE,),
    scope_claim: str | None = None,
    tenants: TenantDirectory | None = None,
) -> Authenticator:
    loop = asyncio.get_running_loop()
    started = loop.time()
    verifier = TokenVerifier(
        TokenRules(issuer=issuer, audience=tuple(audience), scope_claim=scope_claim),
        keys or Jwks(Source(usual_set())),
        now=lambda: NOW + loop.time() - started,
        identities=(tenants or TenantDirectory()).identities_in,
    )
    return Authenticator(None, verifier)


def accepted(text: str, keys: SharedSecret | None = None, **rules: Any) -> Grant:
    async def test() -> Grant:
        return await authenticator(keys, **rules).verify(text)

    return run(test())


def refused(text: str, keys: SharedSecret | None = None, **rules: Any) -> Refused:
    with pytest.raises(Refused) as error:
        accepted(text, keys, **rules)
    for part in text.split("."):
        assert len(part) < 9 or part not in str(error.value), "it tells nothing of the token"
    return error.value


def test_a_token_grants_its_scopes_to_its_subject() -> None:
    grant = accepted(token())
    assert grant.principal == Principal(f"token:{ISSUER} alice", "alice", NOW + 300 + LEEWAY)
    assert grant.scopes == BOTH


def test_a_token_names_its_subject_and_the_claims_of_a_tenant() -> None:
    staff = Identity(IdentityKind.CLAIM, "staff", "groups")
    tenants = TenantDirectory(members={staff: Tenant(name="office", named=True)})
    grant = accepted(token(claims(groups=["all", "staff"])), tenants=tenants)
    alice = Identity(IdentityKind.SUBJECT, "alice")
    assert grant.principal.identities == (alice, staff)
    assert tenants.assign(grant.principal).name == "office"


@pytest.mark.parametrize(
    ("algorithm", "kid", "key"),
    [
        ("RS256", "rsa", rsa_key()),
        ("PS256", "rsa", rsa_key()),
        ("ES256", "ec", ec_key()),
        ("EdDSA", "ed", ed_key()),
    ],
)
def test_four_algorithms_are_accepted(algorithm: str, kid: str, key: Any) -> None:
    assert accepted(token(key=key, algorithm=algorithm, kid=kid)).scopes == BOTH


def test_a_token_without_key_id_is_verified_with_the_only_key_for_its_algorithm() -> None:
    assert accepted(token(kid=None)).scopes == BOTH


@pytest.mark.parametrize("kind", ["at+jwt", "JWT", "application/at+jwt", "AT+JWT", None])
def test_access_tokens_have_several_types(kind: str | None) -> None:
    assert accepted(token(typ=kind)).scopes == BOTH


def test_a_shared_secret_verifies_hs256() -> None:
    text = token(key=SECRET, algorithm="HS256", kid=None)
    assert accepted(text, SharedSecret(SECRET)).scopes == BOTH
    forged = token(key=SECRET[::-1], algorithm="HS256", kid=None)
    assert refused(forged, SharedSecret(SECRET)).reason is Reason.SIGNATURE


# The algorithm


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "nOnE"])
def test_a_token_without_signature_is_refused(algorithm: str) -> None:
    header = json.dumps({"alg": algorithm, "typ": "at+jwt", "kid": "rsa"})
    text = f"{segment(header)}.{segment(json.dumps(claims()))}."
    assert refused(text).reason is Reason.UNSUPPORTED
    assert refused(text, SharedSecret(SECRET)).reason is Reason.UNSUPPORTED


@pytest.mark.parametrize("algorithm", [None, "", 7, ["RS256"], {"RS256": 1}, "RS512", "ES256K"])
def test_an_algorithm_that_is_not_listed_is_refused(algorithm: Any) -> None:
    assert refused(token(alg=algorithm)).reason is Reason.UNSUPPORTED


def test_the_public_key_is_not_accepted_as_a_shared_secret() -> None:
    """The classic confusion: HS256, signed with the public key that every client can fetch."""
    for secret in (public_pem(rsa_key()), public_pem(rsa_key()).strip(), usual_set()):
        head = json.dumps({"alg": "HS256", "typ": "at+jwt", "kid": "rsa"})
        body = json.dumps(claims())
        data = f"{segment(head)}.{segment(body)}"
        forged = f"{data}.{segment(hmac.digest(secret, data.encode(), 'sha256'))}"
        assert refused(forged).reason is Reason.UNSUPPORTED


def test_an_issuer_with_a_secret_signs_with_nothing_else() -> None:
    assert refused(token(), SharedSecret(SECRET)).reason is Reason.UNSUPPORTED


@pytest.mark.parametrize(
    ("claimed", "key", "real", "kid"),
    [
        ("RS256", ec_key(), "ES256", "rsa"),
        ("ES256", rsa_key(), "RS256", "ec"),
        ("ES256", ec_key(), "ES256", "rsa"),
        ("RS256", rsa_key(), "PS256", "rsa"),
        ("EdDSA", ec_key(), "ES256", "ed"),
    ],
)
def test_a_signature_of_another_kind_is_refused(
    claimed: str, key: Any, real: str, kid: str
) -> None:
    head = json.dumps({"alg": claimed, "typ": "at+jwt", "kid": kid})
    text = signed(head, json.dumps(claims()), key, real)
    assert refused(text).reason is Reason.SIGNATURE


# The signature


def test_a_token_that_was_changed_or_signed_by_somebody_else_is_refused() -> None:
    header, payload, made = token().split(".")
    other = segment(json.dumps(claims(sub="mallory")))
    assert refused(f"{header}.{other}.{made}").reason is Reason.SIGNATURE
    assert refused(token(key=rsa_key("mallory"))).reason is Reason.SIGNATURE
    assert refused(f"{header}.{payload}.").reason is Reason.SIGNATURE
    assert refused(f"{header}.{payload}.{made[:-2]}").reason is Reason.SIGNATURE


@pytest.mark.parametrize(
    "kid",
    [
        *("unknown", "", "RSA", "../../../../dev/null", "/etc/passwd", "' OR 1=1 --"),
        *("https://evil.example/jwks", "rsa\x00", "a" * 256),
    ],
)
def test_a_key_id_is_only_looked_up(kid: str) -> None:
    assert refused(token(kid=kid)).reason is Reason.SIGNATURE


@pytest.mark.parametrize("kid", ["a" * 257, "a" * 10_000, 7, ["rsa"], {"rsa": 1}, True])
def test_a_key_id_that_is_not_a_short_text_is_refused(kid: Any) -> None:
    assert refused(token(kid=kid)).reason is Reason.MALFORMED


def test_ten_thousand_bad_tokens_cause_one_fetch_per_cool_down() -> None:
    """Each names another key id, and is signed with an unknown key."""
    source = Source(usual_set())
    _, payload, made = token(key=rsa_key("mallory")).split(".")

    async def test() -> None:
        issuer = authenticator(Jwks(source))
        await issuer.start()
        for n in range(10_000):
            header = segment(json.dumps({"alg": "RS256", "typ": "at+jwt", "kid": f"bad {n}"}))
            with pytest.raises(Refused):
                await issuer.verify(f"{header}.{payload}.{made}")
            await asyncio.sleep(COOL_DOWN * 2.5 / 10_000)
        await issuer.close()

    run(test())
    assert source.fetches == 3


def test_keys_and_urls_in_the_header_are_ignored() -> None:
    mallory = rsa_key("mallory")
    urls: dict[str, Any] = {
        "jku": "https://evil.example/jwks",
        "x5u": "https://evil.example/cert",
    }
    more: dict[str, Any] = {
        "jwk": jwk(mallory, "rsa"),
        "x5c": [base64.b64encode(b"cert").decode()],
    }
    assert refused(token(key=mallory, **urls, **more)).reason is Reason.SIGNATURE
    assert accepted(token(**urls, **more)).scopes == BOTH


@pytest.mark.parametrize(
    "header",
    [
        {"crit": ["exp"]},
        {"crit": ["http://example.com/unknown"]},
        {"crit": []},
        {"crit": ["b64"], "b64": False},
        {"b64": False},
        {"b64": True},
    ],
)
def test_extensions_are_refused(header: dict[str, Any]) -> None:
    assert refused(token(**header)).reason is Reason.UNSUPPORTED


# The form


@pytest.mark.parametrize(
    "text",
    [
        "a.b.c",
        "..",
        "eyJ.eyJ.eyJ",
        segment("[]") + "..",
        segment('"alg"') + "..",
        segment("{" * 5000) + "..",
        segment('{"alg": "RS256"') + ".x.y",
    ],
)
def test_a_text_without_a_token_header_is_an_unknown_key(text: str) -> None:
    assert refused(text).reason is Reason.UNKNOWN_KEY


def test_a_header_with_a_member_twice_is_refused() -> None:
    head = '{"alg":"none","alg":"RS256","typ":"at+jwt","kid":"rsa"}'
    text = signed(head, json.dumps(claims()), rsa_key(), "RS256")
    assert refused(text).reason is Reason.UNKNOWN_KEY


def test_of_a_claim_that_occurs_twice_the_last_one_counts() -> None:
    """As RFC 7519 allows; the issuer has signed both."""
    head = json.dumps({"alg": "RS256", "kid": "rsa"})
    payload = json.dumps(claims(sub=None))
    text = signed(head, f'{{"sub":"alice","sub":"bob",{payload[1:]}', rsa_key(), "RS256")
    assert accepted(text).principal.name == "bob"


@pytest.mark.parametrize(
    "payload",
    ["", "{}{", "[]", "7", "null", "{" * 5000, '{"exp":' + "9" * 5000 + "}", "\xff"],
)
def test_a_signed_payload_that_is_not_an_object_is_refused(payload: str) -> None:
    head = json.dumps({"alg": "RS256", "kid": "rsa"})
    assert refused(signed(head, payload, rsa_key(), "RS256")).reason is Reason.MALFORMED


def test_an_encrypted_token_is_refused() -> None:
    text = token()
    jwe = ".".join([segment('{"alg":"RSA-OAEP","enc":"A256GCM"}'), "a", "b", "c", "d"])
    assert refused(jwe).reason is Reason.UNKNOWN_KEY
    nested = signed('{"alg":"RS256","kid":"rsa","cty":"JWT"}', text, rsa_key(), "RS256")
    assert refused(nested).reason is Reason.MALFORMED


@pytest.mark.parametrize(
    "change", [lambda t: t + ".", lambda t: t + "=", lambda t: t.replace(".", "!.", 1)]
)
def test_characters_beside_the_token_are_refused(change: Any) -> None:
    refused(change(token()))


def test_random_bytes_between_dots_raise_nothing_else() -> None:
    source = random.Random(1)
    head = token().split(".")[0]
    for _ in range(300):
        parts = [segment(source.randbytes(source.randrange(60))) for _ in range(3)]
        refused(".".join(parts))
        refused(".".join([head, *parts[1:]]))


# Times


@pytest.mark.parametrize("claim", ["exp", "iss", "aud", "sub"])
def test_a_token_needs_four_claims(claim: str) -> None:
    reason = refused(token(claims(**{claim: None}))).reason
    assert reason is (Reason.AUDIENCE if claim == "aud" else Reason.CLAIMS)


def test_the_clocks_may_differ_by_the_leeway() -> None:
    late, early = NOW - LEEWAY, NOW + LEEWAY
    assert accepted(token(claims(exp=late + 1))).scopes == BOTH
    assert refused(token(claims(exp=late))).reason is Reason.EXPIRED
    assert isinstance(refused(token(claims(exp=1))), TokenExpired)
    for claim in ("nbf", "iat"):
        assert accepted(token(claims(**{claim: early}))).scopes == BOTH
        assert refused(token(claims(**{claim: early + 1}))).reason is Reason.NOT_YET_VALID


@pytest.mark.parametrize("value", ["1800000300", "soon", True, [NOW + 300], {}, -1, 2**53])
@pytest.mark.parametrize("claim", ["exp", "nbf", "iat"])
def test_a_time_that_is_not_a_number_of_seconds_is_refused(claim: str, value: Any) -> None:
    assert refused(token(claims(**{claim: value}))).reason is Reason.CLAIMS


@pytest.mark.parametrize("number", ["1e400", "-1e400", "NaN", "Infinity"])
def test_a_time_that_is_not_finite_is_refused(number: str) -> None:
    payload = json.dumps(claims()).replace(f'"exp": {NOW + 300}', f'"exp": {number}')
    assert number in payload
    text = signed('{"alg":"RS256","kid":"rsa"}', payload, rsa_key(), "RS256")
    assert refused(text).reason is Reason.CLAIMS


def test_a_fraction_of_a_second_is_a_time() -> None:
    assert accepted(token(claims(exp=NOW + 0.5))).principal.until == NOW + 0.5 + LEEWAY


def test_a_grant_ends_when_its_token_expires() -> None:
    async def test() -> float:
        loop = asyncio.get_running_loop()
        grant = await authenticator().verify(token(claims(exp=NOW + 1000)))
        error = await grant.ended()
        assert isinstance(error, TokenExpired)
        assert error.name == "alice"
        return loop.time()

    assert run(test()) == pytest.approx(1000 + LEEWAY)


def test_a_client_secret_lives_as_long_as_the_token_that_made_it() -> None:
    async def test() -> None:
        issuer = authenticator()
        principal = (await issuer.verify(token(claims(exp=NOW + 100)))).principal
        assert issuer.renew(principal).scopes == {Scope.REALTIME}
        await asyncio.sleep(100 + LEEWAY)
        with pytest.raises(Refused, match="no longer valid"):
            issuer.renew(principal)
        for other in (Principal("key:alice", "alice"), Principal("127.0.0.1", "a", NOW + 9999)):
            with pytest.raises(Refused):
                issuer.renew(other)

    run(test())


# Issuer, audience, subject, kind


@pytest.mark.parametrize("issuer", [ISSUER + "/", ISSUER[:-1], ISSUER.upper(), "", "evil"])
def test_another_issuer_is_refused(issuer: str) -> None:
    assert refused(token(claims(iss=issuer))).reason is Reason.ISSUER


def test_an_issuer_that_is_not_a_string_is_refused() -> None:
    for issuer in ([ISSUER], 7, {ISSUER: 1}):
        assert refused(token(claims(iss=issuer))).reason is Reason.ISSUER


@pytest.mark.parametrize("audience", ["account", ["account"], "", [], ["STT"], "stt ", [7], 7])
def test_another_audience_is_refused(audience: Any) -> None:
    assert refused(token(claims(aud=audience))).reason is Reason.AUDIENCE


def test_a_token_may_have_several_audiences_and_so_may_the_server() -> None:
    assert accepted(token(claims(aud=["account", AUDIENCE]))).scopes == BOTH
    assert accepted(token(claims(aud="other")), audience=["stt", "other"]).scopes == BOTH


@pytest.mark.parametrize("subject", ["", "a" * 256, "a\nb", "a\x1b[2J", 7, ["alice"], "\ud800"])
def test_a_subject_that_is_not_a_short_printable_text_is_refused(subject: Any) -> None:
    assert refused(token(claims(sub=subject))).reason is Reason.CLAIMS


def test_a_long_subject_is_cut_in_the_log_only() -> None:
    principal = accepted(token(claims(sub="a" * 255))).principal
    assert principal.key.endswith("a" * 255)
    assert principal.name == "a" * 64 + "..."


@pytest.mark.parametrize("kind", ["ID+JWT", "logout+jwt", "dpop+jwt", "JWE", "", 7, ["at+jwt"]])
def test_a_token_of_another_type_is_refused(kind: Any) -> None:
    assert refused(token(typ=kind)).reason is Reason.UNSUPPORTED


@pytest.mark.parametrize(
    "more", [{"typ": "ID"}, {"typ": "Refresh"}, {"at_hash": "x"}, {"cnf": {"jkt": "x"}}]
)
def test_a_token_that_is_not_a_bearer_token_is_refused(more: dict[str, Any]) -> None:
    assert refused(token(claims(**more))).reason is Reason.UNSUPPORTED


def test_a_token_without_scopes_is_known_but_may_do_little() -> None:
    grant = accepted(token(claims(scope=None)))
    assert grant.scopes == set()
    grant.check(None)
    with pytest.raises(Refused) as error:
        grant.check(Scope.TRANSCRIBE)
    assert (error.value.reason, error.value.name) == (Reason.SCOPE, "alice")


def test_a_claim_of_the_operator_s_choice_lists_the_scopes() -> None:
    roles = {"roles": ["stt:transcribe", "uma_authorization"]}
    text = token(claims(scope="openid stt:admin", realm_access=roles))
    assert accepted(text, scope_claim="realm_access.roles").scopes == {Scope.TRANSCRIBE}


# Tokens in the shape of known issuers


def test_a_token_of_keycloak_is_accepted_if_an_audience_mapper_adds_the_audience() -> None:
    shape = claims(
        iss="https://sso.example/realms/home",
        sub="0f3e3a0a-5b59-4d47-a0bb-2a4c5f2ad9f3",
        aud=[AUDIENCE, "account"],
        typ="Bearer",
        azp="open-webui",
        realm_access={"roles": ["default-roles-home"]},
        resource_access={"account": {"roles": ["view-profile"]}},
        scope="openid email profile stt:transcribe stt:realtime",
        preferred_username="alice",
    )
    rules: dict[str, Any] = {"issuer": "https://sso.example/realms/home"}
    assert accepted(token(shape, typ="JWT"), **rules).scopes == BOTH
    for audience in (None, "account"):  # without the mapper
        without = {**shape, "aud": audience} if audience else {**shape}
        if audience is None:
            del without["aud"]
        assert refused(token(without, typ="JWT"), **rules).reason is Reason.AUDIENCE


def test_a_token_of_authelia_is_accepted() -> None:
    shape = claims(
        iss="https://auth.example",
        sub="f0919359-9d15-4e15-bcba-83b41620a073",
        aud=[AUDIENCE],
        client_id="notes",
        scope=None,
        scp=["openid", "stt:transcribe"],
        nbf=NOW,
    )
    grant = accepted(token(shape, typ="at+jwt"), issuer="https://auth.example")
    assert grant.scopes == {Scope.TRANSCRIBE}


def test_a_token_of_authentik_is_accepted() -> None:
    """Its audience is the client's id, and its issuer ends with a slash."""
    issuer = "https://authentik.example/application/o/stt/"
    shape = claims(
        iss=issuer,
        sub="5d1b6b1e2a",
        aud="Zk3client",
        azp="Zk3client",
        uid="x",
        auth_time=NOW,
        acr="goauthentik.io/providers/oauth2/default",
        nonce="n",
        scope=None,
        jti=None,
        client_id=None,
        permissions=["stt:transcribe", "stt:realtime"],
    )
    rules: dict[str, Any] = {"issuer": issuer, "audience": ["Zk3client"]}
    assert accepted(token(shape, typ="JWT"), **rules).scopes == BOTH
    assert refused(token({**shape, "iss": issuer[:-1]}), **rules).reason is Reason.ISSUER
    # Without a signing key, it signs with the secret of the client.
    secret = b"s" * 128
    text = token(shape, key=secret, algorithm="HS256", kid=None, typ="JWT")
    assert accepted(text, SharedSecret(secret), **rules).scopes == BOTH


def test_a_token_of_auth0_is_accepted() -> None:
    issuer = "https://home.eu.auth0.com/"
    shape = claims(
        iss=issuer,
        sub="auth0|5f7c8ec7c33c6c004bbafe82",
        aud=["https://stt.example", "https://home.eu.auth0.com/userinfo"],
        scope="openid profile",
        permissions=["stt:transcribe", "stt:realtime"],
    )
    rules: dict[str, Any] = {"issuer": issuer, "audience": ["https://stt.example"]}
    assert accepted(token(shape, typ="JWT"), **rules).scopes == BOTH
