"""What bench.latency plays: clips as Home Assistant's microphones bring them.

A Scenario says how a clip is sent, a Setup which scenarios a server is started for,
and plan() which clips there is time for.
"""

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Literal

from ..support.clips import SAMPLE_RATE, WIDTH, Clip, speech_start, to_samples
from .pauses import PAUSES, room

COMMAND_CAP = 15.0  # seconds after which Home Assistant ends a command that seems not to end
NEVER = 4.0  # seconds of silence that a server that ends turns itself is given at most

ANSWER = 1.2  # seconds that an answer may take, for the plan; no limit
DICTATIONS = (120, 180, 300)  # seconds, about
BETWEEN = (0.3, 1.5)  # seconds of room tone between two sentences

_MOST_TIMES = 8.0  # as many as their share, where few scenarios run and there is time for more

START = 8.0  # seconds that a server takes to its first answer, for the plan
REST = 0.3  # seconds between two utterances, for what a server does on the side


@dataclass(frozen=True, slots=True)
class Stream:
    """One utterance as it is sent."""

    clip: Clip  # whose words they are; without text and phrases where nobody speaks
    audio: bytes  # up to the last spoken sample; PCM, as in Clip
    silence: bytes  # from there to audio-stop
    pause: float | None = None  # seconds put in between two words

    @property
    def seconds(self) -> float:
        return (len(self.audio) + len(self.silence)) / WIDTH / SAMPLE_RATE


@dataclass(frozen=True, slots=True)
class Scenario:
    """One way of speaking."""

    name: str
    share: int  # utterances of it in a run of 15 minutes
    stream: Callable[[Clip], Stream]
    since: Literal["stop", "speech"] = "stop"  # from where the wait for the text counts
    paced: bool = True  # in real time; else all at once
    of: Literal["clips", "pauses", "dictations"] = "clips"  # what is played
    most: int | None = None  # utterances, even where there is time for all


@dataclass(frozen=True, slots=True)
class Setup:
    """What a server is started with, and what it is then asked."""

    name: str
    flags: Mapping[str, tuple[str, ...]]  # by server; those that are named run
    scenarios: tuple[Scenario, ...]


@dataclass(frozen=True, slots=True)
class Play:
    """One stream of one scenario."""

    scenario: Scenario
    stream: Stream

    @property
    def seconds(self) -> float:
        """What it takes, about."""
        return (self.stream.seconds if self.scenario.paced else 0.0) + ANSWER + REST


def _trailing(seconds: float) -> Callable[[Clip], Stream]:
    return lambda clip: Stream(clip, clip.audio, room(clip, seconds))


def _early(clip: Clip) -> Stream:
    """The first word at once: what was recorded before it is cut off."""
    audio = clip.audio[speech_start(to_samples(clip.audio)) * WIDTH :]
    return Stream(clip, audio, room(clip, 0.7))


def _late(clip: Clip) -> Stream:
    return Stream(clip, room(clip, 2.0) + clip.audio, room(clip, 0.7))


def _until_the_cap(clip: Clip) -> Stream:
    return Stream(clip, clip.audio, room(clip, max(0.7, COMMAND_CAP - clip.seconds)))


def _nobody(clip: Clip) -> Stream:
    nothing = replace(clip, text=None, phrases=())
    return Stream(nothing, b"", room(clip, COMMAND_CAP))


UNPACED = Scenario("all at once", 10, _trailing(0.0), paced=False)
USUAL = Scenario("0.7 s of silence (default)", 20, _trailing(0.7))

HOME = (
    UNPACED,
    USUAL,
    Scenario("0.25 s of silence (aggressive)", 4, _trailing(0.25)),
    Scenario("1.25 s of silence (relaxed)", 4, _trailing(1.25)),
    Scenario("0.1 s of silence (after pauses)", 4, _trailing(0.1)),
    Scenario("a pause inside", 8, _trailing(0.7), of="pauses"),
    Scenario("speech from the first sample", 4, _early),
    Scenario("speech after 2 s", 4, _late),
    Scenario("silence until the cap of 15 s", 2, _until_the_cap, since="speech", most=40),
    Scenario("nobody for 15 s", 1, _nobody, most=20),
)
TURN = Scenario("orders", 12, _trailing(NEVER), since="speech")
TURN_PAUSES = Scenario("a pause inside", 16, _trailing(NEVER), since="speech", of="pauses")

DICTATION = Scenario("dictation of 2 to 5 minutes", 1, _trailing(0.7), of="dictations")

