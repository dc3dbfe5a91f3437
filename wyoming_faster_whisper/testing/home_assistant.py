"""Fake Home Assistant: serves the part of the websocket API that holds names.

Needs the extra `hass` (aiohttp). The answers have the format of Home Assistant 2026.11.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from aiohttp import web


@dataclass(slots=True)
class FakeHome:
    """Contents of the registries."""

    entities: dict[str, dict[str, Any]] = field(default_factory=dict)  # registry entries by id
    friendly: dict[str, str] = field(default_factory=dict)  # friendly names by entity id
    hidden: set[str] = field(default_factory=set)  # ids of entities that are not exposed
    areas: list[dict[str, Any]] = field(default_factory=list)
    floors: list[dict[str, Any]] = field(default_factory=list)
    devices: list[dict[str, Any]] = field(default_factory=list)

    def add(
        self,
        entity: str,
        name: str,
        *,
        aliases: Sequence[str | None] = (),
        area: str | None = None,
        device: str | None = None,
        exposed: bool = True,
    ) -> None:
        """Add an entity to the registry, with a state.

        Args:
            entity: its id, "light.lamp".
            aliases: may contain None, as in the registry.
            exposed: to the conversation agent.
        """
        self.entities[entity] = {
            "entity_id": entity,
            "name": None,
            "original_name": name,
            "aliases": list(aliases),
            "area_id": area,
            "device_id": device,
            "disabled_by": None,
        }
        self.friendly[entity] = name
        if not exposed:
            self.hidden.add(entity)

    def add_area(self, area: str, name: str, *, floor: str | None = None) -> None:
        self.areas.append({"area_id": area, "name": name, "aliases": [], "floor_id": floor})

    def add_floor(self, floor: str, name: str) -> None:
        self.floors.append({"floor_id": floor, "name": name, "aliases": [], "level": None})


class FakeHomeAssistant:
    """Serves a FakeHome on 127.0.0.1 inside an `async with` block.

    Args:
        home: may change at any time.
        token: the only valid access token.
        admin: the token's user is an administrator; others may not list the exposed entities.
        unknown: commands that it rejects as unknown, like an older version.
    """

    def __init__(
        self,
        home: FakeHome,
        *,
        token: str = "secret",
        admin: bool = True,
        unknown: Sequence[str] = (),
    ) -> None:
        self.home = home
        self.fetches = 0  # connections that authenticated
        self.go = asyncio.Event()  # cleared: no command is answered
        self.go.set()
        self._token = token
        self._admin = admin
        self._unknown = frozenset(unknown)
        self._runner: web.AppRunner | None = None
        self._port = 0

    @property
    def api(self) -> str:
        """URL for --hass-api."""
        return f"http://127.0.0.1:{self._port}/api"

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_get("/api/websocket", self.talk)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    async def talk(self, request: web.Request) -> web.WebSocketResponse:
        """Handle one websocket connection.

        Public, so that a fake Supervisor can route connections here.
        """
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_json({"type": "auth_required", "ha_version": "2026.11.0"})
        auth = await socket.receive_json()
        if auth != {"type": "auth", "access_token": self._token}:
            refusal = {"type": "auth_invalid", "message": "Invalid access token or password"}
            await socket.send_json(refusal)
            await socket.close()
            return socket
        await socket.send_json({"type": "auth_ok", "ha_version": "2026.11.0"})
        self.fetches += 1
        await self.go.wait()
        async for message in socket:
            question = json.loads(message.data)
            for answer in self._answers(question):
                await socket.send_json({"id": question["id"], **answer})
        return socket

    def _answers(self, question: Mapping[str, Any]) -> Sequence[dict[str, Any]]:
        command = question["type"]
        if command in self._unknown:
            return [_error("unknown_command", "Unknown command.")]
        home = self.home
        match command:
            case "homeassistant/expose_entity/list" if not self._admin:
                return [_error("unauthorized", "Unauthorized")]
            case "homeassistant/expose_entity/list":
                exposed = {
                    entity: {"conversation": True}
                    for entity in home.friendly
                    if entity not in home.hidden
                }
                return [_result({"exposed_entities": exposed})]
            case "config/entity_registry/get_entries":
                return [_result({id: home.entities.get(id) for id in question["entity_ids"]})]
            case "subscribe_entities":
                states = {
                    entity: {"s": "on", "a": {"friendly_name": home.friendly[entity]}}
                    for entity in question["entity_ids"]
                    if entity in home.friendly
                }
                return [_result(None), {"type": "event", "event": {"a": states}}]
            case "get_states":
                return [
                    _result(
                        [
                            {"entity_id": id, "attributes": {"friendly_name": name}}
                            for id, name in home.friendly.items()
                        ]
                    )
                ]
            case "config/area_registry/list":
                return [_result(home.areas)]
            case "config/floor_registry/list":
                return [_result(home.floors)]
            case "config/device_registry/list":
                return [_result(home.devices)]
        return [_error("unknown_command", "Unknown command.")]


def _result(result: Any) -> dict[str, Any]:
    return {"type": "result", "success": True, "result": result}


def _error(code: str, message: str) -> dict[str, Any]:
    return {"type": "result", "success": False, "error": {"code": code, "message": message}}
