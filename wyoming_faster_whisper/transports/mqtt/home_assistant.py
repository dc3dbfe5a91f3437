"""Home Assistant's MQTT discovery, and the events of its event entities. Pure.

An event entity takes texts of any length as attributes; a state holds 255 characters. Home
Assistant's documentation describes the fields: integrations "MQTT" and "MQTT Event".
"""

from __future__ import annotations

import json
import re
import zlib
from dataclasses import dataclass
from typing import Any

from ... import __version__
from ...errors import ServerError
from ...session.events import Answer
from .hermes import likelihood
from .topics import Topics

ONLINE, OFFLINE = b"online", b"offline"

TRANSCRIPT, NO_SPEECH, ERROR = "transcript", "no_speech", "error"
"""Types of events."""


@dataclass(frozen=True, slots=True)
class Discovery:
    """Discovery messages of one server.

    Args:
        prefix: Home Assistant's discovery prefix, "homeassistant" unless it was changed there.
        topics: the server's topics. Their prefix identifies the server.
    """

    prefix: str
    topics: Topics

    @property
    def birth(self) -> str:
        """Topic on which Home Assistant says "online" after its start."""
        return f"{self.prefix}/status"

    def connectivity(self) -> tuple[str, bytes]:
        """Return topic and payload that describe the sensor of the server's connection."""
        return self._config(
            "binary_sensor",
            "status",
            {
                "name": "Connected",
                "device_class": "connectivity",
                "entity_category": "diagnostic",
                "state_topic": self.topics.status,
                "payload_on": ONLINE.decode(),
                "payload_off": OFFLINE.decode(),
            },
        )

    def site(self, site: str) -> tuple[str, bytes]:
        """Return topic and payload that describe the event entity of a site."""
        return self._config(
            "event",
            f"site_{identifier(site)}",
            {
                "name": f"Speech {site}",
                "icon": "mdi:microphone-message",
                "state_topic": self.topics.event(site),
                "event_types": [TRANSCRIPT, NO_SPEECH, ERROR],
                "availability_topic": self.topics.status,
            },
        )

    def _config(self, component: str, name: str, fields: dict[str, Any]) -> tuple[str, bytes]:
        server = identifier(self.topics.prefix)
        config = {
            **fields,
            "unique_id": f"{server}_{name}",
            "device": {
                "identifiers": [server],
                "name": "Faster Whisper",
                "sw_version": __version__,
            },
            "origin": {"name": "wyoming-faster-whisper", "sw_version": __version__},
        }
        return f"{self.prefix}/{component}/{server}/{name}/config", json.dumps(config).encode()


def identifier(text: str) -> str:
    """Return a text as part of a discovery topic: only letters, digits, - and _.

    Texts that differ give different identifiers.
    """
    plain = re.sub(r"[^a-zA-Z0-9-]", "_", text)
    return plain if plain == text else f"{plain}_{zlib.crc32(text.encode()):08x}"


def answered(session: str | None, answer: Answer) -> bytes:
    """Return the event of an answer."""
    transcript, segments = answer.transcript, answer.segments
    return _event(
        TRANSCRIPT if transcript.text else NO_SPEECH,
        session,
        {
            "text": transcript.text,
            "language": transcript.language,
            "language_probability": round(transcript.language_probability, 4),
            "likelihood": likelihood(segments) if transcript.text else 0.0,
            "no_speech_probability": round(
                max((segment.no_speech_prob for segment in segments), default=1.0), 4
            ),
            "seconds": round(answer.record.heard, 2),
        },
    )


def failed(session: str | None, cause: ServerError) -> bytes:
    """Return the event of an utterance without an answer."""
    return _event(ERROR, session, {"error": str(cause), "code": cause.code})


def _event(kind: str, session: str | None, fields: dict[str, Any]) -> bytes:
    event = {"event_type": kind, **fields, "session_id": session}
    return json.dumps(event, ensure_ascii=False).encode("utf-8", "replace")
