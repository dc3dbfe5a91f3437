"""Topics of Hermes, and the same messages on topics of one site each. Pure.

Hermes names the site of most messages only in the payload, so a broker cannot allow a satellite
its own site and no other. Each message therefore also has a topic PREFIX/SITE/NAME, to which an
access control list can be applied. A session that was started on one family of topics receives
audio and is answered on that family only.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from ...errors import ProtocolError, SettingError, printable

LONGEST_ID = 128
"""Characters of a site id or a session id."""

# It is a level of a topic, so it has no "/", no wildcard, and does not begin with "$".
_ID = re.compile(r"[^/+#$][^/+#]*")


class Kind(Enum):
    """Kind of an incoming message. The values are the last level of its topic."""

    START = "startListening"
    STOP = "stopListening"
    TOGGLE_ON = "toggleOn"
    TOGGLE_OFF = "toggleOff"
    FRAME = "audioFrame"
    SESSION_FRAME = "audioSessionFrame"
    STATUS = "status"  # of a satellite: "offline" is its Will


_CONTROLS = (Kind.START, Kind.STOP, Kind.TOGGLE_ON, Kind.TOGGLE_OFF)
_BY_NAME = {kind.value: kind for kind in Kind}


@dataclass(frozen=True, slots=True)
class Incoming:
    """Parsed topic of a received message."""

    kind: Kind
    site: str | None = None  # None = it is in the payload
    session: str | None = None  # of a SESSION_FRAME
    hermes: bool = True  # False for the topics of one site


def valid_id(text: str) -> bool:
    """Return whether a text can be a site id or a session id."""
    return (
        0 < len(text) <= LONGEST_ID
        and text.isprintable()
        and text not in (".", "..")
        and _ID.fullmatch(text) is not None
    )


def check_id(text: str, what: str) -> None:
    """Check a site id or a session id.

    Raises:
        ProtocolError: it cannot be a level of a topic, or is too long.
    """
    if not valid_id(text):
        raise ProtocolError(
            f"{what} is {printable(text, 40)!r}; it must be 1 to {LONGEST_ID} printable "
            "characters without / + # and must not begin with $"
        )


def check_prefix(prefix: str, option: str = "--mqtt-prefix") -> None:
    """Check an option with a prefix of topics.

    Raises:
        SettingError: topics cannot begin with it.
    """
    levels = prefix.split("/")
    if not all(map(valid_id, levels)) or levels[0] in ("hermes", "rhasspy"):
        raise SettingError(
            f"{option} is {prefix!r}; it must be levels of a topic, like home/speech, "
            "without wildcards, and not hermes or rhasspy"
        )


@dataclass(frozen=True, slots=True)
class Topics:
    """All topics of a server, for one prefix."""

    prefix: str

    @property
    def controls(self) -> list[str]:
        """Filters of the messages that the server always receives."""
        names = [kind.value for kind in _CONTROLS]
        return [
            *(f"hermes/asr/{name}" for name in names),
            *(f"{self.prefix}/+/{name}" for name in (*names, Kind.STATUS.value)),
        ]

    def audio(self, site: str, *, hermes: bool) -> list[str]:
        """Filters of a site's audio, which the server receives while a session is open."""
        family = f"hermes/audioServer/{site}" if hermes else f"{self.prefix}/{site}"
        return [f"{family}/audioFrame", f"{family}/+/audioSessionFrame"]

    @property
    def status(self) -> str:
        """Retained: "online" or "offline"."""
        return f"{self.prefix}/status"

    def event(self, site: str) -> str:
        """Topic of the events for Home Assistant."""
        return f"{self.prefix}/{site}/event"

    def text(self, site: str, *, hermes: bool) -> str:
        return "hermes/asr/textCaptured" if hermes else f"{self.prefix}/{site}/textCaptured"

    def partial_text(self, site: str, *, hermes: bool) -> str:
        # As in Snips; Rhasspy has none.
        name = "partialTextCaptured"
        return f"hermes/asr/{name}" if hermes else f"{self.prefix}/{site}/{name}"

    def error(self, site: str, *, hermes: bool) -> str:
        return "hermes/error/asr" if hermes else f"{self.prefix}/{site}/error"

    def recording_started(self, site: str, *, hermes: bool) -> str:
        name = "recordingStarted"
        return f"rhasspy/asr/{name}" if hermes else f"{self.prefix}/{site}/{name}"

    def recording_finished(self, site: str, *, hermes: bool) -> str:
        name = "recordingFinished"
        return f"rhasspy/asr/{name}" if hermes else f"{self.prefix}/{site}/{name}"

    def audio_captured(self, site: str, session: str | None, *, hermes: bool) -> str:
        family = "rhasspy/asr" if hermes else self.prefix
        return f"{family}/{site}/{session or 'default'}/audioCaptured"

    def read(self, topic: str) -> Incoming | None:
        """Return what a topic means; None if the server does not subscribe to such a one."""
        match topic.split("/"):
            case ["hermes", "asr", name] if _BY_NAME.get(name) in _CONTROLS:
                return Incoming(_BY_NAME[name])
            case ["hermes", "audioServer", site, "audioFrame"]:
                return Incoming(Kind.FRAME, site)
            case ["hermes", "audioServer", site, session, "audioSessionFrame"]:
                return Incoming(Kind.SESSION_FRAME, site, session)
        if not topic.startswith(f"{self.prefix}/"):
            return None
        match topic.removeprefix(f"{self.prefix}/").split("/"):
            case [site, session, "audioSessionFrame"]:
                return Incoming(Kind.SESSION_FRAME, site, session, hermes=False)
            case [site, name] if name in _BY_NAME and name != Kind.SESSION_FRAME.value:
                return Incoming(_BY_NAME[name], site, hermes=False)
        return None
