"""Scopes in the claims of tokens."""

from __future__ import annotations

from typing import Any

import pytest

from wyoming_faster_whisper.transports.auth.scopes import Scope, scopes_of

BOTH = {Scope.TRANSCRIBE, Scope.REALTIME}


@pytest.mark.parametrize(
    "claims",
    [
        {"scope": "openid stt:realtime  stt:transcribe email"},
        {"scope": ["stt:realtime", "stt:transcribe", 7, None]},
        {"scp": ["openid", "stt:realtime", "stt:transcribe"]},
        {"scp": "stt:realtime stt:transcribe"},
        {"permissions": ["stt:realtime", "stt:transcribe"], "scope": "openid"},
        {"scope": "stt:realtime", "permissions": ["stt:transcribe"]},
    ],
)
def test_issuers_write_scopes_in_several_ways(claims: dict[str, Any]) -> None:
    assert scopes_of(claims) == BOTH


@pytest.mark.parametrize(
    "claims",
    [
        {},
        {"scope": None},
        {"scope": 7},
        {"scope": {"stt:admin": True}},
        {"scope": "stt stt:transcriber xstt:admin STT:ADMIN"},
        {"roles": ["stt:admin"]},
    ],
)
def test_nothing_else_grants_a_scope(claims: dict[str, Any]) -> None:
    assert scopes_of(claims) == set()


@pytest.mark.parametrize(
    ("claim", "claims"),
    [
        ("groups", {"groups": ["stt:transcribe", "stt:realtime"]}),
        ("realm_access.roles", {"realm_access": {"roles": ["stt:transcribe", "stt:realtime"]}}),
        ("https://a.example/stt", {"https://a.example/stt": "stt:transcribe stt:realtime"}),
    ],
)
def test_the_operator_can_name_the_claim(claim: str, claims: dict[str, Any]) -> None:
    assert scopes_of(claims | {"scope": "stt:admin"}, claim) == BOTH
    assert scopes_of({"scope": "stt:admin", "realm_access": []}, claim) == set()
