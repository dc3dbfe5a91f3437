"""Every option, once.

A field of Settings is an option: its flag, its environment variable
(WYO_WHISPER_<NAME>, or WYO_WHISPER_<NAME>_FILE for a file that holds the
value), its help, its check and its row in the documentation follow from it.
The command line wins over the file, the file over the variable. "" and "null"
(what Home Assistant's add-on passes for an option left blank) mean unset.

Names, arities and defaults are those of the reference server, so that its
command lines and containers go on working; docs/migrating.md lists the rest.
"""

from __future__ import annotations

import argparse
import dataclasses
import logging
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, NoReturn

from . import __version__
from .errors import SettingError
from .languages import MULTILINGUAL_V3, means_detect, normalise
from .models import SttLibrary
from .text import STYLES

ENV_PREFIX = "WYO_WHISPER_"
FILE_SUFFIX = "_FILE"
DEFAULT_URI = "tcp://0.0.0.0:10300"

# CTranslate2's names (docs/quantization.md there), so that a misspelt one is refused before
# it is imported, which takes longer than to begin to listen.
COMPUTE_TYPES = (
    *("default", "auto", "int8", "int8_float32", "int8_float16", "int8_bfloat16"),
    *("int16", "float16", "bfloat16", "float32"),
)

_TRUE = frozenset({"1", "true", "yes", "y", "on"})
_FALSE = frozenset({"0", "false", "no", "n", "off", ""})
_UNSET = frozenset({"", "null"})


class Arity(Enum):
    """How many values an option takes."""

    ONE = "one"
    FLAG = "flag"  # no value: being there is the value
    OPTIONAL = "optional"  # a value, or a constant where there is none
    MANY = "many"  # any number of values after one flag; none = all
    REPEATED = "repeated"  # one value, the flag given again for more
    LIST = "list"  # one value with commas


@dataclass(frozen=True, slots=True)
class Option:
    """What an option is, apart from its value."""

    name: str  # the field's; the flag has dashes
    default: Any
    help: str
    type: type = str
    arity: Arity = Arity.ONE
    constant: str | None = None  # OPTIONAL's value where none is given
    choices: tuple[str, ...] = ()
    words: tuple[str, ...] = ()  # values that are no number
    least: float | None = None
    most: float | None = None
    above: float | None = None  # must be greater than this
    metavar: str | None = None
    separator: str = os.pathsep  # of REPEATED values in a variable
    secret: bool = False  # never shown
    later: bool = False  # accepted; its feature has not come yet

    @property
    def flag(self) -> str:
        return "--" + self.name.replace("_", "-")

    @property
    def variable(self) -> str:
        return ENV_PREFIX + self.name.upper()

    @property
    def shows_default(self) -> bool:
        return not (self.default is None or self.default is False or self.default == ())

    @property
    def shown_default(self) -> str:
        several = isinstance(self.default, tuple)
        return ",".join(self.default) if several else str(self.default)

    def parse(self, text: str, source: str) -> Any:
        """Turn one text into one value, checked.

        Raises:
            SettingError: it is none; source says where it came from.
        """
        if text in self.words:
            return text
        try:
            value = self.type(text)
        except ValueError:
            kind = _or((*self.words, {int: "a whole number", float: "a number"}[self.type]))
            raise SettingError(f"{source} is {text!r}; it must be {kind}") from None
        if self.choices and value not in self.choices:
            raise SettingError(f"{source} is {text!r}; it must be {_or(self.choices)}")
        # Written so that NaN fails as well.
        if self.least is not None and not value >= self.least:
            raise SettingError(f"{source} is {text}; it must be at least {self.least:g}")
        if self.most is not None and not value <= self.most:
            raise SettingError(f"{source} is {text}; it must be at most {self.most:g}")
        if self.above is not None and not value > self.above:
            raise SettingError(f"{source} is {text}; it must be more than {self.above:g}")
        return value


