"""A real MQTT broker on 127.0.0.1: mosquitto with the configuration of deploy/, or amqtt."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import time
import unittest
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TypeVar

ROOT = Path(__file__).parent.parent.parent
DEPLOYED = ROOT / "deploy" / "mosquitto"
DEADLINE = 15.0  # seconds; only a failing test waits this long

# User → password, of the users in deploy/mosquitto/acl and of satellites.
PASSWORDS = {
    "whisper": "server secret",
    "homeassistant": "home secret",
    "rhasspy": "rhasspy secret",
    "kitchen": "kitchen secret",
    "hall": "hall secret",
}


@cache
def mosquitto() -> str | None:
    """Return the path of mosquitto; None if it is not installed."""
    unpacked = ROOT / ".venv-mosquitto" / "mosquitto"
    if unpacked.exists():
        return str(unpacked)
    return shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


def amqtt() -> str | None:
    """Return the path of amqtt; None if it is not installed."""
    installed = ROOT / ".venv-amqtt" / "bin" / "amqtt"
    return str(installed) if installed.exists() else None


@dataclass
class Broker:
    """A broker process that can be stopped and started again on the same ports.

    Methods block; call them in a thread if an event loop runs.
    """

    command: list[str]
    folder: Path
    ports: dict[str, int]  # by kind: "tcp", "tls", "ws", "wss", as far as it listens
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def url(self, kind: str = "tcp", *, user: str | None = None) -> str:
        """Return the value of --mqtt-url for one of the listeners."""
        scheme = {"tcp": "mqtt", "tls": "mqtts", "ws": "ws", "wss": "wss"}[kind]
        path = "/mqtt" if kind in ("ws", "wss") else ""
        who = f"{user}@" if user else ""
        return f"{scheme}://{who}127.0.0.1:{self.ports[kind]}{path}"

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=log)
        end = time.monotonic() + DEADLINE
        for port in self.ports.values():
            while not _listens(port):
                assert self.process.poll() is None, self.log
                assert time.monotonic() < end, self.log
                time.sleep(0.005)

    def stop(self) -> None:
        """Kill the broker, as a power failure would."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def freeze(self) -> None:
        """Stop the process without closing its connections."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()


T = TypeVar("T")


@asynccontextmanager
async def in_thread(context: AbstractContextManager[T]) -> AsyncIterator[T]:
    """Enter and leave a context manager that blocks, such as those below, in a thread."""
    entered = await asyncio.to_thread(context.__enter__)
    try:
        yield entered
    finally:
        await asyncio.to_thread(context.__exit__, None, None, None)


@contextmanager
def plain_broker(
    folder: Path,
    *settings: str,
    kinds: tuple[str, ...] = ("tcp", "ws"),
    users: Mapping[str, str] | None = None,
) -> Iterator[Broker]:
    """Run mosquitto; skip the test without mosquitto.

    Args:
        settings: more lines of its configuration.
        users: passwords by user name; None = clients need no password.
    """
    ports = _free_ports(kinds)
    lines = ["persistence false", "max_queued_messages 10000"]
    if users is None:
        lines.append("allow_anonymous true")
    else:
        write_passwords(folder / "passwords", users)
        lines += ["allow_anonymous false", f"password_file {folder / 'passwords'}"]
    lines += ["set_tcp_nodelay true", *settings]
    for kind, port in ports.items():
        lines.append(f"listener {port} 127.0.0.1")
        if kind == "ws":
            lines.append("protocol websockets")
    with _mosquitto(folder, lines, ports) as broker:
        yield broker


@contextmanager
def deployed_broker(
    folder: Path, certificates: Path, *, client_certificates: bool = False
) -> Iterator[Broker]:
    """Run mosquitto with the configuration of deploy/mosquitto.

    Args:
        certificates: folder with ca.pem, server.pem and server.key.
        client_certificates: whether the listener with TLS wants a certificate, whose common name
            is the user.
    """
    ports = _free_ports(("tcp", "tls", "wss"))
    shutil.copy(DEPLOYED / "acl", folder / "acl")
    write_passwords(folder / "passwords", PASSWORDS)
    text = (DEPLOYED / "mosquitto.conf").read_text()
    for kind, given in (("tcp", "1883 127.0.0.1"), ("tls", "8883"), ("wss", "9001")):
        assert f"\nlistener {given}\n" in text
        text = text.replace(f"\nlistener {given}\n", f"\nlistener {ports[kind]} 127.0.0.1\n")
    text = text.replace("/mosquitto/config/tls", str(certificates))
    text = text.replace("/mosquitto/config", str(folder))
    if client_certificates:
        wanted = (
            f"cafile {certificates / 'ca.pem'}\nrequire_certificate true\n"
            "use_identity_as_username true\n"
        )
        text = re.sub(rf"(listener {ports['tls']} .*\n)", rf"\1{wanted}", text)
    with _mosquitto(folder, text.splitlines(), ports) as broker:
        yield broker


@contextmanager
def amqtt_broker(folder: Path) -> Iterator[Broker]:
    """Run amqtt, which knows MQTT 3.1.1 only; skip the test without it."""
    command = amqtt()
    if command is None:
        raise unittest.SkipTest("amqtt is not installed (.venv-amqtt)")
    ports = _free_ports(("tcp", "ws"))
    config = folder / "amqtt.yaml"
    config.write_text(
        "listeners:\n"
        f"  default: {{type: tcp, bind: '127.0.0.1:{ports['tcp']}'}}\n"
        f"  ws: {{type: ws, bind: '127.0.0.1:{ports['ws']}'}}\n"
        "plugins:\n"
        "  amqtt.plugins.authentication.AnonymousAuthPlugin: {allow_anonymous: true}\n"
    )
    with _running(Broker([command, "-c", str(config)], folder, ports)) as broker:
        yield broker


@contextmanager
def _mosquitto(folder: Path, lines: list[str], ports: dict[str, int]) -> Iterator[Broker]:
    command = mosquitto()
    if command is None:
        raise unittest.SkipTest("mosquitto is not installed; script/setup --dev unpacks it")
    config = folder / "mosquitto.conf"
    if os.geteuid() == 0:
        lines = ["user root", *lines]  # else it becomes a user that cannot read the folder
    config.write_text("\n".join([*lines, ""]))
    with _running(Broker([command, "-c", str(config)], folder, ports)) as broker:
        yield broker


@contextmanager
def _running(broker: Broker) -> Iterator[Broker]:
    try:
        broker.start()
        yield broker
    finally:
        broker.stop()


def write_passwords(file: Path, users: Mapping[str, str]) -> None:
    """Write what mosquitto_passwd writes, whose package may not be installed here.

    mosquitto's format: $7$ITERATIONS$SALT$HASH, PBKDF2 with SHA-512.

    Args:
        users: their passwords, by name.
    """
    lines = []
    for user, password in users.items():
        salt = user.encode().ljust(12, b".")[:12]  # mosquitto takes no other length
        digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, 101)
        encoded = "$".join(base64.b64encode(each).decode() for each in (salt, digest))
        lines.append(f"{user}:$7$101${encoded}\n")
    file.write_text("".join(lines))


def _free_ports(kinds: tuple[str, ...]) -> dict[str, int]:
    """Return ports that nothing listens on, below those that the kernel gives to other tests."""
    ports: dict[str, int] = {}
    while len(ports) < len(kinds):
        port = random.randrange(20_000, 32_000)
        if port not in ports.values() and not _listens(port):
            ports[kinds[len(ports)]] = port
    return ports


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