SETUPS = {
    "home": Setup("Home Assistant ends the turn", {"this server": (), "reference": ()}, HOME),
    "seconds": Setup(
        "the server ends the turn, --vad-endpointing 0.7",
        {
            "this server": ("--vad-endpointing=0.7",),
            "reference": ("--vad-endpointing=0.7",),
        },
        (TURN, TURN_PAUSES),
    ),
    "auto": Setup(
        "the server ends the turn, --vad-endpointing auto",
        {"this server": ("--vad-endpointing=auto",)},
        (UNPACED, TURN, TURN_PAUSES),
    ),
    "dictation": Setup("dictation", {"this server": (), "reference": ()}, (UNPACED, DICTATION)),
}
BRIEF = ("home", "seconds", "auto")
"""The setups that a run of 15 minutes has time for."""


def dictations(clips: Sequence[Clip]) -> list[Clip]:
    """Clips whose every word is known, said one after the other as in a dictation.

    Between them is room tone of a breath, or as long as one thinks. None, where there
    is no such clip.
    """
    known = [clip for clip in clips if clip.text is not None]
    if not known:
        return []
    return [dictation(known, seconds, seed=seconds) for seconds in DICTATIONS]


def dictation(known: Sequence[Clip], seconds: int, *, seed: int) -> Clip:
    """One of them, of about so many seconds; what is said in it, and when, is by the seed.

    Nothing is said twice in a row, as nobody does that, unless there is nothing else to say.
    """
    chance = random.Random(seed)
    said = [chance.choice(known)]
    audio = said[0].audio
    while len(audio) < seconds * SAMPLE_RATE * WIDTH:
        audio += room(said[-1], chance.uniform(*BETWEEN))
        said.append(
            chance.choice([clip for clip in known if clip.text != said[-1].text] or known)
        )
        audio += said[-1].audio
    text = " ".join(clip.text or "" for clip in said)
    return Clip(f"dictation of {seconds} s", audio, said[-1].tail, text)


def plan(
    setups: Iterable[Setup],
    servers: Sequence[str],
    clips: Sequence[Clip],
    paused: Sequence[tuple[float, Clip]],
    minutes: float | None,
) -> dict[str, list[Play]]:
    """What is played in each setup, the same to each server.

    Args:
        paused: the pause set.
        minutes: for all servers together; None = everything.

    Returns:
        Plays by the name of the setup, mixed, the same each time.
    """
    sets = {
        (setup.name, scenario.name): _plays(scenario, clips, paused, minutes)
        for setup in setups
        for scenario in setup.scenarios
    }
    many = _MOST_TIMES
    while True:
        chosen = {
            setup.name: [
                play
                for scenario in setup.scenarios
                for play in sets[setup.name, scenario.name][: _wanted(scenario, minutes, many)]
            ]
            for setup in setups
        }
        if minutes is None or many < 0.05 or seconds(setups, servers, chosen) <= 60 * minutes:
            break
        many *= 0.95
    for plays in chosen.values():
        random.Random(0).shuffle(plays)
        # What says how fast the box is comes first: it is not to fall to a lack of time.
        plays.sort(key=lambda play: play.scenario.paced)
    return chosen


def seconds(
    setups: Iterable[Setup], servers: Sequence[str], chosen: Mapping[str, Sequence[Play]]
) -> float:
    """What all that is chosen takes, about."""
    return sum(
        block_seconds(chosen[setup.name]) * sum(server in setup.flags for server in servers)
        for setup in setups
    )


def block_seconds(plays: Iterable[Play]) -> float:
    """What one server takes for its plays, about, its start included."""
    return START + sum(play.seconds for play in plays)


def _plays(
    scenario: Scenario,
    clips: Sequence[Clip],
    paused: Sequence[tuple[float, Clip]],
    minutes: float | None,
) -> list[Play]:
    """What may be played of a scenario, in the order in which it is chosen."""
    wanted = _wanted(scenario, minutes, _MOST_TIMES)
    if scenario.of == "dictations":
        return [Play(scenario, scenario.stream(clip)) for clip in dictations(clips)[:wanted]]
    if scenario.of == "clips":
        mixed = random.Random(0).sample(list(clips), len(clips))
        return [Play(scenario, scenario.stream(clip)) for clip in mixed[:wanted]]
    # Pauses of each length in turn, each time in another clip, so that a few of them are of
    # all lengths and of many clips.
    columns = [
        random.Random(number).sample(found, len(found))
        for number, length in enumerate(PAUSES)
        if (found := [each for each in paused if each[0] == length])
    ]
    mixed_pauses = [each for row in zip_longest(*columns) for each in row if each is not None]
    return [
        Play(scenario, replace(scenario.stream(clip), pause=length))
        for length, clip in mixed_pauses[:wanted]
    ]


def _wanted(scenario: Scenario, minutes: float | None, many: float) -> int | None:
    """How many utterances of a scenario; None = all.

    Args:
        many: times its share.
    """
    if minutes is None:
        return scenario.most
    count = max(1, round(scenario.share * minutes / 15 * many))
    return count if scenario.most is None else min(count, scenario.most)
