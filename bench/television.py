"""Orders followed by a television: does it hold the turn open, and enter the text?

Recorded orders, and right after the last word a read sentence, some decibels quieter than the
order, as from a television. They are sent in real time in chunks of 10 ms to this server with
`--vad-endpointing auto` and to the reference with 0.7. Prints how often the turn has ended 1.2 s
after the speaker's last word, and how many texts hold words of the television. With --levels no
server runs: prints how often the recordings themselves fall below their level, and how soon a
television does, by the values of speech/foreground.py. Progress goes to stderr.
"""

import argparse
import asyncio
import contextlib
import math
import statistics
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from wyoming_faster_whisper.audio.highpass import HighPass
from wyoming_faster_whisper.audio.pcm import to_pcm16
from wyoming_faster_whisper.speech.foreground import Foreground, window_levels
from wyoming_faster_whisper.speech.hysteresis import WINDOW, windows
from wyoming_faster_whisper.speech.vad import Vad

from .support.arguments import RECORDINGS, SERVERS, add, given_clips, numbers, parser, servers
from .support.clips import SAMPLE_RATE, Clip, Samples, load, spoken, to_samples
from .support.playback import NoAnswer, play
from .support.report import align, progress, warn, write_json
from .support.scoring import comparable
from .support.servers import PYTHONS, Server

LEVELS = (-5.0, -10.0, -15.0)  # dB
SOON = 1.2  # seconds
SECONDS = 6.0  # of television after an order
LOUDER = 10.0  # dB of a wake word above the order after it
ROOM = 1.5  # seconds of silence after that, so that any server ends the turn
FLAGS = {"this server": "--vad-endpointing=auto", "reference": "--vad-endpointing=0.7"}
MARGINS, SUSTAINED = (7.0, 8.0, 9.0, 10.0, 12.0), (0.7, 0.83, 1.0)  # dB; seconds


@dataclass(frozen=True, slots=True)
class Heard:
    """One order followed by a television."""

    server: str
    level: float  # of the television, dB
    clip: str
    wait: float | None  # seconds from the last word to the text; None = cut off, or no answer
    text: str
    foreign: bool  # it holds words of the television


def main() -> None:
    arguments = parse_arguments()
    orders = given_clips(arguments)
    shows = load(arguments.television)
    if not orders or not shows:
        sys.exit("no recordings found")
    if arguments.levels:
        print(levels_table(orders, shows, arguments.more))
        return
    heard = asyncio.run(run(arguments, orders, shows))
    print(f"{arguments.model} int8, {arguments.threads} threads, {len(orders)} orders")
    print(table(heard))
    if arguments.json:
        write_json(arguments.json, {"heard": [asdict(each) for each in heard]})


def parse_arguments() -> argparse.Namespace:
    flags = parser("television", __doc__)
    add(flags, *SERVERS, "--limit", "--json")
    add(flags, "--recordings", help=RECORDINGS)
    flags.add_argument(
        "--television",
        type=Path,
        action="append",
        required=True,
        metavar="DIR",
        help="folder of WAV files with .txt files: what the television says (repeatable)",
    )
    flags.add_argument("--decibels", type=numbers, default=LEVELS, metavar="A,B")
    flags.add_argument("--levels", action="store_true", help="only compare levels")
    flags.add_argument(
        "--more",
        type=Path,
        action="append",
        default=[],
        metavar="DIR",
        help="with --levels: folder of more recordings that must not fall (repeatable)",
    )
    return flags.parse_args()


def television(order: Clip, show: Clip, level: float) -> Samples:
    """Return the sound of a television for the time after an order.

    Args:
        level: of its speech, in dB relative to that of the order.
    """
    voice, other = to_samples(order.audio), to_samples(show.audio)
    gain = 10 ** (level / 20) * _rms(voice) / _rms(other)
    sound = np.resize(other, round(SECONDS * SAMPLE_RATE)) * gain
    return np.asarray(np.clip(sound, -1, 1), np.float32)


def _rms(samples: Samples) -> float:
    return float(np.sqrt(np.mean(samples[spoken(samples)] ** 2)))


async def run(
    arguments: argparse.Namespace, orders: Sequence[Clip], shows: Sequence[Clip]
) -> list[Heard]:
    heard: list[Heard] = []
    async with contextlib.AsyncExitStack() as stack:
        running = {
            name: await stack.enter_async_context(
                Server(PYTHONS[name](), replace(options, extra=(FLAGS[name], *options.extra)))
            )
            for name, options in servers(arguments).items()
        }
        for server in running.values():
            await play(server.port, orders[0].audio, silence=orders[0].silence(1.0))
            await server.wait_until_idle()
        for number, order in enumerate(orders, start=1):
            show = shows[number % len(shows)]
            for level in arguments.decibels:
                progress(f"{number}/{len(orders)}, {level:g} dB")
                some = [
                    play_one(server, name, order, show, level) for name, server in running.items()
                ]
                heard += await asyncio.gather(*some)
    progress("")
    return heard


