"""Read Settings from the command line and the environment, and check them."""

from __future__ import annotations

import dataclasses
import ipaddress
import logging
import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from .. import __version__
from ..errors import SettingError
from ..models import SttLibrary
from ..models.languages import MULTILINGUAL_V3, means_detect, normalise
from ..process_limits import parse_cores
from .authentication import authentication_warnings, check_authentication
from .libraries import REMOTE, is_installed
from .options import (
    VARIABLES,
    Parser,
    expand,
    options,
    read_values,
    unknown_variables,
    unused,
)
from .settings import REFERENCE_FLAGS, Settings

_OPTIONS = options(Settings)

_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^/A-Z?#*]+/?")
_DEFAULT_PORT = re.compile(r"(http://.*:80|https://.*:443)/?")  # browsers leave it out


@dataclass(frozen=True, slots=True)
class Given:
    """Settings, and warnings about the options and variables that they were read from."""

    settings: Settings
    warnings: tuple[str, ...]


def read_settings(argv: Sequence[str], environ: Mapping[str, str]) -> Given:
    """Read the command line and the environment.

    Raises:
        SettingError: a flag is not known, or has a value that it does not accept.
        SystemExit: by argparse, for --help and --version.
    """
    values = read_values(_OPTIONS, command_line(argv), environ)
    warnings = [
        f"{name} is not an option of this server; it is ignored"
        for name in unknown_variables(_OPTIONS, environ)
    ]
    settings = Settings(**values)
    ignored = _without_effect(settings)
    settings = _checked(settings)
    if not (settings.data_dir or settings.download_dir or _user_folder(environ)):
        warnings.append(
            f"this user has no home directory; models are stored in {default_data_dir(environ)}, "
            "which a restart may empty; choose a permanent folder with --data-dir"
        )
    library = settings.stt_library
    if not is_installed(library):
        settings = dataclasses.replace(settings, stt_library=SttLibrary.FASTER_WHISPER)
        warnings.append(f"--stt-library {library} is not installed; using faster-whisper")
    return Given(settings, (*warnings, *ignored, *authentication_warnings(settings)))


def _without_effect(settings: Settings) -> list[str]:
    """Return a warning for each option that was given but has no effect.

    Raises:
        SettingError: an option that another one needs is missing. The command lines of the
            reference server are accepted as they are.
    """
    warnings = []
    for each in unused(_OPTIONS, settings):
        if each.missing and each.option.flag not in REFERENCE_FLAGS:
            raise SettingError(str(each))
        warnings.append(str(each) if each.option.obsolete else f"{each}; it is ignored")
    return warnings


def command_line(argv: Sequence[str]) -> dict[str, Any]:
    """Return the options of a command line, not yet checked.

    Raises:
        SettingError: a flag is not known or has no value.
        SystemExit: by argparse, for --help and --version.
    """
    written_out = expand(expand(argv, REFERENCE_FLAGS), {opt.flag for opt in _OPTIONS})
    return vars(_parser().parse_args(written_out))


@cache  # making it takes longer than parsing a command line
def _parser() -> Parser:
    parser = Parser(
        _OPTIONS,
        prog="wyoming-faster-whisper",
        description="Speech-to-text for the home: Whisper over the Wyoming protocol. The "
        "subcommands export-web and export-triton have a --help of their own.",
        epilog=VARIABLES.replace("`", ""),
    )
    parser.add_argument("--version", action="version", version=__version__)
    return parser