def option(default: Any, help: str, **more: Any) -> Any:
    """A field of Settings. The default says the type, unless type= does."""
    if isinstance(default, bool):
        more.setdefault("arity", Arity.FLAG)
    elif isinstance(default, int | float):
        more.setdefault("type", type(default))
    return dataclasses.field(default=default, metadata={"help": help, **more})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All that an operator can choose."""

    uri: str = option(DEFAULT_URI, "where to listen: tcp://HOST:PORT, unix://PATH or stdio://")
    zeroconf: str | None = option(
        None,
        "announce the server over mDNS, so that Home Assistant finds it",
        arity=Arity.OPTIONAL,
        constant="faster-whisper",
        metavar="NAME",
    )
    advertise_host: str | None = option(
        None,
        "address or host name to announce instead of this machine's own, "
        "for a container behind a bridge",
        metavar="HOST",
    )
    advertise_port: int | None = option(
        None,
        "port to announce instead of the one we listen on",
        type=int,
        least=1,
        most=65535,
        metavar="PORT",
    )

    model: tuple[str, ...] = option(
        ("auto",),
        "model: a name (base-int8, small.en, ...), a hub id (owner/name) or a directory; "
        "auto chooses by hardware and by what is at hand; given again for more models, of "
        "which the first is the default (a variable separates them by commas)",
        arity=Arity.REPEATED,
        separator=",",
        metavar="MODEL",
    )
    model_budget: int = option(
        300, "MB that auto may download", least=0, most=100_000, metavar="MB"
    )
    data_dir: tuple[str, ...] = option(
        (),
        "folder with models, in the layout of the hub's cache; can be given again "
        "(default: a folder of the user's)",
        arity=Arity.REPEATED,
        metavar="DIR",
    )
    download_dir: str | None = option(
        None, "folder to download models into (default: the first --data-dir)", metavar="DIR"
    )
    local_files_only: bool = option(False, "never download a model")
    device: str = option("cpu", "cpu, cuda, cuda:N or auto")
    compute_type: str = option(
        "default",
        "CTranslate2's compute type; default is int8 on a CPU, float16 on a GPU",
        choices=COMPUTE_TYPES,
    )
    cpu_threads: int = option(
        4,
        "threads that decode; 0 or more than there are cores: all cores",
        least=0,
        most=1024,
    )
    max_batch: int | str = option(
        "auto",
        "utterances that are decoded together while others wait; auto: as many as is faster, by "
        "a measurement at the start",
        type=int,
        words=("auto",),
        least=1,
        most=256,
        metavar="NUMBER|auto",
    )

    language: str = option("auto", "default language, as Whisper's code or a tag like en-US")
    languages: tuple[str, ...] = option(
        (),
        "languages that may be detected where none is asked for, like en,fr (default: all)",
        arity=Arity.LIST,
        metavar="CODES",
    )
    whisper_task: str = option(
        "transcribe",
        "transcribe what is said, or translate it to English",
        choices=("transcribe", "translate"),
    )
    beam_size: int = option(
        0, "beam of the decoder; 0 or less looks for more only where it is not sure", most=100
    )
    initial_prompt: str | None = option(
        None, "text that shows the model the style and the words to expect", metavar="TEXT"
    )

    audio_context: str = option(
        "auto",
        "how much the model hears of the silence behind the speech: auto as much as it "
        "needs, full the 30 s that it was trained on",
        choices=("auto", "full"),
    )
    text_style: str = option(
        "plain",
        "command leaves out the final period and commas, which keep intents from matching",
        choices=STYLES,
    )

    vad_threshold: float = option(
        0.5, "probability from which a sound is speech", least=0.0, most=1.0
    )
    vad_min_speech_ms: int = option(
        64, "speech in all below which nobody spoke, in ms", least=0, most=60_000
    )
    vad_min_silence_ms: int = option(
        2000, "silence in the middle that is not decoded, in ms", least=0, most=600_000
    )
    vad_clip_threshold: float = option(
        0.5,
        "probability of speech up to which silence is cut off at both ends",
        least=0.0,
        most=1.0,
    )
    vad_clip_pad_ms: int = option(400, "sound kept around speech, in ms", least=0, most=5000)
    guess_after: float = option(
        0.19,
        "silence after which what was said so far is decoded ahead, to be the answer if "
        "nothing more comes; 0 = never",
        least=0,
        most=10,
        metavar="SECONDS",
    )
    vad_filter: bool = option(False, "always on here: silence is never decoded")
    vad_clip: tuple[str, ...] | None = option(
        None,
        "always on here: silence is cut off at both ends",
        arity=Arity.MANY,
        choices=tuple(library for library in SttLibrary if library != SttLibrary.AUTO),
        metavar="STT_LIBRARY",
    )
    vad_endpointing: float | None = option(
        None,
        "answer after this many seconds of silence, without audio-stop",
        type=float,
        above=0,
        most=600,
        metavar="SECONDS",
        later=True,
    )

    stt_library: str = option(
        "auto",
        "accepted for the reference server's sake; faster-whisper serves",
        choices=tuple(SttLibrary),
    )
    sherpa_streaming: bool = option(
        False, "accepted for the reference server's sake; faster-whisper serves"
    )

    hass_token: str | None = option(
        None,
        "Home Assistant's long-lived access token, to learn the names of devices",
        secret=True,
        metavar="TOKEN",
        later=True,
    )
    hass_api: str = option(
        "http://homeassistant.local:8123/api",
        "URL of Home Assistant's API",
        metavar="URL",
        later=True,
    )
    hass_refresh_seconds: float = option(
        0.0,
        "least seconds between two fetches of the names",
        least=0,
        most=604_800,
        later=True,
    )
    hass_prompt_max_tokens: int = option(
        200, "tokens of the prompt for names", least=0, most=10_000, later=True
    )
    hass_prompt_timeout: float = option(
        1.0, "seconds that an utterance waits for names", least=0, most=600, later=True
    )

    max_connections: int = option(256, "clients connected at the same time", least=1, most=65535)
    max_waiting: int = option(64, "utterances that wait for the model", least=1, most=65535)
    max_audio_seconds: float = option(
        600.0, "longest utterance; what was heard until then is answered", above=0, most=14_400
    )

    debug: bool = option(False, "log more")
    log_format: str = option(
        logging.BASIC_FORMAT, "format of log lines, as Python's logging takes it"
    )


def options() -> list[Option]:
    """Every option, in the order of the documentation."""
    return [
        Option(name=field.name, default=field.default, **field.metadata)
        for field in dataclasses.fields(Settings)
    ]


@dataclass(frozen=True, slots=True)
class Given:
    """Settings, and what is to be said about the way they were given."""

    settings: Settings
    warnings: tuple[str, ...]


def read_settings(argv: Sequence[str], environ: Mapping[str, str]) -> Given:
    """Read the command line and the environment.

    Raises:
        SettingError: a value is none of those that the option takes.
        SystemExit: by argparse, for --help, --version and unknown flags.
    """
    known = options()
    given = vars(_parser(known).parse_args(argv))
    values: dict[str, Any] = {}
    for opt in known:
        value = _from_command_line(opt, given)
        if value is None:
            value = _from_environment(opt, environ)
        if value is not None:
            values[opt.name] = value
    warnings = [
        f"{name} is no option of this server; it is ignored"
        for name in _unknown_variables(known, environ)
    ]
    settings = _checked(Settings(**values))
    return Given(settings, (*warnings, *_remarks(known, values)))


def _parser(known: Sequence[Option]) -> argparse.ArgumentParser:
    parser = _Parser(
        prog="wyoming-faster-whisper",
        description="Speech-to-text for the home: Whisper over the Wyoming protocol.",
        epilog="Every option can come from the environment: --some-option from "
        f"{ENV_PREFIX}SOME_OPTION, or from the file that {ENV_PREFIX}SOME_OPTION{FILE_SUFFIX} "
        "names. The command line wins over the file, the file over the variable.",
    )
    for opt in known:
        shapes: dict[Arity, dict[str, Any]] = {
            Arity.ONE: {"metavar": opt.metavar or opt.type.__name__.upper()},
            Arity.FLAG: {"action": "store_const", "const": "true"},
            Arity.OPTIONAL: {"nargs": "?", "const": "", "metavar": opt.metavar},
            Arity.MANY: {"nargs": "*", "metavar": opt.metavar},
            Arity.REPEATED: {"action": "append", "metavar": opt.metavar or "NAME"},
            Arity.LIST: {"metavar": opt.metavar},
        }
        parser.add_argument(
            opt.flag,
            dest=opt.name,
            default=argparse.SUPPRESS,
            help=_help(opt),
            **shapes[opt.arity],
        )
    parser.add_argument("--version", action="version", version=__version__)
    return parser


class _Parser(argparse.ArgumentParser):
    """Says its errors the way all our errors are said."""

    def error(self, message: str) -> NoReturn:
        raise SettingError(f"{message}; --help lists what there is")


def _help(opt: Option) -> str:
    text = opt.help
    if opt.later:
        text += " (not served yet)"
    if opt.choices and opt.arity is Arity.ONE:
        text += f": {_or(opt.choices)}"
    if opt.shows_default:
        text += f" (default: {opt.shown_default})"
    return text.replace("%", "%%")


def _from_command_line(opt: Option, given: dict[str, Any]) -> Any:
    if opt.name not in given:
        return None
    value = given[opt.name]
    if isinstance(value, list):
        items = tuple(opt.parse(text, opt.flag) for text in value if text not in _UNSET)
        nothing_but_the_flag = opt.arity is Arity.MANY and not value
        return items if items or nothing_but_the_flag else None
    return _from_text(opt, value, opt.flag)


def _from_environment(opt: Option, environ: Mapping[str, str]) -> Any:
    source = opt.variable
    text = environ.get(source)
    if path := environ.get(source + FILE_SUFFIX):
        source += FILE_SUFFIX
        try:
            text = Path(path).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise SettingError(f"{source} names {path}, which cannot be read: {error}") from None
    if text is None:
        return None
    if opt.arity is Arity.REPEATED:
        items = [item for item in text.split(opt.separator) if item not in _UNSET]
        return tuple(opt.parse(item, source) for item in items) or None
    if opt.arity is Arity.MANY:
        if text.strip() == "null":
            return None
        items = [item for item in re.split(r"[,\s]+", text) if item not in _UNSET]
        return tuple(opt.parse(item, source) for item in items)
    return _from_text(opt, text.strip(), source)


def _from_text(opt: Option, text: str, source: str) -> Any:
    if opt.arity is Arity.FLAG:
        if text.lower() in _TRUE:
            return True
        if text.lower() in _FALSE or text == "null":
            return None  # like not giving the flag
        raise SettingError(f"{source} is {text!r}; it must be true or false")
    if opt.arity is Arity.OPTIONAL and text == "":
        return opt.constant
    if text in _UNSET:
        return None
    if opt.arity is Arity.LIST:
        return tuple(opt.parse(item.strip(), source) for item in text.split(",") if item.strip())
    return opt.parse(text, source)


def _unknown_variables(known: Sequence[Option], environ: Mapping[str, str]) -> list[str]:
    names = {opt.variable for opt in known}
    names |= {name + FILE_SUFFIX for name in names}
    return sorted(n for n in environ if n.startswith(ENV_PREFIX) and n not in names)


def _checked(settings: Settings) -> Settings:
    """What one option's own check cannot see."""
    if not re.fullmatch(r"cpu|auto|cuda(:\d+)?", settings.device):
        raise SettingError(
            f"--device is {settings.device!r}; it must be cpu, cuda, cuda:N or auto"
        )
    try:
        logging.Formatter(settings.log_format).format(logging.makeLogRecord({}))
    except (ValueError, TypeError, OverflowError) as error:
        raise SettingError(
            f"--log-format is {settings.log_format!r}, which logging cannot use: {error}"
        ) from None
    language = settings.language
    if not means_detect(language) and normalise(language, MULTILINGUAL_V3) is None:
        raise SettingError(
            f"--language is {language!r}; it must be auto or a language of Whisper's, like en"
        )
    codes = [normalise(tag, MULTILINGUAL_V3) for tag in settings.languages]
    if None in codes:
        unknown = settings.languages[codes.index(None)]
        raise SettingError(f"--languages has {unknown!r}; Whisper has no such language")
    return dataclasses.replace(settings, languages=tuple(code for code in codes if code))


