"""Accuracy of this server and the reference server: errors, lost answers, hallucinations.

Both servers get the same model, clips and noise. They run one after the other.
Prints a table; progress goes to stderr.
"""

import argparse
import asyncio
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, TypeVar

from .speech import voices
from .speech.noise import degrade, noise_of, silence_set
from .support.arguments import SERVERS, add, headline, listed, parser, servers
from .support.bootstrap import paired
from .support.clips import (
    TEST_CLIPS,
    Clip,
    Samples,
    accepted,
    heard_words,
    load,
    word_error_rate,
)
from .support.playback import NoAnswer, play
from .support.plot import Panel, bars, check_plotting
from .support.report import align, progress, warn, write_json
from .support.scoring import language_errors
from .support.servers import PYTHONS, Options, Server

POOLED = ("clean", "20dB", "10dB", "5dB")  # conditions whose orders are also shown as one row
SPEECH = (*POOLED, "distant")
CONDITIONS = (*SPEECH, "silence", "words")

Item = TypeVar("Item")
Row = tuple[str, int, dict[str, float]]  # label, number of clips, value by server


@dataclass(frozen=True, slots=True)
class Trial:
    """One clip in one condition, played to every server."""

    part: str  # "speech", "silence", "words", "language" (synthetic) or "recorded language"
    condition: str  # one of SPEECH, or a manner of speaking for words
    clip: Clip
    language: str = "en"

    def pcm(self, trailing: float, noise: Samples) -> bytes:
        if self.part == "silence":
            return self.clip.audio
        pcm = self.clip.audio + self.clip.silence(trailing)
        condition = self.condition if self.condition in SPEECH else "clean"
        return degrade(self.clip, pcm, condition, noise)


@dataclass(frozen=True, slots=True)
class Block:
    """One measure, with a row per condition."""

    title: str
    rows: list[Row]
    share: bool = True  # shown as a percentage; False = a count


Texts = dict[str, list[str]]  # by server, a text per trial; "" = no answer


def main() -> None:
    arguments = parse_arguments()
    if arguments.plot:
        check_plotting()
    noise = noise_of(arguments.noise)
    trials = choose_trials(arguments, noise)
    if not trials:
        sys.exit("nothing to play")
    options = servers(arguments)
    texts = asyncio.run(run(options, trials, arguments.trailing, noise))
    blocks = summarise(trials, texts)

    title = headline(arguments, options)
    source = arguments.noise.name if arguments.noise else "generated"
    print(f"{title}; noise: {source}; {len(trials)} sounds")
    print(table(blocks, list(options)))
    if any(trial.part == "recorded language" for trial in trials):
        print(language_table(trials, texts))
    for line in hallucinations(trials, texts):
        print(line)
    if arguments.json:
        write_json(arguments.json, report(arguments, options, trials, texts, blocks))
    if arguments.plot:
        bars(title, [panel(block, list(options)) for block in blocks], arguments.plot)


def parse_arguments() -> argparse.Namespace:
    flags = parser("accuracy", __doc__)
    add(flags, *SERVERS, "--recordings", "--json", "--plot", "--noise")
    add(flags, "--limit", help="play a fixed random sample of N clips from each set")
    add(flags, "--trailing", default=0.7)
    flags.add_argument(
        "--conditions",
        type=listed((*CONDITIONS, "none")),
        default=CONDITIONS,
        metavar="A,B",
        help=f"conditions: {', '.join(CONDITIONS)}; default: all; none: --languages only",
    )
    flags.add_argument(
        "--languages",
        type=listed(tuple(voices.VOICES)),
        default=(),
        metavar="A,B",
        help=f"languages for word error rates with synthetic voices: {', '.join(voices.VOICES)}",
    )
    add(flags, "--languages-dir", action="store", default=None)
    arguments = flags.parse_args()
    if (arguments.languages or arguments.languages_dir) and arguments.model.endswith(".en"):
        flags.error(f"{arguments.model} supports English only")
    return arguments


