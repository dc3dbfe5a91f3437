"""The server as a Home Assistant add-on: python -m wyoming_faster_whisper.commands.addon.

The Supervisor writes the user's options to /data/options.json. Options that Home Assistant's own
Whisper add-on also has keep its names, so that its configuration can be pasted; the others are
named after our flags. Once the server listens, it is announced to Home Assistant through the
Supervisor only: with an mDNS announcement as well it would appear twice.
"""

from __future__ import annotations

from ..process import exit_on_stop_signals, open_stderr, tell

if __name__ == "__main__":
    exit_on_stop_signals()  # before the imports, which take time

import asyncio
import json
import logging
import os
import socket
import sys
import threading
import time
import urllib.request
from collections.abc import Mapping
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ..client import Client
from ..errors import ServerError, SettingError
from .cli import serve

_LOGGER = logging.getLogger(__name__)

DATA = Path("/data")  # the add-on's own folder; the Supervisor keeps it across updates
PORT = 10300
SUPERVISOR = "http://supervisor"

_FLAGS = {"debug_logging": "debug"}  # all others have the name of their flag
_NOT_FLAGS = frozenset(
    (
        "model custom_model custom_model_type stt_library hf_token bias_names mqtt mqtt_password"
    ).split()
)
_OFF_AT_ZERO = frozenset({"vad_endpointing"})  # the flag does not take 0

_TRIES = 7  # to reach the Supervisor, about a minute in all: it may still be starting


def command_line(options: Mapping[str, Any]) -> list[str]:
    """Return the server's arguments for the user's options; blank options are left out.

    Raises:
        SettingError: model is "custom", but custom_model is not set.
    """
    model = options.get("model")
    library = options.get("stt_library")
    if model == "custom":
        model = options.get("custom_model")
        if not model:
            raise SettingError("model is custom, but custom_model is not set")
        if library in (None, "auto"):
            library = options.get("custom_model_type")
    chosen = {"model": model, "stt_library": library}
    chosen |= {name: value for name, value in options.items() if name not in _NOT_FLAGS}

    line = ["--uri", f"tcp://0.0.0.0:{PORT}"]
    line += ["--data-dir", str(DATA), "--download-dir", str(DATA)]
    for name, value in chosen.items():
        flag = "--" + _FLAGS.get(name, name).replace("_", "-")
        if name in _OFF_AT_ZERO and value not in (None, "", "auto") and not float(value):
            continue
        if value is True:
            line.append(flag)
        elif value is not None and value is not False and value != "":  # 0 is a value
            line.append(f"{flag}={value}")
    if options.get("mqtt_url"):
        line.append("--mqtt-discovery")
    return line


def environment(options: Mapping[str, Any], supervisor_token: str | None) -> dict[str, str]:
    """Return the secrets as variables: a command line is visible to all processes."""
    given: dict[str, str] = {}
    if options.get("hf_token"):
        given["HF_TOKEN"] = options["hf_token"]
    if options.get("mqtt_url") and options.get("mqtt_password"):
        given["WYO_WHISPER_MQTT_PASSWORD"] = options["mqtt_password"]
    if options.get("bias_names") and supervisor_token:
        # The Supervisor's proxy for Home Assistant's API; config.yaml sets homeassistant_api.
        given["WYO_WHISPER_HASS_API"] = f"{SUPERVISOR}/core/api"
        given["WYO_WHISPER_HASS_TOKEN"] = supervisor_token
    return given


def home_assistants_broker(token: str) -> dict[str, str]:
    """Return mqtt_url and mqtt_password for the broker that the Supervisor knows. Blocking.

    config.yaml asks for this with mqtt:want. Without a broker, the reason is printed and the
    result is empty: speech-to-text for Home Assistant itself does not need one.
    """
    try:
        broker = json.loads(_call(f"{SUPERVISOR}/services/mqtt", token))["data"]
        scheme = "mqtts" if broker.get("ssl") else "mqtt"
        user = quote(broker.get("username") or "", safe="")
        address = f"{broker['host']}:{broker['port']}"
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        # With status 400 there is no broker: "Service not enabled".
        tell(f"no MQTT: the Supervisor does not name a broker ({error}); is one installed?")
        return {}
    if not user:
        return {"mqtt_url": f"{scheme}://{address}", "mqtt_password": ""}
    return {
        "mqtt_url": f"{scheme}://{user}@{address}",
        "mqtt_password": broker.get("password") or "",
    }


def announce(token: str) -> None:
    """Wait until the server listens, then announce it to the Supervisor. Blocking.

    A failure is logged.
    """
    asyncio.run(_until_it_listens())
    body = {"service": "wyoming", "config": {"uri": f"tcp://{socket.gethostname()}:{PORT}"}}
    failure: OSError | None = None
    for attempt in range(_TRIES):
        try:
            _call(f"{SUPERVISOR}/discovery", token, body)
            _LOGGER.info("announced this server to Home Assistant through the Supervisor")
            return
        except OSError as error:
            failure = error
            time.sleep(2.0**attempt / 2)
    _LOGGER.error(
        "cannot announce this server to the Supervisor (%s); add the Wyoming Protocol "
        "integration manually, with host %s and port %d",
        failure,
        socket.gethostname(),
        PORT,
    )


def _call(url: str, token: str, body: Mapping[str, Any] | None = None) -> bytes:
    """Call the Supervisor's API, with POST if there is a body; return the answer.

    Raises:
        OSError: the Supervisor cannot be reached, or refuses the call.
    """
    request = urllib.request.Request(
        url,
        None if body is None else json.dumps(body).encode(),
        {"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return bytes(answer.read())
    except HTTPException as error:  # the answer breaks off, or is none
        raise OSError(repr(error)) from None


async def _until_it_listens() -> None:
    while True:
        try:
            async with Client(f"tcp://127.0.0.1:{PORT}") as client:
                await client.describe()
                return
        except ServerError:
            await asyncio.sleep(0.5)


def main() -> int:
    """Run the server with the user's options; the exit statuses are those of cli.py."""
    open_stderr()
    try:
        options = json.loads((DATA / "options.json").read_text(encoding="utf-8"))
        token = os.environ.get("SUPERVISOR_TOKEN")
        if token and options.get("mqtt") and not options.get("mqtt_url"):
            options |= home_assistants_broker(token)
        arguments = command_line(options)
        os.environ.update(environment(options, token))
    except (OSError, ValueError, SettingError) as error:
        tell(f"error: {error}")
        return 2
    if token:
        threading.Thread(target=announce, args=(token,), name="announce", daemon=True).start()
    return serve(arguments)


if __name__ == "__main__":
    sys.exit(main())
