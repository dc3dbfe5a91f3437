"""The server as Home Assistant's add-on: python -m wyoming_faster_whisper.commands.addon.

The Supervisor writes what the user chose to /data/options.json. The names there are those of
Home Assistant's own Whisper add-on, so that its options can be pasted, and those of our flags
for what is new. Home Assistant is told of the server through the Supervisor, once it listens:
a second announcement, by mDNS, would show it twice.
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
from pathlib import Path
from typing import Any

from ..client import Client
from ..errors import ServerError, SettingError
from .cli import serve

_LOGGER = logging.getLogger(__name__)

DATA = Path("/data")  # the add-on's own folder; the Supervisor keeps it over updates
PORT = 10300
SUPERVISOR = "http://supervisor"

_FLAGS = {"debug_logging": "debug"}  # the others are called like their flag
_NOT_FLAGS = frozenset(
    {"model", "custom_model", "custom_model_type", "stt_library", "hf_token", "bias_names"}
)
_OFF_AT_ZERO = frozenset({"vad_endpointing"})  # 0 is no value of the flag

_TRIES = 7  # to reach the Supervisor, about a minute: it may be busy with its own start


def command_line(options: Mapping[str, Any], data: Path = DATA) -> list[str]:
    """The server's arguments for what the user chose; an option left blank is not given.

    Raises:
        SettingError: the model is to be a custom one, but none is named.
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
    line += ["--data-dir", str(data), "--download-dir", str(data)]
    for name, value in chosen.items():
        flag = "--" + _FLAGS.get(name, name).replace("_", "-")
        if name in _OFF_AT_ZERO and value not in (None, "", "auto") and not float(value):
            continue
        if value is True:
            line.append(flag)
        elif value not in (None, False, ""):
            line.append(f"{flag}={value}")
    return line


def environment(options: Mapping[str, Any], supervisor_token: str | None) -> dict[str, str]:
    """Secrets, which would be seen by everybody on a command line."""
    given: dict[str, str] = {}
    if options.get("hf_token"):
        given["HF_TOKEN"] = options["hf_token"]
    if options.get("bias_names") and supervisor_token:
        # The Supervisor lets us through to Home Assistant's API: homeassistant_api.
        given["WYO_WHISPER_HASS_API"] = f"{SUPERVISOR}/core/api"
        given["WYO_WHISPER_HASS_TOKEN"] = supervisor_token
    return given


def announce(token: str, supervisor: str = SUPERVISOR) -> None:
    """Wait until the server listens, then tell the Supervisor. Troubles are logged."""
    asyncio.run(_until_it_listens())
    body = {"service": "wyoming", "config": {"uri": f"tcp://{socket.gethostname()}:{PORT}"}}
    request = urllib.request.Request(
        f"{supervisor}/discovery",
        json.dumps(body).encode(),
        {"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
    )
    trouble: OSError | None = None
    for attempt in range(_TRIES):
        try:
            with urllib.request.urlopen(request, timeout=10):
                _LOGGER.info("Home Assistant was told of this server through the Supervisor")
                return
        except OSError as error:
            trouble = error
            time.sleep(2.0**attempt / 2)
    _LOGGER.error(
        "the Supervisor could not be told of this server (%s); add the Wyoming integration by "
        "hand, with host %s and port %d",
        trouble,
        socket.gethostname(),
        PORT,
    )


async def _until_it_listens() -> None:
    while True:
        try:
            async with Client(f"tcp://127.0.0.1:{PORT}") as client:
                await client.describe()
                return
        except ServerError:
            await asyncio.sleep(0.5)


def main() -> int:
    """Serve as the user chose; the exit statuses are those of the command line."""
    open_stderr()
    try:
        options = json.loads((DATA / "options.json").read_text(encoding="utf-8"))
        arguments = command_line(options)
        token = os.environ.get("SUPERVISOR_TOKEN")
        os.environ.update(environment(options, token))
    except (OSError, ValueError, SettingError) as error:
        tell(f"error: {error}")
        return 2
    if token:
        threading.Thread(target=announce, args=(token,), name="announce", daemon=True).start()
    return serve(arguments)


if __name__ == "__main__":
    sys.exit(main())
