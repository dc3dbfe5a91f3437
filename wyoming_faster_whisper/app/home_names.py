"""Make the cache of the home's names from the settings. Its dependency is an optional extra."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ..config.settings import Settings
from ..tenants.tenants import Tenants

if TYPE_CHECKING:
    from ..biasing.cache import NameCache


def name_cache(
    settings: Settings, model: str, language: str, tenants: Tenants
) -> NameCache | None:
    """Return a cache of the names that Home Assistant exposes; None without --hass-token.

    Args:
        settings: the server's settings.
        model: name of the default model.
        language: Whisper's code of the language that is usually spoken.
        tenants: whose default tenant's vocabulary belongs to the home as well.

    Raises:
        SettingError: the extra is not installed, or the address is not a URL.
    """
    if settings.hass_token is None:
        return None
    from ..biasing.cache import NameCache
    from ..biasing.correct import corrector
    from ..biasing.home_assistant import HomeAssistant
    from ..engine.whisper.calibration.values import Calibrations

    hass = HomeAssistant(settings.hass_api, settings.hass_token)
    weights = Calibrations(model).find(language)[0].names

    async def fetch() -> tuple[str, ...]:
        names = await hass.names()
        tenant = tenants.directory.default
        # The corrector is built and cached here, in a thread: no utterance has to wait for it.
        await asyncio.to_thread(
            corrector, tenant.name, (*tenant.vocabulary, *names), language, weights
        )
        return names

    return NameCache(
        fetch, interval=settings.hass_refresh_seconds, max_wait=settings.hass_prompt_timeout
    )