async def play_one(server: Server, name: str, order: Clip, show: Clip, level: float) -> Heard:
    text, wait = "", None
    try:
        alone = await play(server.port, order.audio, silence=order.silence(0.7))
        answer = await play(
            server.port,
            order.audio,
            silence=to_pcm16(television(order, show, level)) + order.silence(ROOM),
            paced=True,
        )
        text, wait = answer.text, answer.after_speech
    except NoAnswer as reason:
        _ = server.pid  # raises ServerDied if the server has died, which ends the run
        warn(f"{order.name}: {reason}")
        return Heard(name, level, order.name, None, "", False)
    return Heard(name, level, order.name, wait, text, foreign(text, alone.text, show.text or ""))


def foreign(text: str, alone: str, show: str) -> bool:
    """Return whether a text holds words of the television that the order alone does not have."""
    more = set(comparable(text).split()) - set(comparable(alone).split())
    return bool(more & set(comparable(show).split()))


def table(heard: Sequence[Heard]) -> str:
    """Format a row per level and server."""
    rows = [["television", "", "orders", f"ended in {SOON:g} s", "mean", "longest", "its words"]]
    for level in dict.fromkeys(each.level for each in heard):
        for name in dict.fromkeys(each.server for each in heard):
            some = [e for e in heard if (e.level, e.server) == (level, name)]
            waits = [each.wait for each in some if each.wait is not None]
            soon = sum(wait <= SOON for wait in waits)
            times = (statistics.fmean(waits), max(waits)) if waits else (None, None)
            rows.append(
                [
                    f"{level:g} dB",
                    name,
                    str(len(some)),
                    f"{100 * soon / len(some):.0f}%",
                    *("" if each is None else f"{each:.2f} s" for each in times),
                    f"{100 * statistics.fmean(each.foreign for each in some):.0f}%",
                ]
            )
    return align(rows)


@dataclass(frozen=True, slots=True)
class Levels:
    """What Foreground takes of a recording."""

    levels: list[float]  # dB, of each VAD window
    speech: list[bool]


def levels_table(orders: Sequence[Clip], shows: Sequence[Clip], more: Sequence[Path]) -> str:
    """Format how many recordings fall, and televisions are noticed, by the values."""
    vad = Vad()
    said = [measure(vad, to_samples(clip.audio)) for clip in orders]
    alone = [*said, *(measure(vad, to_samples(clip.audio)) for clip in load(more))]
    woken = [after_wake_word(said[at - 1], each) for at, each in enumerate(said)]
    mixed = {level: list(_mixed(vad, orders, shows, level)) for level in LEVELS}
    heard = [f"{level:g} dB: in {SOON:g} s, ever" for level in LEVELS]
    rows = [["margin", "for", "fall", f"after {LOUDER:g} dB", *heard]]
    for seconds in SUSTAINED:
        for margin in MARGINS:
            row = [f"{margin:g} dB", f"{seconds:g} s"]
            for some in (alone, woken):
                falls = sum(noticed(each, margin, seconds) is not None for each in some)
                row.append(f"{falls} of {len(some)}")
            for pairs in mixed.values():
                found = [noticed(each, margin, seconds, begin) for begin, each in pairs]
                times = [
                    at - begin * WINDOW / SAMPLE_RATE
                    for at, (begin, _) in zip(found, pairs, strict=True)
                    if at is not None
                ]
                soon = sum(at <= SOON for at in times)
                row.append(
                    f"{100 * soon / len(pairs):.0f}%, {100 * len(times) / len(pairs):.0f}%"
                )
            rows.append(row)
    return align(rows)


def after_wake_word(other: Levels, order: Levels) -> Levels:
    """Return an order after 0.8 s of a louder one, as after a wake word, and a pause."""
    count, pause = windows(0.8), windows(0.32)
    level = _voice_level(order) - _voice_level(other) + LOUDER
    start = other.speech.index(True) if any(other.speech) else 0
    word = slice(start, start + count)
    return Levels(
        [each + level for each in other.levels[word]] + [-90.0] * pause + order.levels,
        other.speech[word] + [False] * pause + order.speech,
    )


def _voice_level(sound: Levels) -> float:
    """Return the level of the speech in dB."""
    power = [
        10 ** (level / 10)
        for level, speech in zip(sound.levels, sound.speech, strict=True)
        if speech
    ]
    return 10 * math.log10(statistics.fmean(power)) if power else 0.0


def _mixed(
    vad: Vad, orders: Sequence[Clip], shows: Sequence[Clip], level: float
) -> Iterator[tuple[int, Levels]]:
    for number, order in enumerate(orders):
        show = television(order, shows[number % len(shows)], level)
        sound = np.concatenate([to_samples(order.audio), show])
        yield len(order.audio) // 2 // WINDOW, measure(vad, sound)


def measure(vad: Vad, sound: Samples) -> Levels:
    heard = HighPass().feed(sound)
    probabilities = vad.probabilities(heard)
    levels = window_levels(heard, len(probabilities))
    return Levels(levels, [each >= 0.5 for each in probabilities.tolist()])


def noticed(sound: Levels, margin: float, seconds: float, begin: int = 0) -> float | None:
    """Return the second at which a quieter voice is noticed, from a window on."""
    foreground = Foreground(margin=margin, sustained=windows(seconds))
    for at, (level, speech) in enumerate(zip(sound.levels, sound.speech, strict=True)):
        if foreground.take(level, speech=speech) and at >= begin:
            return (at + 1) * WINDOW / SAMPLE_RATE
    return None


if __name__ == "__main__":
    main()
