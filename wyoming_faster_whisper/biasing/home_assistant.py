"""Client of Home Assistant's WebSocket API that fetches the names in a home.

Read-only: the entities exposed to Assist with their aliases, and the areas and floors.
It takes two or three round trips, because independent requests are sent together. Needs
the extra "hass" (aiohttp).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from ..errors import ServerError, SettingError, install_command, printable, visible

try:
    import aiohttp
except ImportError as missing:
    raise SettingError(
        f"--hass-token needs the extra hass: {install_command('hass')}"
    ) from missing

_LARGEST = 32 * 2**20  # bytes per message; a thousand exposed entities take one megabyte

# Domains whose entities people address by name. Sensors, of which a home has hundreds, are
# usually addressed by area.
_SPOKEN_DOMAINS = frozenset(
    "climate cover fan humidifier lawn_mower light lock media_player scene script siren switch "
    "todo vacuum valve water_heater".split()
)


class HomeAssistantError(ServerError):
    """Home Assistant is unreachable, or it refused a request."""

    code = "hass"


class HomeAssistant:
    """Client of one Home Assistant server.

    Args:
        api: URL of its API, for example http://homeassistant.local:8123/api.
        token: long-lived access token of an administrator.
        timeout: seconds for one fetch, all round trips together.

    Raises:
        SettingError: api is not an http:// or https:// URL.
    """

    def __init__(self, api: str, token: str, *, timeout: float = 10.0) -> None:
        parts = urlsplit(api)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise SettingError(f"--hass-api is {api!r}; it must be an http:// or https:// URL")
        scheme = {"http": "ws", "https": "wss"}[parts.scheme]
        path = parts.path.rstrip("/") + "/websocket"
        self._url = urlunsplit((scheme, parts.netloc, path, "", ""))
        self._token = token
        self._timeout = timeout

    def __repr__(self) -> str:
        return f"<HomeAssistant {self._url}>"

    async def names(self) -> tuple[str, ...]:
        """Fetch all names, those most likely to be spoken first.

        The order is: areas and floors that contain exposed entities, entities of domains
        that people address by name, other areas and floors, other entities. Aliases follow
        their name.

        Raises:
            HomeAssistantError: the connection failed, the answer took longer than timeout,
                or Home Assistant refused a request.
        """
        try:
            async with (
                asyncio.timeout(self._timeout),
                aiohttp.ClientSession() as session,
                session.ws_connect(self._url, max_msg_size=_LARGEST) as socket,
            ):
                return await _names(await _Conversation.begin(socket, self._token))
        except HomeAssistantError:
            raise
        except TimeoutError:
            raise HomeAssistantError(
                f"{self._url} did not answer within {self._timeout:g} s"
            ) from None
        except aiohttp.WSServerHandshakeError as error:
            sentence = f"{self._url} answered with status {error.status}"
            if error.status < 500:  # above, a proxy says that Home Assistant is not running yet
                sentence += "; check --hass-api, like http://homeassistant.local:8123/api"
            raise HomeAssistantError(sentence) from error
        except (aiohttp.ClientError, OSError) as error:
            raise HomeAssistantError(f"{self._url}: {printable(error, 200)}") from error
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            # The parser reads fields unchecked; an unexpected shape ends up here.
            raise HomeAssistantError(
                f"{self._url} sent an unexpected response: {error!r}"
            ) from error


class _Conversation:
    """Authenticated WebSocket connection that matches responses to numbered requests."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._requests = 0  # sent so far; each has a number

    @classmethod
    async def begin(cls, socket: aiohttp.ClientWebSocketResponse, token: str) -> _Conversation:
        await socket.receive_json()  # auth_required
        await socket.send_json({"type": "auth", "access_token": token})
        answer = await socket.receive_json()
        if answer["type"] != "auth_ok":
            raise HomeAssistantError(
                f"Home Assistant does not accept the token: {printable(answer.get('message'))}"
            )
        return cls(socket)

    async def ask(self, *questions: Mapping[str, Any]) -> list[Any]:
        """Send all requests together; return the answers in the order of the requests.

        The answer to a subscription is its first event. An answer is None if this version
        of Home Assistant does not know the request.
        """
        numbers = range(self._requests + 1, self._requests + 1 + len(questions))
        self._requests += len(questions)
        for number, question in zip(numbers, questions, strict=True):
            await self._socket.send_json({"id": number, **question})
        answers: dict[int, Any] = {}
        while len(answers) < len(questions):
            message = await self._socket.receive_json()
            number = message.get("id")
            if number not in numbers:
                continue  # event of an earlier subscription
            question = questions[number - numbers[0]]
            if message["type"] == "event":
                answers.setdefault(number, message["event"])
            elif not message["success"]:
                _check_refusal(question, message.get("error") or {})
                answers[number] = None
            elif not question["type"].startswith("subscribe_"):
                answers[number] = message["result"]
        return [answers[number] for number in numbers]


