"""Run the scenarios with the installed Home Assistant. See script/test-ha."""

from __future__ import annotations

import argparse
import asyncio
import logging
import platform
import sys
import tempfile
import traceback
from pathlib import Path

from .house import VERSION, house
from .scenarios import SCENARIOS, Skipped, Stage
from .server import Command


async def main() -> int:
    parser = argparse.ArgumentParser(prog="tests.ha", description=__doc__)
    parser.add_argument(
        "--server", type=Path, required=True, help="Python interpreter that has our server"
    )
    parser.add_argument(
        "--address",
        help="our address on a network with multicast (default: 127.0.0.1, no multicast)",
    )
    parser.add_argument(
        "--only", help="run only this scenario", choices=[s.__name__ for s in SCENARIOS]
    )
    args = parser.parse_args()
    print(f"Home Assistant {VERSION} on Python {platform.python_version()}", flush=True)
    failed = 0
    with tempfile.TemporaryDirectory(prefix="test-ha-") as folder:
        logging.basicConfig(filename=Path(folder) / "log", level=logging.WARNING)
        logging.getLogger("haffmpeg").disabled = True  # logs an error if it is not installed
        for scenario in SCENARIOS:
            if args.only not in (None, scenario.__name__):
                continue
            title = scenario.__name__.replace("_", " ")
            lines: list[str] = []
            stage_folder = Path(folder) / scenario.__name__
            stage_folder.mkdir()
            discovers = args.address is not None and scenario.__name__ == "discovery"
            command = Command(args.server, Path(folder) / "models", args.address or "127.0.0.1")
            try:
                async with house(stage_folder, discovers=discovers) as home:
                    await scenario(Stage(home, command, discovers, lines.append))
                print(f"  ok        {title}", flush=True)
            except Skipped as reason:
                print(f"  skipped   {title}: {reason}", flush=True)
            except Exception:
                failed += 1
                print(f"  FAILED    {title}\n{traceback.format_exc()}", flush=True)
            for line in lines:
                print(f"              {line}", flush=True)
        if failed:
            print((Path(folder) / "log").read_text()[-8000:], file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
