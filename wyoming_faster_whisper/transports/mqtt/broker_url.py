"""Address of an MQTT broker. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from ...errors import SettingError

# Scheme → default port. For WebSockets these are mosquitto's customary ones.
_PORTS = {"mqtt": 1883, "mqtts": 8883, "ws": 9001, "wss": 9001}
_FORMS = "mqtt://USER@HOST:PORT, mqtts://..., ws://HOST:PORT/PATH or wss://..."


@dataclass(frozen=True, slots=True)
class BrokerUrl:
    """A parsed --mqtt-url."""

    scheme: str  # a key of _PORTS
    host: str
    port: int
    user: str | None = None
    path: str = ""  # of a WebSocket, with the query

    @property
    def tls(self) -> bool:
        return self.scheme in ("mqtts", "wss")

    @property
    def websocket(self) -> bool:
        return self.scheme in ("ws", "wss")

    @staticmethod
    def parse(url: str) -> BrokerUrl:
        """Parse a URL with one of the schemes mqtt, mqtts, ws and wss.

        Raises:
            SettingError: the URL has another form, or contains a password.
        """
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise SettingError(f"--mqtt-url is {url!r}: {error}") from None
        if parts.password is not None:  # not shown: it would be in the log
            raise SettingError(
                "--mqtt-url contains a password, which every process of this machine can read; "
                "give it in WYO_WHISPER_MQTT_PASSWORD or WYO_WHISPER_MQTT_PASSWORD_FILE"
            )
        if parts.scheme not in _PORTS or not parts.hostname or parts.fragment:
            raise SettingError(f"--mqtt-url is {url!r}; it must be {_FORMS}")
        websocket = parts.scheme in ("ws", "wss")
        path = (parts.path or "/mqtt") + (f"?{parts.query}" if parts.query else "")
        if not websocket and (parts.path not in ("", "/") or parts.query):
            raise SettingError(f"--mqtt-url is {url!r}; only ws:// and wss:// have a path")
        return BrokerUrl(
            parts.scheme,
            parts.hostname,
            port or _PORTS[parts.scheme],
            unquote(parts.username) if parts.username else None,
            path if websocket else "",
        )

    def __str__(self) -> str:
        """Return the URL without the user, for the log."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}{self.path}"