def _checked(settings: Settings) -> Settings:
    """Check values beyond what each option checks itself; normalise the languages."""
    if not re.fullmatch(r"cpu|auto|cuda(:\d+)?", settings.device):
        raise SettingError(
            f"--device is {settings.device!r}; it must be cpu, cuda, cuda:N or auto"
        )
    try:
        logging.Formatter(settings.log_format).format(logging.makeLogRecord({}))
    except (ValueError, TypeError, OverflowError) as error:
        raise SettingError(
            f"--log-format is {settings.log_format!r}, which Python's logging rejects: {error}"
        ) from None
    _check_access(settings)
    _check_cores(settings)
    settings = _with_remote(settings)
    language = settings.language
    if not means_detect(language) and normalise(language, MULTILINGUAL_V3) is None:
        raise SettingError(
            f"--language is {language!r}; it must be auto or a language that Whisper knows, "
            "like en"
        )
    codes = [normalise(tag, MULTILINGUAL_V3) for tag in settings.languages]
    if None in codes:
        unknown = settings.languages[codes.index(None)]
        raise SettingError(
            f"--languages contains {unknown!r}, a language that Whisper does not know"
        )
    return dataclasses.replace(settings, languages=tuple(code for code in codes if code))


def _with_remote(settings: Settings) -> Settings:
    """Check the options for decode servers; choose them as the library if they are given."""
    if settings.remote_url and settings.stt_library == SttLibrary.AUTO:
        settings = dataclasses.replace(settings, stt_library=REMOTE)
    if (settings.stt_library == REMOTE) != bool(settings.remote_url):
        raise SettingError(
            f"--stt-library is {settings.stt_library}, and --remote-url is "
            f"{'given' if settings.remote_url else 'missing'}; decode servers need both"
        )
    if settings.remote_url and 0 < settings.decode_timeout <= settings.remote_timeout:
        raise SettingError(
            f"--remote-timeout is {settings.remote_timeout:g}; it must be less than "
            f"--decode-timeout, which is {settings.decode_timeout:g}"
        )
    for name in settings.remote_model:
        if not re.fullmatch(r"[\w.-]+(:[\w.-]+)?", name, re.ASCII):
            raise SettingError(
                f"--remote-model is {name!r}; it must be like base or base:2, with letters, "
                "digits, _, - and . only"
            )
    return settings


def _check_cores(settings: Settings) -> None:
    if settings.cpu_affinity is None:
        return
    try:
        parse_cores(settings.cpu_affinity)
    except ValueError:
        raise SettingError(
            f"--cpu-affinity is {settings.cpu_affinity!r}; it must be a list of cores, like 0-3,6"
        ) from None


def _check_access(settings: Settings) -> None:
    for network in settings.allow:
        try:
            ipaddress.ip_network(network)
        except ValueError as error:
            raise SettingError(
                f"--allow is {network!r}: {error}; it must be like 192.168.0.0/16 or fd00::/8"
            ) from None
    for origin in settings.http_origins:
        if not _ORIGIN.fullmatch(origin) or _DEFAULT_PORT.fullmatch(origin):
            raise SettingError(
                f"--http-origins contains {origin!r}; an origin is like "
                "https://notes.example.org, in lower case, without a path and without the "
                "default port"
            )
    if not re.fullmatch(r"0?[0-7]{3}", settings.socket_mode):
        raise SettingError(
            f"--socket-mode is {settings.socket_mode!r}; it must be octal, like 0660"
        )
    check_authentication(settings)
    if settings.tls_cert and settings.scheme != "tcp":
        raise SettingError(f"--tls-cert works with tcp:// only, and --uri is {settings.uri!r}")


def default_data_dir(environ: Mapping[str, str]) -> Path:
    """Return the folder for models when neither --data-dir nor --download-dir is given.

    It is in the user's data directory (XDG base directories). A user without a home directory,
    as in a container with `--user 12345`, gets a folder in the temporary directory.
    """
    folder = _user_folder(environ)
    if folder is None:
        return Path(tempfile.gettempdir()) / f"wyoming-faster-whisper-{os.getuid()}"
    return folder / "wyoming-faster-whisper"


def _user_folder(environ: Mapping[str, str]) -> Path | None:
    """Return the user's data directory; None if the user has no home directory."""
    if base := environ.get("XDG_DATA_HOME"):
        return Path(base)
    try:
        return Path("~/.local/share").expanduser()
    except RuntimeError:  # neither HOME nor a passwd entry
        return None
