"""The user of Home Assistant: changes settings over the websocket API, as a browser does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import aiohttp


@dataclass(frozen=True)
class Owner:
    """A user with administrator rights.

    Args:
        api: URL of Home Assistant's API.
        token: a long-lived access token.
    """

    api: str
    token: str

    async def send_command(self, command: str, **what: Any) -> Any:
        """Send a command of the websocket API; return its result."""
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(f"{self.api}/websocket") as socket,
        ):
            assert (await socket.receive_json())["type"] == "auth_required"
            await socket.send_json({"type": "auth", "access_token": self.token})
            assert (await socket.receive_json())["type"] == "auth_ok"
            await socket.send_json({"id": 1, "type": command, **what})
            answer = await socket.receive_json()
        assert answer["success"], answer
        return answer["result"]

    async def add_floor(self, name: str) -> str:
        return str(
            (await self.send_command("config/floor_registry/create", name=name))["floor_id"]
        )

    async def add_area(self, name: str, **what: Any) -> str:
        area = await self.send_command("config/area_registry/create", name=name, **what)
        return str(area["area_id"])

    async def change(self, entity: str, **what: Any) -> None:
        """Change fields of an entity, such as its area or aliases."""
        await self.send_command("config/entity_registry/update", entity_id=entity, **what)

    async def expose(self, entity: str, *, to_assist: bool = True) -> None:
        await self.send_command(
            "homeassistant/expose_entity",
            assistants=["conversation"],
            entity_ids=[entity],
            should_expose=to_assist,
        )
