"""Command-line flags that several benchmarks share, each defined once.

A benchmark adds the flags it needs by name, and may override any argument of one.
"""

import argparse
import os
import signal
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from .clips import TEST_CLIPS, Clip, load
from .models import cache_directory, model_directory
from .servers import PYTHONS, ROOT, Options

KITCHEN = ROOT.parent / "shared" / "speech" / "noise" / "kitchen.wav"

RECORDINGS = (
    "folder of WAV files with labels.json or .txt files (repeatable); default: tests/data"
)

_FLAGS: dict[str, dict[str, Any]] = {
    "--model": {"default": "base", "help": "model name or directory; never downloaded"},
    "--beam-size": {
        "type": int,
        "default": 0,
        "help": "beam size of this server; 0 (the default) = its own choice",
    },
    "--reference-beam-size": {
        "type": int,
        "default": 5,
        "help": "beam size of the reference (default: %(default)s)",
    },
    "--threads": {"type": int, "default": 2, "help": "CPU threads (default: %(default)s)"},
    "--only": {"choices": ["this", "reference"], "help": "run only one of the servers"},
    "--flag": {
        "action": "append",
        "default": [],
        "metavar": "FLAG",
        "help": "extra flag for this server, as --flag=--audio-context=full (repeatable)",
    },
    "--recordings": {
        "type": Path,
        "action": "append",
        "default": [],
        "metavar": "DIR",
        "help": "folder of WAV files with labels.json or .txt files (repeatable)",
    },
    "--limit": {"type": int, "metavar": "N", "help": "use a fixed sample of N clips"},
    "--trailing": {
        "type": float,
        "metavar": "SECONDS",
        "help": "silence between the last word and audio-stop (default: %(default)s)",
    },
    "--busy-cores": {
        "type": int,
        "default": 0,
        "metavar": "N",
        "help": "keep N cores busy with other processes meanwhile (default: none)",
    },
    "--languages-dir": {
        "type": Path,
        "action": "append",
        "default": [],
        "metavar": "DIR",
        "help": "folder with a folder of recordings per language, named by its code",
    },
    "--noise": {
        "type": Path,
        "metavar": "FILE",
        "default": KITCHEN if KITCHEN.exists() else None,
        "help": "noise as a 16 kHz, 16-bit, mono WAV; default: %(default)s; None: generated",
    },
    "--cache": {
        "type": Path,
        "metavar": "FILE",
        "default": cache_directory() / "decodes.sqlite",
        "help": "decodes that earlier runs stored (default: %(default)s)",
    },
    "--tree": {
        "type": Path,
        "action": "append",
        "default": [],
        "metavar": "DIR",
        "help": "checkout whose server is measured (repeatable); default: this one",
    },
    "--json": {"type": Path, "metavar": "FILE", "help": "write all figures to this file"},
    "--plot": {"type": Path, "metavar": "FILE", "help": "plot the figures to this file (PNG)"},
}

THIS_SERVER = ("--model", "--beam-size", "--threads", "--flag")
"""Names of the flags that this_server() needs."""

SERVERS = (*THIS_SERVER, "--reference-beam-size", "--only")
"""Names of the flags that servers() needs."""


def parser(name: str, description: str | None) -> argparse.ArgumentParser:
    """Return the parser of a benchmark, and make the process end on SIGTERM as on Ctrl-C.

    Its servers and worker processes then end with it.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    return argparse.ArgumentParser(
        prog=f"bench.{name}",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def add(to: argparse.ArgumentParser, *flags: str, **changes: Any) -> None:
    """Add shared flags to a parser.

    Args:
        flags: their names.
        changes: arguments of add_argument() that replace those of the shared flag, as
            default="x".
    """
    for flag in flags:
        to.add_argument(flag, **_FLAGS[flag] | changes)


def listed(known: tuple[str, ...]) -> Callable[[str], tuple[str, ...]]:
    """Return the type of a flag whose value is a comma-separated list of known words."""

    def parse(text: str) -> tuple[str, ...]:
        chosen = tuple(text.split(","))
        if unknown := [word for word in chosen if word not in known]:
            raise argparse.ArgumentTypeError(
                f"{unknown[0]!r}; it must be among {','.join(known)}"
            )
        return chosen

    return parse


def numbers(text: str) -> tuple[float, ...]:
    """Parse a flag whose value is a comma-separated list of numbers."""
    return tuple(map(float, text.split(",")))


def given_clips(arguments: argparse.Namespace) -> list[Clip]:
    """Load the clips that --recordings and --limit select; by default those of tests/data.

    Raises:
        SystemExit: there are none.
    """
    clips = load(arguments.recordings or [TEST_CLIPS], getattr(arguments, "limit", None))
    if not clips:
        raise SystemExit("no clips found")
    return clips


def this_server(arguments: argparse.Namespace) -> Options:
    """Return the options of this server, from the flags."""
    return Options(
        model_directory(arguments.model),
        beam_size=arguments.beam_size,
        cpu_threads=arguments.threads,
        extra=tuple(arguments.flag),
    )


def servers(arguments: argparse.Namespace) -> dict[str, Options]:
    """Return the options of each server to run, by server name, from the flags."""
    ours = this_server(arguments)
    reference = replace(ours, beam_size=arguments.reference_beam_size, extra=())
    options = {"this server": ours, "reference": reference}
    return {name: options[name] for name in PYTHONS if arguments.only in (None, name.split()[0])}


def headline(arguments: argparse.Namespace, options: Mapping[str, Options] | None = None) -> str:
    """Return a summary of the servers' options, for the line above a table.

    Args:
        options: from servers(); None = those of this server only.
    """
    options = options or {"this server": this_server(arguments)}
    beams = ", ".join(
        f"{each.beam_size or '0 (auto)'} ({name})" for name, each in options.items()
    )
    flags = "".join(f", {flag}" for flag in arguments.flag)
    if busy := getattr(arguments, "busy_cores", 0):
        flags += f", {busy} of {os.cpu_count()} cores busy with other processes"
    return f"{arguments.model} int8, beam {beams}, {arguments.threads} threads{flags}"