def choose_trials(arguments: argparse.Namespace, noise: Samples) -> list[Trial]:
    """Return all trials, in the order of the table."""
    conditions, limit = arguments.conditions, arguments.limit
    synthetic = voices.installed()
    if not synthetic:
        warn("espeak-ng is not installed: synthetic sentences, words and languages are left out")
    trials: list[Trial] = []
    if spoken := [condition for condition in SPEECH if condition in conditions]:
        clips = load(arguments.recordings, limit)
        if TEST_CLIPS not in [folder.resolve() for folder in arguments.recordings]:
            # For the word error rate only: every model gets the phrases of the test clips right.
            clips += [replace(clip, phrases=()) for clip in load([TEST_CLIPS], limit)]
        if synthetic:
            clips += sample(voices.english(), limit)
        trials += [Trial("speech", condition, clip) for condition in spoken for clip in clips]
    if "silence" in conditions:
        trials += [Trial("silence", "silence", c) for c in sample(silence_set(noise), limit)]
    if "words" in conditions and synthetic:
        trials += [
            Trial("words", manner, clip)
            for manner in voices.MANNERS
            for clip in sample(voices.short_words(manner), limit)
        ]
    if synthetic:
        trials += [
            Trial("language", "clean", clip, language)
            for language in arguments.languages
            for clip in sample(voices.foreign(language), limit)
        ]
    if arguments.languages_dir:
        folders = sorted(path for path in arguments.languages_dir.iterdir() if path.is_dir())
        trials += [
            Trial("recorded language", "clean", clip, folder.name)
            for folder in folders
            for clip in load([folder], limit)
        ]
    return trials


def sample(items: Sequence[Item], limit: int | None) -> list[Item]:
    """Return at most `limit` items: a random sample, the same in each run, in the given order."""
    if limit is None or limit >= len(items):
        return list(items)
    chosen = sorted(random.Random(0).sample(range(len(items)), limit))
    return [items[number] for number in chosen]


async def run(
    options: Mapping[str, Options], trials: Sequence[Trial], trailing: float, noise: Samples
) -> Texts:
    pythons = {name: PYTHONS[name]() for name in options}
    texts: Texts = {}
    for name in options:
        async with Server(pythons[name], options[name]) as server:
            texts[name] = await run_server(server, name, trials, trailing, noise)
    return texts


async def run_server(
    server: Server, name: str, trials: Sequence[Trial], trailing: float, noise: Samples
) -> list[str]:
    texts = []
    began = time.perf_counter()
    for number, each in enumerate(trials, start=1):
        left = (time.perf_counter() - began) / max(1, number - 1) * (len(trials) - number + 1)
        progress(f"{name}: {number}/{len(trials)}, {each.condition}, {left / 60:.0f} min left")
        pcm = each.pcm(trailing, noise)
        try:
            answer = await play(server.port, pcm, language=each.language)
            texts.append(answer.text)
        except NoAnswer as reason:
            _ = server.pid  # raises ServerDied if the server has died, which ends the run
            warn(f"{name}: {each.clip.name}, {each.condition}: {reason}")
            texts.append("")
    progress("")
    return texts


def summarise(trials: Sequence[Trial], texts: Texts) -> list[Block]:
    """Return the measures for which there are trials."""
    heard = [
        (trial, {name: texts[name][number] for name in texts})
        for number, trial in enumerate(trials)
    ]
    speech = _groups(heard, lambda trial: trial.condition if trial.part == "speech" else None)
    orders = {
        condition: [(trial, said) for trial, said in group if trial.clip.phrases]
        for condition, group in speech.items()
    }
    if pooled := [each for name, group in orders.items() if name in POOLED for each in group]:
        orders[f"pooled, without {SPEECH[-1]}"] = pooled
    written = {
        condition: [(trial, said) for trial, said in group if trial.clip.text is not None]
        for condition, group in speech.items()
    }
    languages = _groups(heard, lambda trial: trial.language if trial.part == "language" else None)
    words = _groups(
        heard, lambda trial: f"words, {trial.condition}" if trial.part == "words" else None
    )
    stops = {
        label.replace("words", '"stop"'): [each for each in group if each[0].clip.text == "stop"]
        for label, group in words.items()
    }
    silence = _groups(heard, lambda trial: "all sounds" if trial.part == "silence" else None)
    blocks = [
        Block("orders accepted", _rows(orders, _mean(accepted))),
        Block("word error rate", _rows(written, _error_rate)),
        Block("word error rate, other languages, synthetic", _rows(languages, _error_rate)),
        Block("short words heard", _rows(words | stops, _mean(heard_words))),
        Block(
            "hallucinated texts in audio without speech",
            _rows(silence, _hallucinated),
            share=False,
        ),
    ]
    if len(texts) == 2:
        lost = _rows(speech | words, _lost)
        blocks.insert(3, Block("empty answer where the other server has a text", lost))
    return [block for block in blocks if block.rows]


Heard = tuple[Trial, dict[str, str]]  # the trial and the text by server
Measure = Callable[[Sequence[Heard], str], float]  # of one server, by name


def _groups(
    heard: Iterable[Heard], name: Callable[[Trial], str | None]
) -> dict[str, list[Heard]]:
    groups: dict[str, list[Heard]] = {}
    for trial, said in heard:
        if (key := name(trial)) is not None:
            groups.setdefault(key, []).append((trial, said))
    return groups


