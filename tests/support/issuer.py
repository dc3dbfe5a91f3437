"""An issuer of tokens: real keys, tokens of any shape, and a server of its key set."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import cache
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from wyoming_faster_whisper.testing.tcp_server import TcpServer

ISSUER = "https://id.example/realms/home"
AUDIENCE = "stt"
NOW = 1_800_000_000  # seconds since the epoch
SCOPES = "openid stt:transcribe stt:realtime"


@cache
def rsa_key(name: str = "", bits: int = 2048) -> rsa.RSAPrivateKey:
    """Return an RSA key, the same one for the same name."""
    return rsa.generate_private_key(65537, bits)


@cache
def ec_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@cache
def ed_key() -> ed25519.Ed25519PrivateKey:
    return ed25519.Ed25519PrivateKey.generate()


def jwk(key: Any, kid: Any, **more: Any) -> dict[str, Any]:
    """Return the public part of a key as a JSON Web Key."""
    kinds: dict[type, Any] = {
        rsa.RSAPrivateKey: RSAAlgorithm,
        ec.EllipticCurvePrivateKey: ECAlgorithm,
        ed25519.Ed25519PrivateKey: OKPAlgorithm,
    }
    algorithm = next(one for kind, one in kinds.items() if isinstance(key, kind))
    made: dict[str, Any] = algorithm.to_jwk(key.public_key(), as_dict=True)
    made.pop("key_ops", None)
    return made | ({} if kid is None else {"kid": kid}) | more


def key_set(*keys: Mapping[str, Any]) -> bytes:
    """Return a JSON Web Key Set."""
    return json.dumps({"keys": keys}).encode()


def usual_set() -> bytes:
    """Return a set with a key of each kind: rsa, ec and ed."""
    return key_set(jwk(rsa_key(), "rsa"), jwk(ec_key(), "ec"), jwk(ed_key(), "ed"))


def claims(**changes: Any) -> dict[str, Any]:
    """Return the claims of an access token (RFC 9068); a change to None removes a claim."""
    usual = {
        "iss": ISSUER,
        "sub": "alice",
        "aud": AUDIENCE,
        "exp": NOW + 300,
        "iat": NOW,
        "jti": "1",
        "client_id": "tablet",
        "scope": SCOPES,
    }
    return {name: value for name, value in (usual | changes).items() if value is not None}


def token(
    given: Mapping[str, Any] | None = None,
    *,
    key: Any = None,
    algorithm: str = "RS256",
    **header: Any,
) -> str:
    """Return a signed token; a header of None is left out."""
    usual = {"alg": algorithm, "typ": "at+jwt", "kid": "rsa"}
    head = {name: value for name, value in (usual | header).items() if value is not None}
    return signed(json.dumps(head), json.dumps(given or claims()), key or rsa_key(), algorithm)


def signed(header: str, payload: str, key: Any, algorithm: str) -> str:
    """Sign any header and payload, well-formed or not."""
    signing_input = f"{segment(header)}.{segment(payload)}"
    return f"{signing_input}.{segment(signature(signing_input.encode(), key, algorithm))}"


def fresh(**changes: Any) -> dict[str, Any]:
    """Return claims that are valid now, by the real clock."""
    now = int(time.time())
    return claims(**{"iat": now, "exp": now + 300, **changes})


def segment(data: str | bytes) -> str:
    raw = data.encode() if isinstance(data, str) else data
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def signature(data: bytes, key: Any, algorithm: str) -> bytes:
    if algorithm == "none":
        return b""
    return bytes(jwt.PyJWS().get_algorithm_by_name(algorithm).sign(data, key))


def public_pem(key: rsa.RSAPrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


class Issuer:
    """A server of key sets, over real sockets, that a test can break."""

    def __init__(self) -> None:
        self.url = ""
        self.name: str | None = None  # issuer in the discovery document; None = the URL
        self.body = usual_set()
        self.status = "200 OK"
        self.headers = ""
        self.requests: list[str] = []  # paths
        self.answering = asyncio.Event()  # cleared: it accepts connections but says nothing
        self.answering.set()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        path = head.split()[1].decode()
        self.requests.append(path)
        await self.answering.wait()
        body = self.body
        if path.endswith("/.well-known/openid-configuration"):
            found = {"issuer": self.name or self.url, "jwks_uri": f"{self.url}/jwks"}
            body = json.dumps(found).encode()
        top = f"HTTP/1.1 {self.status}\r\n{self.headers}Content-Length: {len(body)}\r\n"
        writer.write(f"{top}Connection: close\r\n\r\n".encode() + body)
        await writer.drain()

    @asynccontextmanager
    async def listening(self, port: int = 0) -> AsyncIterator[None]:
        """Listen until the block ends."""
        async with TcpServer(self.answer, port=port) as server:
            self.url = f"http://127.0.0.1:{server.port}"
            yield