def _remarks(known: Sequence[Option], values: Mapping[str, Any]) -> list[str]:
    """One sentence for each value that does not do what it says."""
    remarks = [
        f"{opt.flag} does nothing yet: this version has no such feature"
        for opt in known
        if opt.later and opt.name in values and values[opt.name] != opt.default
    ]
    library = values.get("stt_library", SttLibrary.AUTO)
    if library not in (SttLibrary.AUTO, SttLibrary.FASTER_WHISPER):
        remarks.append(f"--stt-library {library} is not served here; faster-whisper serves")
    if values.get("sherpa_streaming"):
        remarks.append("--sherpa-streaming is not served here; faster-whisper serves")
    if values.get("vad_filter"):
        remarks.append("--vad-filter is always on here; it need not be given")
    if "vad_clip" in values:
        remarks.append("--vad-clip is always on here; it need not be given")
    return remarks


def _or(choices: Sequence[str]) -> str:
    return " or ".join(filter(None, (", ".join(choices[:-1]), choices[-1])))


def default_data_dir(environ: Mapping[str, str]) -> Path:
    """Where models live when nobody says: a folder of the user's (XDG base directories)."""
    base = environ.get("XDG_DATA_HOME")
    return (Path(base) if base else Path("~/.local/share").expanduser()) / (
        "wyoming-faster-whisper"
    )