def _rows(groups: Mapping[str, Sequence[Heard]], measure: Measure) -> list[Row]:
    return [
        (label, len(group), {server: measure(group, server) for server in group[0][1]})
        for label, group in groups.items()
        if group
    ]


def _mean(right: Callable[[Clip, str], bool]) -> Measure:
    return lambda group, server: statistics.fmean(
        right(trial.clip, said[server]) for trial, said in group
    )


def _error_rate(group: Sequence[Heard], server: str) -> float:
    truths = [trial.clip.text or "" for trial, _ in group]
    return word_error_rate(
        truths, [said[server] for _, said in group], language=group[0][0].language
    )


def _lost(group: Sequence[Heard], server: str) -> float:
    return statistics.fmean(
        not said[server] and any(said[other] for other in said) for _, said in group
    )


def _hallucinated(group: Sequence[Heard], server: str) -> float:
    return sum(bool(said[server]) for _, said in group)


def table(blocks: Sequence[Block], servers: Sequence[str]) -> str:
    """Format a row per condition and a column per server; of two servers, also the difference."""
    rows = [["", "clips", *servers, *(["difference"] if len(servers) == 2 else [])]]
    for block in blocks:
        rows.append([block.title])
        for label, clips, values in block.rows:
            scaled = [100 * values[name] if block.share else values[name] for name in servers]
            cells = [f"{value:.1f} %" if block.share else f"{value:.0f}" for value in scaled]
            if len(scaled) == 2:
                form = "{:+.1f}" if block.share else "{:+.0f}"
                cells.append(form.format(scaled[0] - scaled[1]))
            rows.append([f"  {label}", str(clips), *cells])
    return align(rows)


def language_table(trials: Sequence[Trial], texts: Texts) -> str:
    """Format the error rates of recorded languages, of each and of all together.

    Of two servers, also the difference with its 95% interval, by bootstrap over the recordings.
    """
    names = list(texts)
    title = "recordings in other languages"
    rows = [[title, "clips", *names, *(["difference, 95% interval"] if len(names) == 2 else [])]]
    chosen = [at for at, trial in enumerate(trials) if trial.part == "recorded language"]
    languages = list(dict.fromkeys(trials[at].language for at in chosen))
    for language in (*languages, "all"):
        some = [at for at in chosen if language in (trials[at].language, "all")]
        errors = {
            name: [
                language_errors(trials[at].clip.text or "", texts[name][at], trials[at].language)
                for at in some
            ]
            for name in names
        }
        words = [each.words for each in errors[names[0]]]
        wrong = {name: [each.wrong for each in found] for name, found in errors.items()}
        cells = [f"{100 * sum(wrong[name]) / max(1, sum(words)):.1f} %" for name in names]
        if len(names) == 2:
            labels = [trials[at].language for at in some]
            cells.append(str(paired(wrong[names[0]], wrong[names[1]], words, labels)))
        rows.append([language, str(len(some)), *cells])
    return align(rows)


def panel(block: Block, servers: Sequence[str]) -> Panel:
    factor = 100 if block.share else 1
    return Panel(
        title=block.title,
        unit="%" if block.share else "sounds",
        labels=[label for label, _, _ in block.rows],
        series={name: [factor * row[2][name] for row in block.rows] for name in servers},
    )


def hallucinations(trials: Sequence[Trial], texts: Texts) -> list[str]:
    """Return a line for each text that a server produced from a clip without speech."""
    return [
        f'{name} transcribed "{text}" in {trial.clip.name}'
        for name in texts
        for trial, text in zip(trials, texts[name], strict=True)
        if trial.part == "silence" and text
    ]


def report(
    arguments: argparse.Namespace,
    options: Mapping[str, Options],
    trials: Sequence[Trial],
    texts: Texts,
    blocks: Sequence[Block],
) -> dict[str, Any]:
    return {
        "model": arguments.model,
        "options": {
            name: asdict(each) | {"model": arguments.model} for name, each in options.items()
        },
        "trailing": arguments.trailing,
        "noise": str(arguments.noise or "generated"),
        "figures": {
            block.title: {
                label: {"clips": clips, **values} for label, clips, values in block.rows
            }
            for block in blocks
        },
        "trials": [
            {
                "part": trial.part,
                "condition": trial.condition,
                "language": trial.language,
                "clip": trial.clip.name,
                "seconds": trial.clip.seconds,
                "text": trial.clip.text,
                "phrases": trial.clip.phrases,
                "heard": {name: texts[name][number] for name in texts},
            }
            for number, trial in enumerate(trials)
        ],
    }


if __name__ == "__main__":
    main()
