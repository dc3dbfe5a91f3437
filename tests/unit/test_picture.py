"""Imports point only downwards, as drawn in docs/architecture.md."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import wyoming_faster_whisper

PACKAGE = Path(wyoming_faster_whisper.__file__).parent
FILES = {".".join(p.relative_to(PACKAGE).with_suffix("").parts): p for p in PACKAGE.rglob("*.py")}

# Rooms from the top down, each with the rooms that its files may import. A room is a folder
# without its subfolders that are rooms themselves. Every file may import the room "base".
MAY_IMPORT = {
    "entry": "commands",
    "commands": "serving app client config models options audio wire",
    "testing": "serving engine.whisper engine speech audio",
    "serving": "app engine.remote engine config models audio",
    "app": "transports.wyoming transports.mqtt transports.http transports.http.jobs "
    "transports.http.files transports.http.connections transports session engine.remote "
    "engine.onnx.whisper engine.onnx engine.whisper engine speech biasing tenants config models "
    "options audio wire",
    "transports.wyoming": "transports session engine audio wire",
    "transports.mqtt": "transports session engine speech audio",
    "transports.http": "transports.http.realtime transports.http.jobs transports.http.files "
    "transports.http.connections http_api transports session tenants engine models audio",
    "transports.http.realtime": "http_api transports session engine speech models audio",
    "transports.http.jobs": "transports.http.files http_api",
    "transports.http.files": "http_api session tenants engine models audio",
    "transports.http.connections": "http_api transports wire",
    "http_api": "transports session engine models",
    "transports": "session tenants wire",
    "session": "engine.remote engine speech tenants biasing models audio",
    "engine.remote": "engine client speech audio",
    "engine.onnx.whisper": "engine.onnx engine.whisper speech",
    "engine.onnx": "engine.whisper engine biasing models audio",
    "engine.whisper": "engine speech biasing models audio",
    "engine": "speech audio",
    "client": "speech options audio wire",
    "speech": "audio",
    "biasing": "",
    "tenants": "models",
    "config": "models options wire",
    "models": "",
    "audio": "",
    "options": "",
    "wire": "",
    "base": "",
}

# Files that belong to another room than their folder. "wire" contains what both ends of a
# connection need, so the client imports these files of transports/ and no others; of config/ it
# imports "options". "http_api" contains what all endpoints of the HTTP API share.
BELONGS_TO = {
    "__init__": "base",
    "errors": "base",
    "hardware": "base",
    "principal": "base",
    "config.options": "options",
    "process": "base",
    "process_limits": "base",
    "subtitles": "base",
    "tenant": "base",
    "watched_file": "base",
    "__main__": "entry",
    "health_check": "entry",
    "transports.address": "wire",
    "transports.discovery": "wire",
    "transports.http.answer_members": "http_api",
    "transports.http.api_errors": "http_api",
    "transports.http.catalogue": "http_api",
    "transports.http.credentials": "http_api",
    "transports.http.openapi": "http_api",
    "transports.http.presented_key": "http_api",
    "transports.http.replies": "http_api",
    "transports.http.server_vad": "http_api",
    "transports.http.socket_client": "http_api",
    "transports.http.sockets": "http_api",
    "transports.tls": "wire",
    "transports.wyoming.framing": "wire",
}

# Files without I/O: they import no asyncio, thread, socket, clock or model.
PURE = [
    "app.limitations",
    "audio.downmix",
    "audio.g711",
    "audio.gain",
    "audio.highpass",
    "audio.pcm",
    "audio.preprocess",
    "audio.recording",
    "audio.steps",
    "biasing.candidates",
    "biasing.carrier_phrases",
    "biasing.carrier_words",
    "biasing.correct",
    "biasing.grammar",
    "biasing.hypotheses",
    "biasing.lexicon",
    "biasing.phonetics",
    "biasing.templates",
    "biasing.tenant_cache",
    "biasing.weights",
    "client.end_of_turn",
    "client.formats",
    "client.segmenting",
    "commands.doctor.advice",
    "commands.doctor.facts",
    "commands.doctor.finding",
    "engine.onnx.hypothesis",
    "engine.onnx.moonshine.judgement",
    "engine.onnx.moonshine.search",
    "engine.onnx.moonshine.vocabulary",
    "engine.onnx.providers",
    "engine.onnx.whisper.alignment",
    "engine.onnx.whisper.search",
    "engine.protocol",
    "engine.recognizer",
    "engine.remote.contract.jobs",
    "engine.remote.contract.members",
    "engine.remote.contract.message",
    "engine.remote.contract.tensors",
    "engine.remote.contract.transcripts",
    "engine.remote.protocol",
    "engine.scheduler",
    "engine.whisper.acoustic_model",
    "engine.whisper.bias",
    "engine.whisper.clip",
    "engine.whisper.coverage",
    "engine.whisper.decoding",
    "engine.whisper.encoder",
    "engine.whisper.end_of_text",
    "engine.whisper.first_encoding",
    "engine.whisper.hallucination",
    "engine.whisper.language",
    "engine.whisper.missing_speech",
    "engine.whisper.pipeline",
    "engine.whisper.prompting",
    "engine.whisper.repetition",
    "engine.whisper.rescoring",
    "engine.whisper.second_pass",
    "engine.whisper.spectrogram",
    "engine.whisper.speech_odds",
    "engine.whisper.token_budget",
    "engine.whisper.tuning",
    "engine.whisper.window",
    "errors",
    "models.auto",
    "models.languages",
    "models.names",
    "principal",
    "serving.configuration",
    "serving.open_inference",
    "session.captions",
    "session.events",
    "session.opening",
    "session.record",
    "session.request",
    "session.spoken_numbers",
    "session.tenant_offer",
    "session.text",
    "session.turn_state",
    "speech.endpointing",
    "speech.foreground",
    "speech.gain_control",
    "speech.hysteresis",
    "speech.live_stream",
    "speech.prosody",
    "speech.segmenter",
    "speech.turn_classifier",
    "speech.utterance",
    "subtitles",
    "tenant",
    "tenants.claims",
    "tenants.directory",
    "tenants.parsing",
    "tenants.values",
    "transports.address",
    "transports.admission",
    "transports.auth.grant",
    "transports.auth.jwk",
    "transports.auth.refusal",
    "transports.auth.scopes",
    "transports.auth.token_header",
    "transports.http.access",
    "transports.http.answer_members",
    "transports.http.api_errors",
    "transports.http.files.form",
    "transports.http.files.form_fields",
    "transports.http.files.formats",
    "transports.http.files.multipart",
    "transports.http.jobs.prefer",
    "transports.http.jobs.webhook_urls",
    "transports.http.openapi",
    "transports.http.origin_check",
    "transports.http.presented_key",
    "transports.http.realtime.items",
    "transports.http.realtime.client_messages",
    "transports.http.realtime.server_events",
    "transports.http.realtime.session",
    "transports.http.realtime.update",
    "transports.http.server_vad",
    "transports.mqtt.backoff",
    "transports.mqtt.broker_url",
    "transports.mqtt.flood",
    "transports.mqtt.hermes",
    "transports.mqtt.home_assistant",
    "transports.mqtt.json_object",
    "transports.mqtt.topics",
    "transports.token_bucket",
    "transports.wyoming.framing",
]
MODEL = {"faster_whisper", "ctranslate2"}
USES_MODEL = {"engine.whisper.ctranslate2", "engine.whisper.weights"}  # the only ones
IMPURE = MODEL | {
    *("asyncio", "threading", "multiprocessing", "queue", "subprocess", "select", "selectors"),
    *("socket", "ssl", "time", "datetime", "onnxruntime"),
}


def imports(source: str, module: str) -> Iterator[str]:
    """Yield every imported name in full; names of our package begin with a dot."""
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


def file_of(name: str) -> str | None:
    """Return the file that defines an imported name of our package."""
    while name:
        if name in FILES:
            return name
        if f"{name}.__init__" in FILES:
            return f"{name}.__init__"
        name = name.rpartition(".")[0]
    return None


def room_of(file: str) -> str:
    """Return the room of a file."""
    if file in BELONGS_TO:
        return BELONGS_TO[file]
    folder = file.rpartition(".")[0]
    while folder not in MAY_IMPORT and folder:
        folder = folder.rpartition(".")[0]
    return folder or file


def imported(source: str, module: str) -> Iterator[str]:
    """Yield the files of our package that a file imports."""
    for name in imports(source, module):
        if name.startswith(".") and (file := file_of(name[1:])) is not None:
            yield file


def forbidden(source: str, module: str) -> list[str]:
    """Return the imports of a file that break the rules."""
    room = room_of(module)
    allowed = {room, "base", *MAY_IMPORT[room].split()}
    libraries = IMPURE if module in PURE else MODEL
    return [file for file in imported(source, module) if room_of(file) not in allowed] + [
        name
        for name in imports(source, module)
        if name.split(".")[0] in libraries and module not in USES_MODEL
    ]


@pytest.mark.parametrize("module", sorted(FILES))
def test_a_file_imports_only_from_the_rooms_its_rule_allows(module: str) -> None:
    assert forbidden(FILES[module].read_text(), module) == []


def test_a_rule_allows_only_rooms_below_its_own() -> None:
    """Then no import points upwards and the rooms have no cycle."""
    rooms = list(MAY_IMPORT)
    for at, room in enumerate(rooms):
        assert set(MAY_IMPORT[room].split()) <= set(rooms[at + 1 :]), room


def test_every_allowed_import_is_used() -> None:
    used: dict[str, set[str]] = {room: set() for room in MAY_IMPORT}
    for module, path in FILES.items():
        used[room_of(module)] |= {room_of(file) for file in imported(path.read_text(), module)}
    for room, allowed in MAY_IMPORT.items():
        assert set(allowed.split()) == used[room] - {room, "base"}, room


def test_there_is_no_import_cycle() -> None:
    below = {
        module: {
            file
            for file in imported(path.read_text(), module)
            # A folder's __init__ may import the files in it.
            if not file.endswith("__init__") and file != module
        }
        for module, path in FILES.items()
    }
    while below:
        lowest = {module for module, files in below.items() if not files & below.keys()}
        assert lowest, f"there is an import cycle among {sorted(below)}"
        below = {module: files for module, files in below.items() if module not in lowest}


def test_the_tables_name_only_existing_files_and_rooms() -> None:
    assert {room_of(module) for module in FILES} == set(MAY_IMPORT)
    assert set(BELONGS_TO) | set(PURE) <= set(FILES)


def test_only_what_is_stored_or_sent_has_times_of_the_wall_clock() -> None:
    """All other code uses monotonic clocks, so setting the clock does not affect timeouts."""
    wall = re.compile(r"\btime\.time\b|datetime\.(now|today)|\butcnow\(")
    readers = {module for module, path in FILES.items() if wall.search(path.read_text())}
    http = {"api_server", "realtime.client", "realtime.secret_requests"}
    stored = {"models.measurements", "app.http_servers"}
    assert readers == stored | {f"transports.http.{each}" for each in http}


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("audio.pcm", "from ..engine import protocol"),
        ("audio.pcm", "from ..engine.protocol import Job"),
        ("audio.pcm", "import wyoming_faster_whisper.engine.queue"),
        ("audio.pcm", "from wyoming_faster_whisper.session.session import Session"),
        ("audio.pcm", "from ..session import session"),
        ("audio.pcm", "def f():\n    from ..models import choose"),
        ("errors", "from .audio.pcm import SAMPLE_RATE"),
        ("config.settings", "from ..session.text import style"),
        ("engine.queue", "from ..session.session import Session"),
        ("engine.queue", "from .whisper.engine import WhisperEngine"),
        ("engine.remote.wyoming", "from ...session.request import Request"),
        ("speech.vad", "from ..engine.protocol import Job"),
        ("session.session", "from ..transports.wyoming.connection import Connection"),
        ("session.session", "from ..engine.whisper.engine import WhisperEngine"),
        ("client.connection", "from ..transports.lifecycle import Limits"),
        ("client.options", "from ..config.settings import Settings"),
        ("engine.whisper.pipeline", "import ctranslate2"),
        ("transports.wyoming.framing", "from .connection import Connection"),
        ("transports.wyoming.connection", "from ...app.whisper import faster_whisper"),
        ("transports.wyoming.connection", "from ..http.server import HttpServer"),
        ("engine.scheduler", "import asyncio"),
        ("transports.wyoming.framing", "from socket import create_connection"),
        ("speech.hysteresis", "import os, time"),
        ("session.session", "import ctranslate2"),
        ("speech.vad", "from faster_whisper.vad import SileroVADModel"),
    ],
)
def test_a_forbidden_import_is_detected(module: str, line: str) -> None:
    assert forbidden(line, module) != []


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("audio.pcm", "from ..errors import AudioError"),
        ("transports.wyoming.connection", "from .framing import FrameReader"),
        ("transports.wyoming.info", "from ... import __version__"),
        ("transports.wyoming.connection", "import asyncio"),
        ("engine.whisper.ctranslate2", "import faster_whisper"),
        ("session.turn", "from ..engine.protocol import Transcript"),
        ("client.connection", "from ..transports.wyoming.framing import FrameReader"),
        ("client.options", "from ..config.options import option"),
    ],
)
def test_an_allowed_import_is_accepted(module: str, line: str) -> None:
    assert forbidden(line, module) == []
