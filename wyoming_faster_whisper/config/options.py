"""Options defined as fields of a dataclass: flags, variables, help, groups and checks.

The field is the only definition of an option. Its flag, its environment variable, the variable
that names a file with the value, its check, and its place in the help and the documentation are
derived from it. settings.py has the server's fields, client/options.py those of the client. This
file imports little, because shell completion loads it at every key press.

The command line takes precedence over the file, and the file over the variable. "" and "null"
mean unset; Home Assistant's add-on passes "null" for an option left blank. For an option whose
value is optional, "" means the option alone, as in the reference server.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import os
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, StrEnum
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from ..errors import SettingError, either, reason

ENV_PREFIX = "WYO_WHISPER_"
FILE_SUFFIX = "_FILE"

VARIABLES = (
    "Every option can also be set in the environment: `--some-option` by "
    f"`{ENV_PREFIX}SOME_OPTION`, or by `{ENV_PREFIX}SOME_OPTION{FILE_SUFFIX}`, which names a "
    "file that contains the value. The command line takes precedence over the file, and the "
    "file over the variable."
)

NETWORK = "Network and TLS"
"""The group that the server and the client both have."""

_TRUE = frozenset({"1", "true", "yes", "y", "on"})
_FALSE = frozenset({"0", "false", "no", "n", "off", ""})
_UNSET = frozenset({"", "null"})


class Arity(Enum):
    """Number of values that an option takes."""

    ONE = "one"
    FLAG = "flag"  # no value: the flag itself means true
    OPTIONAL = "optional"  # a value, or a constant if the flag has none
    MANY = "many"  # any number of values after the flag; none = all
    REPEATED = "repeated"  # one value per flag; the flag can be repeated
    LIST = "list"  # one value, split at commas


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition on the values of other options, without which an option has no effect."""

    text: str  # what the option does, like "works with --model auto only"
    met: Callable[[Any], bool]  # takes the settings


@dataclass(frozen=True, slots=True)
class Option:
    """Definition of an option."""

    name: str  # of the field; the flag has dashes for underscores
    default: Any
    help: str
    group: str = ""  # title of its section in the help
    type: type = str
    arity: Arity = Arity.ONE
    positional: bool = False  # no flag; required
    constant: str | None = None  # value of an OPTIONAL flag that was given without one
    choices: tuple[str, ...] = ()
    words: tuple[str, ...] = ()  # values accepted in place of a number, like auto
    least: float | None = None  # inclusive
    most: float | None = None  # inclusive
    above: float | None = None  # exclusive lower bound
    metavar: str | None = None
    separator: str = os.pathsep  # between REPEATED values in a variable
    needs: tuple[str, ...] = ()  # names of options; without one of them, this has no effect
    only: Condition | None = None  # what else it needs to have an effect
    obsolete: str = ""  # why it never has an effect, like "is always on"

    @property
    def flag(self) -> str:
        return self.name if self.positional else "--" + self.name.replace("_", "-")

    @property
    def variable(self) -> str:
        return ENV_PREFIX + self.name.upper()

    @property
    def value(self) -> str:
        """Placeholder for a value in the help, like SECONDS."""
        numbers = {int: "NUMBER", float: "SECONDS"}
        name = self.metavar or numbers.get(self.type) or self.name.rpartition("_")[2].upper()
        return "|".join((name, *self.words))

    @property
    def shown_default(self) -> str:
        """The default in the help; empty if it is not worth showing."""
        if self.default is None or self.default is False:
            return ""
        if isinstance(self.default, tuple):
            return ",".join(self.default)
        return f"{self.default:g}" if isinstance(self.default, float) else str(self.default)

    def describe(self, *notes: str) -> str:
        """Return the help, with the choices and the notes in parentheses."""
        if self.choices and self.arity is Arity.ONE:
            notes = (either(self.choices), *notes)
        return f"{self.help} ({'; '.join(notes)})" if notes else self.help

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
        if self.choices and text not in self.choices:
            raise SettingError(f"{source} is {text!r}; it must be {either(self.choices)}")
        try:
            value = self.type(text)
        except ValueError:
            kind = either((*self.words, {int: "a whole number", float: "a number"}[self.type]))
            raise SettingError(f"{source} is {text!r}; it must be {kind}") from None
        # "not >=" instead of "<", so that NaN fails too.
        if self.least is not None and not value >= self.least:
            raise SettingError(f"{source} is {text}; it must be at least {self.least:g}")
        if self.most is not None and not value <= self.most:
            raise SettingError(f"{source} is {text}; it must be at most {self.most:g}")
        if self.above is not None and not value > self.above:
            raise SettingError(f"{source} is {text}; it must be more than {self.above:g}")
        if self.type is float and not math.isfinite(value):
            raise SettingError(f"{source} is {text}; it must be finite")
        return value


