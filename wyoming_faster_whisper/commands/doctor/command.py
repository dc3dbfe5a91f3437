"""The doctor's command: collects facts, tries the server, prints findings. Exit statuses:

0  Home Assistant can use the server, perhaps with warnings
1  Home Assistant cannot use the server as it is, or an option names a missing model or file
2  usage error
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ...client import Clip, read_wav
from ...config.load import default_data_dir, read_settings
from ...config.settings import Settings
from ...errors import ServerError, SettingError
from ...models import AUTO, canonical, data_folders
from ...transports.address import Address
from ...transports.tls import own_context
from ..health_check import to_loopback
from . import advice, host, network, report
from .finding import Finding, Level, worst
from .synthetic_client import SyntheticClient, spoken

_ORDER = Path(__file__).with_name("order.wav")
# Words that both tiny.en and base recognise in it.
_WORDS = frozenset({"turn", "on", "lights", "living", "room"})


def main(argv: Sequence[str], environ: Mapping[str, str], *, pace: float = 1.0) -> int:
    """Examine the machine and the server, print the findings and return the exit status.

    Args:
        pace: seconds per second of audio; 0 = as fast as possible, for tests.

    Raises:
        ServerError: an option or a file cannot be used.
    """
    parser = argparse.ArgumentParser(
        prog="wyoming-faster-whisper-doctor",
        description="Check this machine and the server on it, as Home Assistant would use it, "
        "and advise what to improve.",
        epilog="Pass the options that the server is started with; the same environment "
        "variables are read. --uri is the server's address, on this machine or another.",
        allow_abbrev=False,
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument(
        "--clip", metavar="FILE.wav", help="send this recording instead of the built-in command"
    )
    args, rest = parser.parse_known_args(argv)
    settings = read_settings(rest, environ).settings
    examination = Examination(
        settings,
        folders=list(
            data_folders(
                settings.data_dir or [str(default_data_dir(environ))], settings.download_dir
            )
        ),
        order=read_wav(args.clip or _ORDER),
        expected=frozenset() if args.clip else _WORDS,
        tell=_nothing if args.json else _tell,
        pace=pace,
    )
    asyncio.run(examination.run())
    if args.json:
        _tell(report.as_json(examination.uri, examination.findings, examination.facts))
    return 1 if examination.level is Level.PROBLEM else 0


class Examination:
    """One examination of the machine and the server.

    Args:
        folders: the folders of models; downloads go to the first.
        order: the spoken command that is sent to the server.
        expected: words that an English transcript of it must contain; empty = not known.
        tell: called with the text of each area as soon as that is known.
        pace: as in main().

    Raises:
        SettingError: the server uses stdio://.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        folders: Sequence[Path],
        order: Clip,
        expected: frozenset[str] = frozenset(),
        tell: Callable[[str], None] = lambda text: None,
        pace: float = 1.0,
    ) -> None:
        self._address = Address.parse(settings.uri)
        if self._address.scheme == "stdio":
            raise SettingError("--uri is stdio://; the doctor takes tcp:// and unix:// only")
        self.uri = to_loopback(settings.uri)
        self.findings: dict[str, list[Finding]] = {}
        self.facts: dict[str, Any] = {}
        self._settings = settings
        self._folders = folders
        self._tell = tell
        self._busy = False
        language = settings.language if settings.language not in ("auto", "") else "en"
        # The doctor has the server's options and so its certificate, like the health check.
        tls = own_context(settings.tls_cert, settings.tls_key) if settings.tls_cert else None
        self._client = SyntheticClient(self.uri, spoken(order), language, expected, pace, tls)

    @property
    def level(self) -> Level:
        """The worst level of all findings."""
        return worst(finding for some in self.findings.values() for finding in some)

    async def run(self) -> None:
        """Examine the machine if the server is on it, then try the server.

        Raises:
            ServerError: an option names a model that does not exist.
        """
        here = self._address.scheme == "unix" or await asyncio.to_thread(
            network.is_this_machine, Address.parse(self.uri).host
        )
        if here:
            await self._look_around()
        else:
            seen = Finding(Level.NOTE, "not checked: the server is on another machine")
            self._found("This machine", [seen])
        await self._try_server()

    async def _look_around(self) -> None:
        address = self._address
        machine, libraries, models, net = await asyncio.gather(
            asyncio.to_thread(host.inspect_machine),
            asyncio.to_thread(host.try_libraries),
            asyncio.to_thread(host.inspect_models, self._settings, self._folders),
            network.inspect_network(
                address.host if address.scheme == "tcp" else None, address.port
            ),
        )
        self.facts |= {"box": machine, "libraries": libraries, "models": models, "network": net}
        self._busy = machine.busy
        self._found(
            "This machine", [*advice.on_machine(machine), *advice.on_libraries(libraries)]
        )
        chosen = AUTO in map(canonical, self._settings.model)
        self._found(
            "Models", [one for model in models for one in advice.on_model(model, chosen=chosen)]
        )
        self._found("Network", advice.on_network(net))

    async def _try_server(self) -> None:
        try:
            visit = self.facts["visit"] = await self._client.try_server()
            findings = advice.on_trial(visit, busy=self._busy)
            if self._settings.tls_cert:
                findings.insert(0, advice.TLS)
        except ServerError as error:
            findings = [advice.on_unreachable(str(error))]
        self._found("Home Assistant", findings)

    def _found(self, area: str, findings: list[Finding]) -> None:
        self.findings[area] = findings
        self._tell(report.heading(area, findings))


def _tell(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def _nothing(text: str) -> None:
    pass