def options_page() -> str:
    """The page docs/options.md, as Markdown."""
    lines = [
        "# Options",
        "",
        "Made from `wyoming_faster_whisper/settings.py` by `script/options`.",
        "",
        f"Every option can also come from the environment: `--some-option` from "
        f"`{ENV_PREFIX}SOME_OPTION`, or from the file that `{ENV_PREFIX}SOME_OPTION_FILE` names. "
        "The command line wins over the file, the file over the variable. "
        'An empty value and `null` mean "not given".',
        "",
        "| option | default | what it does |",
        "|---|---|---|",
    ]
    for opt in options():
        value = "" if opt.arity is Arity.FLAG else f" {opt.metavar or opt.type.__name__.upper()}"
        if opt.arity is Arity.OPTIONAL:
            value = f" [{value.strip()}]"
        if opt.arity is Arity.MANY:
            value = f" [{value.strip()} ...]"
        default = f"`{opt.shown_default}`" if opt.shows_default else ""
        text = opt.help
        if opt.choices and opt.arity is Arity.ONE:
            text += f": {_or(opt.choices)}"
        if opt.later:
            text += " (not served yet: gives a warning)"
        lines.append(f"| `{opt.flag}{value}` | {default} | {text} |")
    return "\n".join([*lines, ""])
