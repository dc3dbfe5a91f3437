"""Imports point down only, as docs/architecture.md draws it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import wyoming_faster_whisper

PACKAGE = Path(wyoming_faster_whisper.__file__).parent
FILES = {".".join(p.relative_to(PACKAGE).with_suffix("").parts): p for p in PACKAGE.rglob("*.py")}

# What each file or folder may import of ours. The files of a folder may import one
# another, except where a file has a line of its own.
MAY_IMPORT = {
    "__init__": "",
    "__main__": "cli early",
    "cli": "client doctor.command early errors given hardware log service",
    "doctor": "audio client discovery errors given hardware health_check loading models probe "
    "settings tls wire.address",
    "doctor.facts": "",
    "doctor.finding": "",
    "doctor.advice": "doctor.facts doctor.finding errors",
    "service": "discovery doors early engine errors hardware http loading log metrics models "
    "names record request rules session settings speech text tls upstream wire",
    "rules": "engine.base settings speech wire.door wire.visit",
    "addon": "cli client early errors",
    "loading": "auto engine errors hardware languages models probe settings",
    "probe": "audio engine errors speech",
    "given": "errors languages models.SttLibrary options settings",
    "settings": "models.SttLibrary options text",
    "options": "errors",
    "discovery": "errors wire.address",
    "health_check": "client early errors settings tls wire.address",
    "client": "audio discovery early errors speech tls wire.address wire.framing",
    "wire": "answer audio errors models.Model request session",
    "wire.address": "errors",
    "wire.framing": "errors",
    "http": "answer audio errors record request session wire.door wire.tally wire.visit",
    "http.guard": "",
    "http.server": "errors wire.door wire.tally",
    "session": "answer audio hearing request speech turn",
    "turn": "answer audio decoding engine.base engine.worker hearing lateness partials record "
    "relay request speech text",
    "hearing": "audio errors highpass speech",
    "highpass": "audio",
    "decoding": "audio engine.base engine.worker errors speech",
    "partials": "audio engine.base engine.worker errors speech text",
    "answer": "engine.base",
    "log": "errors record",
    "metrics": "record",
    "upstream": "audio client engine.base errors relay request",
    "lateness": "",
    "relay": "audio engine.base request",
    "doors": "engine.worker errors http metrics models.Model session wire",
    "record": "errors",
    "request": "engine.base errors languages",
    "speech": "audio errors",
    "engine": "audio auto.BUDGET errors hardware names.correct names.orders names.rewrites "
    "names.words",
    "names": "errors",
    "names.candidate": "names.sound",
    "names.correct": "names.candidate names.sound names.words",
    "names.orders": "names.words",
    "names.rewrites": "names.candidate names.correct names.orders names.sound",
    "names.sound": "",
    "names.words": "",
    "models": "auto errors languages",
    "audio": "downmix errors",
    "auto": "",
    "hardware": "",
    "tls": "errors",
    "text": "",
    "languages": "",
    "downmix": "",
    "early": "",
    "errors": "",
    "testing_hass": "",
    "testing": "audio engine.base errors speech",
}

PURE = [
    "answer",
    "audio",
    "auto",
    "client.cutting",
    "client.formats",
    "client.turn",
    "downmix",
    "doctor.advice",
    "doctor.facts",
    "doctor.finding",
    "engine.base",
    "engine.gate",
    "engine.scheduler",
    "engine.several",
    "engine.hints",
    "engine.tuning",
    "engine.spectrogram",
    "engine.window",
    "errors",
    "highpass",
    "http.guard",
    "languages",
    "models.names",
    "names.candidate",
    "names.correct",
    "names.orders",
    "names.rewrites",
    "names.sound",
    "names.words",
    "record",
    "relay",
    "request",
    "speech.ending",
    "speech.endpoint",
    "speech.finished",
    "speech.level",
    "speech.pace",
    "speech.segment",
    "speech.utterance",
    "speech.voice",
    "text",
    "wire.address",
    "wire.door",
    "wire.framing",
]
MODEL = {"faster_whisper", "ctranslate2"}  # known to engine/whisper/ctranslate2.py alone
IMPURE = MODEL | {
    *("asyncio", "threading", "multiprocessing", "queue", "subprocess", "select", "selectors"),
    *("socket", "ssl", "time", "datetime", "onnxruntime"),
}


def imports(source: str, module: str) -> Iterator[str]:
    """Every name that is imported, in full; ours begin with a dot."""
    package = module.split(".")[:-1]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (_ours_with_a_dot(alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = [*above, *(node.module or "").split(".")] if node.module else above
            for alias in node.names:
                name = ".".join([*base, alias.name])
                yield f".{name}" if node.level else _ours_with_a_dot(name)


def _ours_with_a_dot(name: str) -> str:
    ours = "wyoming_faster_whisper"
    return name.removeprefix(ours) or "." if name.split(".")[0] == ours else name


def is_within(name: str, area: str) -> bool:
    return name == area or name.startswith(f"{area}.")


def forbidden(source: str, module: str) -> list[str]:
    """What a file of ours imports against the rules."""
    area = module if module in MAY_IMPORT else module.split(".")[0]
    allowed = MAY_IMPORT[area].split()
    if area != module:
        allowed.append(area)  # the files of a folder may import one another
    wrong = []
    for name in imports(source, module):
        top = name.split(".")[0]
        if name.startswith("."):
            ours = name[1:]
            is_file = any(is_within(ours, file.removesuffix(".__init__")) for file in FILES)
            if is_file and not any(is_within(ours, one) for one in allowed):
                wrong.append(name)
        elif top in (IMPURE if module in PURE else MODEL) and module != "engine.model":
            wrong.append(name)
    return wrong


@pytest.mark.parametrize("module", sorted(FILES))
def test_a_file_imports_only_what_lies_below_it(module: str) -> None:
    assert forbidden(FILES[module].read_text(), module) == []


def test_the_table_names_nothing_that_is_gone() -> None:
    folders = {module.split(".")[0] for module in FILES}
    assert set(MAY_IMPORT) <= folders | set(FILES)
    assert folders <= set(MAY_IMPORT)
    assert set(PURE) <= set(FILES)


def test_only_what_is_kept_for_another_day_reads_the_wall_clock() -> None:
    """All else goes by clocks that nobody sets: a jump moves no time-out."""
    wall = re.compile(r"\btime\.time\(|datetime\.(now|today)|\butcnow\(")
    readers = {module for module, path in FILES.items() if wall.search(path.read_text())}
    assert readers == {"models.figures"}


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("audio", "from .engine import base"),
        ("audio", "from .engine.base import Job"),
        ("audio", "import wyoming_faster_whisper.engine.queue"),
        ("audio", "from wyoming_faster_whisper.session.session import Session"),
        ("audio", "from . import session"),
        ("audio", "def f():\n    from .models import choose"),
        ("languages", "from .errors import ServerError"),
        ("settings", "from .models import choose"),
        ("engine.worker", "from ..session import Session"),
        ("speech.vad", "from ..engine.base import Job"),
        ("session", "from .wire.connection import Connection"),
        ("session", "from .engine.whisper import WhisperEngine"),
        ("engine.whisper", "import ctranslate2"),
        ("wire.framing", "from .connection import Connection"),
        ("wire.connection", "from ..models import locate"),
        ("engine.scheduler", "import asyncio"),
        ("wire.framing", "from socket import create_connection"),
        ("errors", "import os, time"),
        ("session", "import ctranslate2"),
        ("speech.vad", "from faster_whisper.vad import SileroVADModel"),
    ],
)
def test_a_broken_rule_is_noticed(module: str, line: str) -> None:
    assert forbidden(line, module) != []


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("audio", "from .errors import AudioError"),
        ("wire.connection", "from .framing import FrameReader"),
        ("wire.info", "from .. import __version__"),
        ("wire.connection", "import asyncio"),
        ("engine.model", "import faster_whisper"),
        ("turn", "from .engine.base import Transcript"),
    ],
)
def test_a_rule_that_is_kept_is_not_complained_about(module: str, line: str) -> None:
    assert forbidden(line, module) == []
