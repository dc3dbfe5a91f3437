"""Contextual biasing: how often a spoken name is spelled as in Home Assistant, and side effects.

The home has 200 names; 200 spoken orders contain them (`--home fresh` draws a home to which
no value was fitted). They are decoded by this server's engine without names, with correction of
the text only, and with correction and rescoring; and by the reference server, which gets the
names from the same (fake) Home Assistant. No word may change in the control sets: 200 sentences
without names, 100 of them by two voices each, and the recorded orders in the folders given with
--orders.

Decoding takes most of the time. --heard FILE scores the texts of an earlier run.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

from wyoming_faster_whisper.biasing.correct import Corrector
from wyoming_faster_whisper.biasing.home_assistant import HomeAssistant
from wyoming_faster_whisper.engine.protocol import DecodeOptions, Job, Transcript
from wyoming_faster_whisper.engine.whisper.calibration.values import Calibrations
from wyoming_faster_whisper.engine.whisper.engine import WhisperEngine
from wyoming_faster_whisper.testing.home_assistant import FakeHome, FakeHomeAssistant

from .speech.fresh_home import fresh_home
from .speech.homes import FRESH, FRESH_VOICES, HELD_OUT, TUNING, Home
from .speech.synthesis import Voice, say
from .support.clips import Clip, load, to_samples
from .support.models import load_whisper, model_directory
from .support.playback import NoAnswer, play
from .support.report import align, progress, write_json
from .support.servers import Options, Server, reference_python

# Appended to each clip, because the reference needs a pause at the end.
SILENCE = 0.3  # seconds

# Punctuation that Home Assistant's matcher ignores (home-assistant/hassil: util.py).
_PUNCTUATION = re.compile(r"[.。,,?¿?؟!!;;:：]+")


@dataclass(slots=True)
class Heard:
    """Decoded texts, in the order of the clips."""

    orders: dict[str, list[str]] = field(
        default_factory=dict
    )  # by method: plain, both, reference
    others: dict[str, list[str]] = field(default_factory=dict)  # sentences without names
    fresh: dict[str, list[str]] = field(default_factory=dict)  # further sentences without names
    recorded: dict[str, list[str]] = field(default_factory=dict)  # recorded orders
    # CPU seconds by method, for each text that was rescored.
    seconds: dict[str, list[float]] = field(default_factory=dict)


def fake_home(home: Home) -> FakeHome:
    fake = FakeHome()
    for floor in home.floors:
        fake.add_floor(floor, floor)
    for number, area in enumerate(home.areas):
        fake.add_area(area, area, floor=home.floors[number % len(home.floors)])
    for entity, name, aliases, area_of in home.entities():
        fake.add(entity, name, aliases=aliases, area=area_of)
    return fake


async def names_of(home: Home) -> tuple[str, ...]:
    """Fetch the names as the server does."""
    async with FakeHomeAssistant(fake_home(home)) as hass:
        return await HomeAssistant(hass.api, "secret").names()


def is_right(name: str, text: str) -> bool:
    """Return True if a text contains a name, compared as Home Assistant does.

    Ignores case and punctuation; matches whole words only.
    """
    return f" {plain(name)} " in f" {plain(text)} "


def plain(text: str) -> str:
    return " ".join(_PUNCTUATION.sub(" ", text.casefold()).split())


class Listener:
    """This server's engine, run in this process."""

    def __init__(self, model: Path, threads: int) -> None:
        loaded = load_whisper(model, threads)
        self._engine = WhisperEngine(loaded, calibrations=Calibrations(model.name))

    def hear(
        self,
        clips: Sequence[Clip],
        names: tuple[str, ...],
        seconds: dict[str, list[float]],
        label: str,
    ) -> dict[str, list[str]]:
        """Decode every clip without and with names; add times of rescored texts to seconds."""
        texts: dict[str, list[str]] = {"plain": [], "both": []}
        for number, clip in enumerate(clips, start=1):
            progress(f"{label}: {number}/{len(clips)}")
            plain, alone = self._decode(clip, ())
            both, named = self._decode(clip, names)
            texts["plain"].append(plain.text)
            texts["both"].append(both.text)
            if both.passes > plain.passes:
                seconds.setdefault("plain", []).append(alone)
                seconds.setdefault("both", []).append(named)
        progress("")
        return texts

    def _decode(self, clip: Clip, names: tuple[str, ...]) -> tuple[Transcript, float]:
        """Decode a clip; return the transcript and the CPU seconds."""
        options = DecodeOptions(language="en", hotwords=names)
        started = time.process_time()
        [transcript] = self._engine.decode([Job(to_samples(clip.audio), options)])
        return transcript, time.process_time() - started


