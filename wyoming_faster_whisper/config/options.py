"""Options defined as fields of a dataclass: flags, variables, help texts and checks.

The field is the only definition of an option. The flag, the environment variable, the
variable that names a file with the value, the help text and the row in the documentation are
derived from it. The fields are in settings.py.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, NoReturn

from .. import __version__
from ..errors import SettingError

ENV_PREFIX = "WYO_WHISPER_"
FILE_SUFFIX = "_FILE"

_TRUE = frozenset({"1", "true", "yes", "y", "on"})
_FALSE = frozenset({"0", "false", "no", "n", "off", ""})
_UNSET = frozenset({"", "null"})


class Arity(Enum):
    """How many values an option takes."""

    ONE = "one"
    FLAG = "flag"  # no value: the flag itself means true
    OPTIONAL = "optional"  # a value, or a constant if the flag has none
    MANY = "many"  # any number of values after the flag; none = all
    REPEATED = "repeated"  # one value per flag; the flag can be repeated
    LIST = "list"  # one value, split at commas


@dataclass(frozen=True, slots=True)
class Option:
    """Definition of an option."""

    name: str  # of the field; the flag has dashes for underscores
    default: Any
    help: str
    type: type = str
    arity: Arity = Arity.ONE
    constant: str | None = None  # value of an OPTIONAL flag that was given without one
    choices: tuple[str, ...] = ()
    words: tuple[str, ...] = ()  # values accepted in place of a number, like auto
    least: float | None = None  # inclusive
    most: float | None = None  # inclusive
    above: float | None = None  # exclusive lower bound
    metavar: str | None = None
    separator: str = os.pathsep  # between REPEATED values in a variable
    secret: bool = False  # never displayed or logged

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
        """Convert a text to a value and check it.

        Args:
            text: one value, as given.
            source: the flag or variable that it came from, for the error text.

        Raises:
            SettingError: the option does not accept the value.
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
        # "not >=" instead of "<", so that NaN fails too.
        if self.least is not None and not value >= self.least:
            raise SettingError(f"{source} is {text}; it must be at least {self.least:g}")
        if self.most is not None and not value <= self.most:
            raise SettingError(f"{source} is {text}; it must be at most {self.most:g}")
        if self.above is not None and not value > self.above:
            raise SettingError(f"{source} is {text}; it must be more than {self.above:g}")
        return value


def option(default: Any, help: str, **more: Any) -> Any:
    """Make a field of Settings. The default determines the type unless `type` is given.

    Args:
        default: value of the field if the option is not given.
        help: help text, also for the documentation.
        more: other fields of Option.
    """
    if isinstance(default, bool):
        more.setdefault("arity", Arity.FLAG)
    elif isinstance(default, int | float):
        more.setdefault("type", type(default))
    return dataclasses.field(default=default, metadata={"help": help, **more})


def options(settings: type) -> list[Option]:
    """Return the options that a dataclass defines, in the order of its fields."""
    return [
        Option(name=field.name, default=field.default, **field.metadata)
        for field in dataclasses.fields(settings)
    ]


def expand(argv: Sequence[str], flags: Collection[str]) -> list[str]:
    """Replace each abbreviation of exactly one of the given flags by that flag."""
    expanded = list(argv)
    # Arguments after "--" are not flags.
    for at, argument in enumerate(argv[: argv.index("--")] if "--" in argv else argv):
        given, equals, value = argument.partition("=")
        if given.startswith("--") and given not in flags:
            matches = [flag for flag in flags if flag.startswith(given)]
            if len(matches) == 1:
                expanded[at] = matches[0] + equals + value
    return expanded


def read_options(
    known: Sequence[Option], argv: Sequence[str], environ: Mapping[str, str]
) -> dict[str, Any]:
    """Return the values that were given, by option name. Each value is checked on its own.

    Raises:
        SettingError: an option has a value that it does not accept.
        SystemExit: by argparse, for --help and --version.
    """
    given = vars(_parser(known).parse_args(argv))
    values: dict[str, Any] = {}
    for opt in known:
        value = _from_command_line(opt, given)
        if value is None:
            value = _from_environment(opt, environ)
        if value is not None:
            values[opt.name] = value
    return values


def _parser(known: Sequence[Option]) -> argparse.ArgumentParser:
    parser = _Parser(
        prog="wyoming-faster-whisper",
        description="Speech-to-text for the home: Whisper over the Wyoming protocol.",
        epilog="Every option can also be set in the environment: --some-option by "
        f"{ENV_PREFIX}SOME_OPTION, or by {ENV_PREFIX}SOME_OPTION{FILE_SUFFIX}, which names a "
        "file that contains the value. The command line takes precedence over the file, and the "
        "file over the variable.",
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
    """A parser that raises SettingError instead of exiting."""

    def error(self, message: str) -> NoReturn:
        raise SettingError(f"{message}; --help lists all options")


def _help(opt: Option) -> str:
    text = opt.help
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
    if (path := environ.get(source + FILE_SUFFIX, "")) not in _UNSET:
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
            return None  # as if the flag were not given
        raise SettingError(f"{source} is {text!r}; it must be true or false")
    if opt.arity is Arity.OPTIONAL and text == "":
        return opt.constant
    if text in _UNSET:
        return None
    if opt.arity is Arity.LIST:
        return tuple(opt.parse(item.strip(), source) for item in text.split(",") if item.strip())
    return opt.parse(text, source)


def unknown_variables(known: Sequence[Option], environ: Mapping[str, str]) -> list[str]:
    """Return the environment variables with our prefix that belong to no option."""
    names = {opt.variable for opt in known}
    names |= {name + FILE_SUFFIX for name in names}
    return sorted(n for n in environ if n.startswith(ENV_PREFIX) and n not in names)


def _or(choices: Sequence[str]) -> str:
    return " or ".join(filter(None, (", ".join(choices[:-1]), choices[-1])))


def page(known: Sequence[Option]) -> str:
    """Format the options as a Markdown page."""
    lines = [
        "# Options",
        "",
        "Generated from `wyoming_faster_whisper/config/settings.py` by `script/options`.",
        "",
        f"Every option can also be set in the environment: `--some-option` by "
        f"`{ENV_PREFIX}SOME_OPTION`, or by `{ENV_PREFIX}SOME_OPTION_FILE`, which names a file "
        "that contains the value. The command line takes precedence over the file, and the file "
        'over the variable. An empty value and `null` mean "not given".',
        "",
        "| option | default | what it does |",
        "|---|---|---|",
    ]
    for opt in known:
        value = "" if opt.arity is Arity.FLAG else f" {opt.metavar or opt.type.__name__.upper()}"
        if opt.arity is Arity.OPTIONAL:
            value = f" [{value.strip()}]"
        if opt.arity is Arity.MANY:
            value = f" [{value.strip()} ...]"
        default = f"`{opt.shown_default}`" if opt.shows_default else ""
        text = opt.help
        if opt.choices and opt.arity is Arity.ONE:
            text += f": {_or(opt.choices)}"
        lines.append(f"| `{opt.flag}{value}` | {default} | {text} |")
    return "\n".join([*lines, ""])