def option(default: Any, help: str, **more: Any) -> Any:
    """Make a field that defines an option. The default determines the type unless `type` does.

    Args:
        default: value of the field if the option is not given.
        help: help text, also for the documentation.
        more: other fields of Option. A group also holds for the fields below, up to the next
            field that has one.
    """
    if isinstance(default, bool):
        more.setdefault("arity", Arity.FLAG)
    elif isinstance(default, StrEnum):
        more |= {"type": type(default), "choices": tuple(type(default))}
    elif isinstance(default, int | float):
        more.setdefault("type", type(default))
    return dataclasses.field(default=default, metadata={"help": help, **more})


def options(settings: type) -> list[Option]:
    """Return the options that a dataclass defines, in the order of its fields."""
    known: list[Option] = []
    group = ""
    for field in dataclasses.fields(settings):
        group = field.metadata.get("group", group)
        known.append(Option(field.name, field.default, **{**field.metadata, "group": group}))
    return known


def _grouped(known: Sequence[Option]) -> dict[str, list[Option]]:
    groups: dict[str, list[Option]] = {}
    for opt in known:
        groups.setdefault(opt.group, []).append(opt)
    return groups


class Parser(argparse.ArgumentParser):
    """A parser with the options in groups. It raises SettingError for a usage error."""

    def __init__(self, known: Sequence[Option] = (), **more: Any) -> None:
        # A usage line with all options would fill a screen.
        takes = [
            opt.value + " ..." * (opt.arity is Arity.MANY) for opt in known if opt.positional
        ]
        more.setdefault("usage", " ".join(["%(prog)s [OPTION ...]", *takes]))
        shape = partial(argparse.HelpFormatter, max_help_position=30)
        super().__init__(formatter_class=shape, **more)
        for title, members in _grouped(known).items():
            group = self.add_argument_group(title)
            for opt in members:
                _add(group, opt)

    def error(self, message: str) -> NoReturn:
        raise SettingError(f"{message}; --help lists all options")


def _add(group: argparse._ArgumentGroup, opt: Option) -> None:
    shapes: dict[Arity, dict[str, Any]] = {
        Arity.FLAG: {"action": "store_const", "const": "true"},
        Arity.OPTIONAL: {"nargs": "?", "const": ""},
        Arity.MANY: {"nargs": "+" if opt.positional else "*"},
        Arity.REPEATED: {"action": "append"},
    }
    default = opt.shown_default
    text = opt.describe(f"default: {default}") if default else opt.describe()
    action = group.add_argument(
        opt.flag,
        default=argparse.SUPPRESS,
        metavar=opt.value,
        help=text.replace("%", "%%"),
        **shapes.get(opt.arity, {}),
    )
    if opt.choices:  # for argcomplete
        action.completer = lambda **_: opt.choices  # type: ignore[attr-defined]


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