async def reference(model: Path, threads: int, home: Home, clips: Sequence[Clip]) -> list[str]:
    """Decode the clips with the reference server, which gets the names from a Home Assistant."""
    texts = []
    async with FakeHomeAssistant(fake_home(home)) as hass:
        options = Options(
            model=model,
            cpu_threads=threads,
            extra=("--hass-token=secret", f"--hass-api={hass.api}"),
        )
        async with Server(reference_python(), options) as server:
            for number, clip in enumerate(clips, start=1):
                progress(f"reference: {number}/{len(clips)}")
                try:
                    answer = await play(server.port, clip.audio, silence=clip.silence(SILENCE))
                except NoAnswer:
                    texts.append("")
                else:
                    texts.append(answer.text)
        progress("")
        if not hass.fetches:
            raise SystemExit(
                "the reference never fetched the names; is its extra hass installed?"
            )
    return texts


async def listen(arguments: argparse.Namespace, home: Home) -> Heard:
    orders = say([(text, voice) for text, _, voice in home.commands(arguments.count)])
    others = say(
        [(text, home.voices[at % len(home.voices)]) for at, text in enumerate(home.plain)]
    )
    fresh = say([(text, voice) for voice in FRESH_VOICES for text in FRESH])
    recorded = load(arguments.orders) if arguments.orders else []
    names = await names_of(home)
    model = model_directory(arguments.model)
    listener = Listener(model, arguments.threads)
    heard = Heard()
    heard.orders = listener.hear(orders, names, heard.seconds, "orders")
    heard.others = listener.hear(others, names, heard.seconds, "sentences without names")
    heard.fresh = listener.hear(fresh, names, heard.seconds, "more of them")
    heard.recorded = listener.hear(recorded, names, heard.seconds, "recorded orders")
    if not arguments.no_reference:
        heard.orders["reference"] = await reference(model, arguments.threads, home, orders)
    return heard


WAYS = {
    "plain": "without names",
    "corrected": "corrected",
    "both": "the decoder asked as well",
    "reference": "reference, same names",
}


def with_correction(heard: dict[str, list[str]], corrector: Corrector) -> dict[str, list[str]]:
    """Add the corrected texts of the plain ones to the texts by method."""
    ways = heard | {"corrected": [corrector.correct(text) for text in heard["plain"]]}
    return {way: ways[way] for way in WAYS if way in ways}


def score(home: Home, names: Sequence[str], heard: Heard, count: int) -> dict[str, Any]:
    corrector = Corrector(names, "en", Calibrations("base").of("en").names)
    commands = home.commands(count)
    started = time.process_time()
    orders = with_correction(heard.orders, corrector)
    correction = (time.process_time() - started) / len(commands)
    right = {
        way: [is_right(name, text) for (_, name, _), text in zip(commands, texts, strict=True)]
        for way, texts in orders.items()
    }
    engines = dict.fromkeys(voice.engine for _, _, voice in commands)
    changed = {}
    for label, texts in (
        ("others", heard.others),
        ("fresh", heard.fresh),
        ("recorded", heard.recorded),
    ):
        before, after = texts["plain"], texts["both"]
        changed[label] = {
            "texts": len(before),
            "changed": _changed(before, after),
            "corrected": _changed(before, [corrector.correct(text) for text in before]),
        }
    return {
        "names": len(names),
        "spoken": len({name for _, name, _ in commands}),
        "right": {way: sum(all_right) for way, all_right in right.items()},
        "by_engine": {
            engine: {way: _share(commands, all_right, engine) for way, all_right in right.items()}
            for engine in engines
        },
        "changed": changed,
        "seconds": {way: fmean(all_seconds) for way, all_seconds in heard.seconds.items()},
        "asked": len(heard.seconds.get("both", ())),
        "correction": correction,
        "orders": [
            {"said": said, "name": name, "voice": str(voice)}
            | {way: texts[at] for way, texts in orders.items()}
            for at, (said, name, voice) in enumerate(commands)
        ],
    }


