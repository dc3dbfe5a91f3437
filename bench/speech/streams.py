"""Streams that bench.latency plays: clips as Home Assistant's satellites send them.

A Scenario defines how a clip is sent, a Setup the flags of a server and its scenarios. plan()
selects the clips that fit into the time.
"""

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Literal

from ..support.clips import SAMPLE_RATE, WIDTH, Clip, speech_start, to_samples
from .pauses import PAUSES, room

COMMAND_CAP = 15.0  # seconds after which Home Assistant ends any command
NEVER = 4.0  # seconds of silence in which a server must end the turn

ANSWER = 1.2  # seconds per answer assumed by the plan; not a limit
DICTATIONS = (120, 180, 300)  # approximate seconds
BETWEEN = (0.3, 1.5)  # range of seconds of room tone between two sentences

_MOST_TIMES = 8.0  # maximum multiple of its share that a scenario gets when there is time

START = 8.0  # seconds from start to first answer assumed by the plan
REST = 0.3  # seconds between two utterances, for a server's background work


@dataclass(frozen=True, slots=True)
class Stream:
    """One utterance to send."""

    clip: Clip  # its clip; text and phrases are None and () without speech
    audio: bytes  # PCM up to the last spoken sample
    silence: bytes  # PCM from there to audio-stop
    pause: float | None = None  # seconds inserted between two words

    @property
    def seconds(self) -> float:
        return (len(self.audio) + len(self.silence)) / WIDTH / SAMPLE_RATE


@dataclass(frozen=True, slots=True)
class Scenario:
    """One way to send an utterance."""

    name: str
    share: int  # utterances in a run of 15 minutes
    stream: Callable[[Clip], Stream]
    since: Literal["stop", "speech"] = "stop"  # start of the latency: audio-stop or end of speech
    paced: bool = True  # in real time; else all at once
    of: Literal["clips", "pauses", "dictations"] = "clips"  # the clips it uses
    most: int | None = None  # maximum utterances, even if there is time for more


@dataclass(frozen=True, slots=True)
class Setup:
    """The flags of the servers, and the scenarios to play to them."""

    name: str
    flags: Mapping[str, tuple[str, ...]]  # by server; servers that are missing do not run
    scenarios: tuple[Scenario, ...]


@dataclass(frozen=True, slots=True)
class Play:
    """One stream of a scenario."""

    scenario: Scenario
    stream: Stream

    @property
    def seconds(self) -> float:
        """Approximate duration, the answer included."""
        return (self.stream.seconds if self.scenario.paced else 0.0) + ANSWER + REST


def _trailing(seconds: float) -> Callable[[Clip], Stream]:
    return lambda clip: Stream(clip, clip.audio, room(clip, seconds))


def _early(clip: Clip) -> Stream:
    """Return a stream that begins with the first word; the audio before it is cut off."""
    audio = clip.audio[speech_start(to_samples(clip.audio)) * WIDTH :]
    return Stream(clip, audio, room(clip, 0.7))


def _late(clip: Clip) -> Stream:
    return Stream(clip, room(clip, 2.0) + clip.audio, room(clip, 0.7))


def _until_the_cap(clip: Clip) -> Stream:
    return Stream(clip, clip.audio, room(clip, max(0.7, COMMAND_CAP - clip.seconds)))


def _no_speech(clip: Clip) -> Stream:
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
    Scenario("no speech for 15 s", 1, _no_speech, most=20),
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
"""Names of the setups that fit into a run of 15 minutes."""


def dictations(clips: Sequence[Clip]) -> list[Clip]:
    """Return dictations made of clips with full transcripts; empty if there are none.

    Between two clips is room tone as long as a breath or a pause for thought.
    """
    known = [clip for clip in clips if clip.text is not None]
    if not known:
        return []
    return [dictation(known, seconds, seed=seconds) for seconds in DICTATIONS]


def dictation(known: Sequence[Clip], seconds: int, *, seed: int) -> Clip:
    """Return one dictation of about `seconds` seconds; the seed selects its sentences and pauses.

    No sentence follows itself, as that is unnatural, unless there is only one.
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
    """Choose the streams to play in each setup, the same for each server.

    Args:
        paused: the pause set: seconds of pause, and the clip with it.
        minutes: time for all servers together; None = play everything.

    Returns:
        Plays by name of the setup, shuffled, the same in each run.
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
        # The unpaced ones measure the speed of the machine. They come first, so that a lack of
        # time does not drop them.
        plays.sort(key=lambda play: play.scenario.paced)
    return chosen


def seconds(
    setups: Iterable[Setup], servers: Sequence[str], chosen: Mapping[str, Sequence[Play]]
) -> float:
    """Return the approximate duration of all chosen plays."""
    return sum(
        block_seconds(chosen[setup.name]) * sum(server in setup.flags for server in servers)
        for setup in setups
    )


def block_seconds(plays: Iterable[Play]) -> float:
    """Return the approximate time that one server takes for its plays, its start included."""
    return START + sum(play.seconds for play in plays)


def _plays(
    scenario: Scenario,
    clips: Sequence[Clip],
    paused: Sequence[tuple[float, Clip]],
    minutes: float | None,
) -> list[Play]:
    """Return the possible plays of a scenario, in order of preference."""
    wanted = _wanted(scenario, minutes, _MOST_TIMES)
    if scenario.of == "dictations":
        return [Play(scenario, scenario.stream(clip)) for clip in dictations(clips)[:wanted]]
    if scenario.of == "clips":
        mixed = random.Random(0).sample(list(clips), len(clips))
        return [Play(scenario, scenario.stream(clip)) for clip in mixed[:wanted]]
    # Take the lengths in turn, each time with another clip, so that even a few plays have all
    # lengths and many clips.
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
    """Return the number of utterances of a scenario; None = all.

    Args:
        many: factor on its share.
    """
    if minutes is None:
        return scenario.most
    count = max(1, round(scenario.share * minutes / 15 * many))
    return count if scenario.most is None else min(count, scenario.most)
