"""What was given on the command line and in the environment, as Settings that hold together."""

from __future__ import annotations

import dataclasses
import ipaddress
import logging
import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import SettingError
from ..models import SttLibrary
from ..models.languages import MULTILINGUAL_V3, means_detect, normalise
from .options import options, read_options, unknown_variables
from .settings import Settings, written_out


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
    known = options(Settings)
    values = read_options(known, written_out(argv), environ)
    warnings = [
        f"{name} is no option of this server; it is ignored"
        for name in unknown_variables(known, environ)
    ]
    settings = _checked(Settings(**values))
    if not (settings.data_dir or settings.download_dir or _user_folder(environ)):
        warnings.append(
            f"this user has no home directory; models are kept in {default_data_dir(environ)}, "
            "which a restart may empty; name a folder that stays with --data-dir"
        )
    return Given(settings, (*warnings, *_remarks(values)))


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
    _check_access(settings)
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


def _check_access(settings: Settings) -> None:
    for network in settings.allow:
        try:
            ipaddress.ip_network(network)
        except ValueError as error:
            raise SettingError(
                f"--allow is {network!r}: {error}; it must be like 192.168.0.0/16 or fd00::/8"
            ) from None
    if not re.fullmatch(r"0?[0-7]{3}", settings.socket_mode):
        raise SettingError(
            f"--socket-mode is {settings.socket_mode!r}; it must be octal, like 0660"
        )
    for name in ("key", "ca"):
        if getattr(settings, f"tls_{name}") and not settings.tls_cert:
            raise SettingError(f"--tls-{name} is given, but no --tls-cert")
    if settings.tls_cert and not settings.uri.startswith("tcp:"):
        raise SettingError(f"--tls-cert is for tcp:// only, and --uri is {settings.uri!r}")


def _remarks(values: Mapping[str, Any]) -> list[str]:
    """One sentence for each value that does not do what it says."""
    remarks: list[str] = []
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


def default_data_dir(environ: Mapping[str, str]) -> Path:
    """Return the folder for models where no option names one.

    It is a folder of the user's (XDG base directories); for a user without a home directory,
    as in a container with `--user 12345`, one of the user's own below the temporary directory.
    """
    folder = _user_folder(environ)
    if folder is None:
        return Path(tempfile.gettempdir()) / f"wyoming-faster-whisper-{os.getuid()}"
    return folder / "wyoming-faster-whisper"


def _user_folder(environ: Mapping[str, str]) -> Path | None:
    """The user's folder for data; None = the user has no home directory."""
    if base := environ.get("XDG_DATA_HOME"):
        return Path(base)
    try:
        return Path("~/.local/share").expanduser()
    except RuntimeError:  # neither HOME nor a passwd entry
        return None