def _changed(before: Sequence[str], after: Sequence[str]) -> list[list[str]]:
    return [
        [one, other]
        for one, other in zip(before, after, strict=True)
        if plain(one) != plain(other)
    ]


def _share(
    commands: Sequence[tuple[str, str, Voice]], right: Sequence[bool], engine: str
) -> list[int]:
    """Return the number of right names and the number of orders."""
    of = [ok for (_, _, voice), ok in zip(commands, right, strict=True) if voice.engine == engine]
    return [sum(of), len(of)]


def table(report: dict[str, Any]) -> str:
    engines: dict[str, dict[str, list[int]]] = report["by_engine"]
    count = len(report["orders"])
    rows = [["names right", "all", *engines]]
    for way, right in report["right"].items():
        cells = [f"{engines[engine][way][0]}/{engines[engine][way][1]}" for engine in engines]
        rows.append([WAYS[way], f"{right}/{count} ({right / count:.0%})", *cells])
    lines = [
        f"{report['names']} names, {report['spoken']} of them said in {count} orders",
        align(rows),
    ]
    if seconds := report["seconds"]:
        lines.append(
            f"{report['asked']} texts were asked about: {seconds['both']:.2f} s of a core each, "
            f"{seconds['plain']:.2f} s without names"
        )
    lines.append(f"correction alone: {1000 * report['correction']:.1f} ms of a core per text")
    for label, name in (
        ("others", "sentences without names"),
        ("fresh", "fresh sentences without names"),
        ("recorded", "recorded orders"),
    ):
        part = report["changed"][label]
        if part["texts"]:
            lines.append(
                f"{len(part['changed'])} of {part['texts']} {name} changed, "
                f"{len(part['corrected'])} by correction alone"
            )
            lines += [f"  {before!r} became {after!r}" for before, after in part["changed"]]
    return "\n".join(lines)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench.names", description=__doc__)
    parser.add_argument("--model", default="base", help="name or directory; never downloaded")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads of each decoder")
    parser.add_argument("--home", choices=["held-out", "tuning", "fresh"], default="held-out")
    parser.add_argument("--seed", type=int, default=1, help="which fresh home (default: 1)")
    parser.add_argument("--count", type=int, default=200, help="number of spoken orders")
    parser.add_argument(
        "--orders",
        type=Path,
        action="append",
        metavar="DIR",
        help="folder of recorded orders without names (repeatable)",
    )
    parser.add_argument("--no-reference", action="store_true", help="do not run the reference")
    parser.add_argument(
        "--heard",
        type=Path,
        metavar="FILE",
        help="score the texts in a file that --json wrote earlier",
    )
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="write the texts and figures to this file"
    )
    return parser.parse_args()


def main() -> None:
    arguments = parse_arguments()
    homes = {"held-out": lambda: HELD_OUT, "tuning": lambda: TUNING}
    home = homes.get(arguments.home, lambda: fresh_home(arguments.seed))()
    names = asyncio.run(names_of(home))
    if arguments.heard:
        heard = Heard(**json.loads(arguments.heard.read_text())["heard"])
    else:
        heard = asyncio.run(listen(arguments, home))
    report = score(home, names, heard, arguments.count)
    print(table(report))
    if arguments.json:
        write_json(arguments.json, {"home": arguments.home, "heard": asdict(heard), **report})


if __name__ == "__main__":
    main()