def _check_refusal(question: Mapping[str, Any], error: Mapping[str, Any]) -> None:
    """Raise HomeAssistantError for a refusal, unless the request is merely unknown."""
    if error.get("code") == "unknown_command":
        return
    if error.get("code") == "unauthorized":
        raise HomeAssistantError("the token is not an administrator's; others cannot list names")
    raise HomeAssistantError(f"{question['type']}: {printable(error.get('message'))}")


async def _names(home: _Conversation) -> tuple[str, ...]:
    exposure, areas, floors = await home.ask(
        {"type": "homeassistant/expose_entity/list"},
        {"type": "config/area_registry/list"},
        {"type": "config/floor_registry/list"},
    )
    exposed = sorted(
        entity
        for entity, assistants in ((exposure or {}).get("exposed_entities") or {}).items()
        if assistants.get("conversation")
    )
    entries: dict[str, Any] = {}
    states: dict[str, Any] = {}
    if exposed:
        entries, event = await home.ask(
            {"type": "config/entity_registry/get_entries", "entity_ids": exposed},
            {"type": "subscribe_entities", "entity_ids": exposed},
        )
        entries = {entity: entry for entity, entry in (entries or {}).items() if entry}
        states = (event or {}).get("a") or {}
    # An entity without an area of its own is in the area of its device.
    device_areas: dict[str, str] = {}
    if any(entry.get("device_id") and not entry.get("area_id") for entry in entries.values()):
        [devices] = await home.ask({"type": "config/device_registry/list"})
        device_areas = {device["id"]: device["area_id"] for device in devices or ()}

    spoken: list[str] = []
    others: list[str] = []
    used: set[str] = set()
    for entity in exposed:
        entry = entries.get(entity, {})
        if entry.get("disabled_by"):
            continue
        used.add(entry.get("area_id") or device_areas.get(entry.get("device_id"), ""))
        # Prefer the name on the dashboard: the registry may omit the device name.
        name = states.get(entity, {}).get("a", {}).get("friendly_name")
        tier = spoken if entity.partition(".")[0] in _SPOKEN_DOMAINS else others
        tier += [name or entry.get("name") or entry.get("original_name"), *_aliases(entry)]
    used_floors = {area.get("floor_id") for area in areas or () if area["area_id"] in used}
    places = [(area, area["area_id"] in used) for area in areas or ()]
    places += [(floor, floor["floor_id"] in used_floors) for floor in floors or ()]
    return unique(
        (
            *(name for place, in_use in places if in_use for name in _place_names(place)),
            *spoken,
            *(name for place, in_use in places if not in_use for name in _place_names(place)),
            *others,
        )
    )


def _aliases(record: Mapping[str, Any]) -> Sequence[Any]:
    return record.get("aliases") or ()


def _place_names(place: Mapping[str, Any]) -> Sequence[Any]:
    return (place.get("name"), *_aliases(place))


def unique(names: Iterable[Any]) -> tuple[str, ...]:
    """Return each name once, in its first spelling, cleaned of invisible characters.

    Names are compared without case. Values that are not text are dropped: since 2026 an
    alias can be null in Home Assistant's registry.
    """
    found: dict[str, str] = {}
    for name in names:
        if isinstance(name, str) and (cleaned := visible(name)):
            found.setdefault(cleaned.casefold(), cleaned)
    return tuple(found.values())