def read_values(
    known: Sequence[Option], given: Mapping[str, Any], environ: Mapping[str, str]
) -> dict[str, Any]:
    """Return the values that were given, by option name. Each value is checked on its own.

    Args:
        given: what a Parser found on the command line.

    Raises:
        SettingError: an option has a value that it does not accept.
    """
    values: dict[str, Any] = {}
    for opt in known:
        value = _from_command_line(opt, given[opt.name]) if opt.name in given else None
        if value is None:
            value = _from_environment(opt, environ)
        if value is not None:
            values[opt.name] = value
    return values


def _from_command_line(opt: Option, value: str | list[str]) -> Any:
    if isinstance(value, str):
        return _from_text(opt, value, opt.flag)
    texts = [text for text in value if opt.positional or text not in _UNSET]
    nothing_but_the_flag = opt.arity is Arity.MANY and not value
    items = tuple(opt.parse(text, opt.flag) for text in texts)
    return items if items or nothing_but_the_flag else None


def _from_environment(opt: Option, environ: Mapping[str, str]) -> Any:
    source = opt.variable
    text = environ.get(source)
    if (path := environ.get(source + FILE_SUFFIX, "")) not in _UNSET:
        source += FILE_SUFFIX
        try:
            text = Path(path).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise SettingError(
                f"{source} names {path}, which cannot be read: {reason(error)}"
            ) from None
        except UnicodeDecodeError:
            raise SettingError(f"{source} names {path}, which is not UTF-8") from None
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
    if text in _UNSET and not opt.positional:
        return None
    if opt.arity is Arity.LIST:
        return tuple(opt.parse(item.strip(), source) for item in text.split(",") if item.strip())
    return opt.parse(text, source)


@dataclass(frozen=True, slots=True)
class Unused:
    """An option that was given but has no effect with the others."""

    option: Option
    why: str
    missing: bool = False  # True if an option that it needs is not given

    def __str__(self) -> str:
        return f"{self.option.flag} {self.why}"


def unused(known: Sequence[Option], settings: Any) -> list[Unused]:
    """Return the options that were given but have no effect, in the order of their fields.

    An option counts as given if its value differs from its default.

    Args:
        known: the options that the settings may have.
        settings: an instance of the dataclass that defines them.
    """
    by_name = {opt.name: opt for opt in known}
    given = {name for name, opt in by_name.items() if getattr(settings, name) != opt.default}
    found = []
    for opt in (opt for opt in by_name.values() if opt.name in given):
        missing = [by_name[name].flag for name in opt.needs if name not in given]
        if missing:
            found.append(Unused(opt, f"requires {missing[0]}", missing=True))
        elif opt.only is not None and not opt.only.met(settings):
            found.append(Unused(opt, opt.only.text))
        elif opt.obsolete:
            found.append(Unused(opt, opt.obsolete))
    return found


def unknown_variables(known: Sequence[Option], environ: Mapping[str, str]) -> list[str]:
    """Return the environment variables with our prefix that belong to no option."""
    names = {opt.variable for opt in known}
    names |= {name + FILE_SUFFIX for name in names}
    return sorted(n for n in environ if n.startswith(ENV_PREFIX) and n not in names)


def page(known: Sequence[Option]) -> str:
    """Format the options as a Markdown page."""
    lines = [
        "# Options",
        "",
        "Generated from `wyoming_faster_whisper/config/settings.py` by `script/options`.",
        "",
        f'{VARIABLES} `null` and an empty value mean "not given"; but if the value is optional '
        "(in brackets below), an empty one stands for the option alone.",
    ]
    brackets = {Arity.FLAG: "", Arity.OPTIONAL: " [{}]", Arity.MANY: " [{} ...]"}
    for title, members in _grouped(known).items():
        lines += ["", f"## {title}", "", "| option | default | what it does |", "|---|---|---|"]
        for opt in members:
            value = brackets.get(opt.arity, " {}").format(opt.value.replace("|", "\\|"))
            default = f"`{opt.shown_default}`" if opt.shown_default else ""
            lines.append(f"| `{opt.flag}{value}` | {default} | {opt.describe()} |")
    return "\n".join([*lines, ""])
