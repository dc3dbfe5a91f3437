"""Verifies tokens: signed JSON Web Tokens of one issuer. Needs the extra `auth`.

The rules are those of RFC 8725 (BCP 225) and, as far as issuers follow it, of RFC 9068.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import jwt
from jwt.exceptions import InvalidSubjectError

from ...errors import printable
from ...principal import Principal
from ...tenant import Identity, IdentityKind
from .grant import Grant
from .jwk import VerificationKey
from .refusal import Reason, Refused, TokenExpired
from .scopes import Scope, scopes_of
from .token_header import token_header

LEEWAY = 60.0
"""Seconds by which the clocks of the issuer and this server may differ."""

_PREFIX = "token:"  # of a principal's key; those of API keys and addresses have others
_LONGEST_KID = 256  # characters
_LONGEST_SUBJECT = 255  # characters, as OpenID Connect allows
_LONGEST_NAME = 64  # characters
_TYPES = (None, "jwt", "at+jwt", "application/at+jwt")  # of a header
_CLOCK_CHECK = 60.0  # seconds; the wall clock may be set while a WebSocket is open


class SigningKeys(Protocol):
    """The keys of an issuer."""

    algorithms: frozenset[str]

    async def find(self, kid: str | None, algorithm: str) -> VerificationKey:
        """Return the key of a token, for one of the algorithms.

        Raises:
            Refused: there is no such key.
        """

    async def start(self) -> None: ...

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRules:
    """Claims that a token must have."""

    issuer: str
    audience: tuple[str, ...]  # it must have one of them
    scope_claim: str | None = None  # see scopes_of()


class TokenVerifier:
    """Verifies the tokens of one issuer. Lives on the event loop.

    Args:
        rules: what a token must say.
        keys: of the issuer.
        now: returns the seconds since the epoch.
        identities: returns the identities in the claims of a token by which its tenant is found.
    """

    def __init__(
        self,
        rules: TokenRules,
        keys: SigningKeys,
        *,
        now: Callable[[], float],
        identities: Callable[[Mapping[str, Any]], Iterable[Identity]],
    ) -> None:
        self._rules = rules
        self._identities = identities
        self._keys = keys
        self._now = now

    async def start(self) -> None:
        """Begin to fetch the keys of the issuer."""
        await self._keys.start()

    async def close(self) -> None:
        """Stop fetching."""
        await self._keys.close()

    async def verify(self, token: str) -> Grant:
        """Return what a token allows.

        Raises:
            Refused: it is not accepted.
        """
        kid, algorithm = self._check_header(token_header(token) or {})
        key = await self._keys.find(kid, algorithm)
        claims = self._decode(token, key)
        subject = claims["sub"]
        if not 0 < len(subject) <= _LONGEST_SUBJECT or not subject.isprintable():
            raise Refused(
                Reason.CLAIMS, f"sub must have 1 to {_LONGEST_SUBJECT} printable characters"
            )
        name = printable(subject, _LONGEST_NAME)
        until = self._check_times(claims, name)
        _check_kind(claims, name)
        identities = (Identity(IdentityKind.SUBJECT, subject), *self._identities(claims))
        return self._grant(
            Principal(f"{_PREFIX}{self._rules.issuer} {subject}", name, until, identities),
            scopes_of(claims, self._rules.scope_claim),
        )

    def renew(self, principal: Principal) -> Grant | None:
        """Return what the owner of a verified token may do now; None if the token has expired.

        Args:
            principal: of an earlier grant, which allowed to make a client secret.
        """
        until = principal.until
        if not principal.key.startswith(_PREFIX) or until is None or self._now() >= until:
            return None
        return self._grant(principal, frozenset({Scope.REALTIME}))

    def _grant(self, principal: Principal, scopes: frozenset[Scope]) -> Grant:
        return Grant(principal, scopes, partial(self._expired, principal))

    async def _expired(self, principal: Principal) -> Refused:
        assert principal.until is not None
        while (left := principal.until - self._now()) > 0:  # noqa: ASYNC110
            await asyncio.sleep(min(left, _CLOCK_CHECK))
        return TokenExpired(name=principal.name)

    def _check_header(self, header: Mapping[str, Any]) -> tuple[str | None, str]:
        """Return the key id and the algorithm. The header's keys and URLs are ignored."""
        algorithm, kid, kind = header.get("alg"), header.get("kid"), header.get("typ")
        if not isinstance(algorithm, str) or algorithm not in self._keys.algorithms:
            accepted = ", ".join(sorted(self._keys.algorithms))
            raise Refused(Reason.UNSUPPORTED, f"tokens must be signed with {accepted}")
        if "crit" in header or "b64" in header:
            raise Refused(Reason.UNSUPPORTED, "the token needs an extension")
        if (kind.lower() if isinstance(kind, str) else kind) not in _TYPES:
            raise Refused(Reason.UNSUPPORTED, "the token is not an access token")
        if kid is not None and (not isinstance(kid, str) or len(kid) > _LONGEST_KID):
            raise Refused(Reason.MALFORMED, f"kid must have up to {_LONGEST_KID} characters")
        return kid, algorithm

    def _decode(self, token: str, key: VerificationKey) -> dict[str, Any]:
        """Verify the signature, the issuer and the audience; return the claims."""
        try:
            return jwt.decode(
                token,
                key.key,
                algorithms=[key.algorithm],
                issuer=self._rules.issuer,
                audience=self._rules.audience,
                options={
                    "require": ["exp", "iss", "aud", "sub"],
                    "enforce_minimum_key_length": True,
                    # _check_times() does it, with the given clock, and takes only numbers.
                    "verify_exp": False,
                    "verify_nbf": False,
                    "verify_iat": False,
                },
            )
        except jwt.InvalidSignatureError:
            raise Refused(
                Reason.SIGNATURE, "the token is not signed with a key of the issuer"
            ) from None
        except jwt.InvalidIssuerError:
            raise Refused(Reason.ISSUER, "the token is of another issuer") from None
        except (jwt.InvalidAudienceError, jwt.MissingRequiredClaimError) as error:
            claim = getattr(error, "claim", "aud")
            if claim == "aud":
                raise Refused(
                    Reason.AUDIENCE, "the token is for another audience, or names none"
                ) from None
            raise Refused(Reason.CLAIMS, f"the token has no {claim}") from None
        except InvalidSubjectError:
            raise Refused(Reason.CLAIMS, "sub must be text") from None
        except jwt.PyJWTError:
            raise Refused(Reason.MALFORMED, "the token is malformed") from None

    def _check_times(self, claims: Mapping[str, Any], name: str) -> float:
        """Return the time until which a token is accepted, in seconds since the epoch."""
        now = self._now()
        until = _time(claims, "exp") + LEEWAY
        if now >= until:
            raise TokenExpired(name=name)
        for claim in ("nbf", "iat"):
            if claim in claims and _time(claims, claim) > now + LEEWAY:
                raise Refused(
                    Reason.NOT_YET_VALID, f"the token is not valid yet ({claim})", name=name
                )
        return until


def _time(claims: Mapping[str, Any], claim: str) -> float:
    value = claims[claim]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Refused(Reason.CLAIMS, f"{claim} must be a number")
    if not 0 <= value < 2**53 or not math.isfinite(value):
        raise Refused(Reason.CLAIMS, f"{claim} must be seconds since the epoch")
    return float(value)


def _check_kind(claims: Mapping[str, Any], name: str) -> None:
    """Refuse a token that its issuer marked as not a bearer token."""
    # Keycloak names the kind of a token in a claim; ID tokens may have the hash of another one.
    if claims.get("typ", "Bearer") != "Bearer" or "at_hash" in claims:
        raise Refused(Reason.UNSUPPORTED, "the token is not an access token", name=name)
    if "cnf" in claims:  # RFC 7800: the client would have to prove that it has a key
        raise Refused(Reason.UNSUPPORTED, "the token is bound to a key of the client", name=name)
