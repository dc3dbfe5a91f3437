"""A real Home Assistant in this process, with only the integrations that speech needs.

Runs in the environment of Home Assistant, with whichever version is installed there.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterable, AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from homeassistant import bootstrap, loader
from homeassistant.auth.const import GROUP_ID_ADMIN
from homeassistant.auth.models import TOKEN_TYPE_LONG_LIVED_ACCESS_TOKEN
from homeassistant.components import assist_pipeline, stt
from homeassistant.const import __version__
from homeassistant.core import Context, CoreState, HomeAssistant

from .owner import Owner

DEADLINE = 60.0  # seconds; only a failing test waits this long

VERSION: str = __version__
NUMBER = tuple(int(part) for part in VERSION.split(".")[:2])
READS_WHILE_SENDING = NUMBER >= (2026, 10)
LETS_THE_SERVER_END = NUMBER >= (2026, 10)  # requires_external_vad is honoured
HAS_FLOORS = NUMBER >= (2024, 4)


@dataclass(frozen=True)
class Run:
    """Events of one run of the Assist pipeline."""

    events: list[tuple[float, str, dict[str, Any]]]  # seconds after the start, type, data
    sent: float  # seconds of audio that the microphone sent during the run

    def data(self, kind: str) -> dict[str, Any]:
        return next(data for _, name, data in self.events if name == kind)

    def at(self, kind: str) -> float:
        return next(at for at, name, _ in self.events if name == kind)

    @property
    def kinds(self) -> list[str]:
        return [name for _, name, _ in self.events]

    @property
    def text(self) -> str:
        output = self.data("stt-end")["stt_output"]
        assert isinstance(output["text"], str)
        return output["text"]

    @property
    def error(self) -> str:
        """Code of the error that ended the run."""
        code = self.data("error")["code"]
        assert isinstance(code, str)
        return code


@dataclass
class Microphone:
    """16 kHz, mono, 16-bit audio in chunks of 10 ms, in real time.

    Args:
        pcm: the speech.
        then: seconds of silence after the speech; None = until the pipeline stops reading.
    """

    pcm: bytes
    then: float | None = None
    sent: float = field(default=0.0, init=False)  # seconds

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._chunks()

    async def _chunks(self) -> AsyncIterator[bytes]:
        began = time.monotonic()
        for chunk in self._sound():
            # Relative to the start, so that one late chunk does not delay the following ones.
            await asyncio.sleep(began + self.sent - time.monotonic())
            yield chunk
            self.sent += 0.01

    def _sound(self) -> Any:
        for at in range(0, len(self.pcm) // 320 * 320, 320):
            yield self.pcm[at : at + 320]
        left = None if self.then is None else round(self.then * 100)
        while left is None or left > 0:
            yield bytes(320)
            left = None if left is None else left - 1


class House:
    """A running Home Assistant, and the actions of its user.

    Args:
        folder: configuration folder, which is kept across restarts.
        discovers: whether Home Assistant searches for servers on the network.
    """

    hass: HomeAssistant  # a new instance after each start

    def __init__(self, folder: Path, *, discovers: bool = False) -> None:
        self._folder = folder
        self._discovers = discovers
        self._port = _free_port()

    @property
    def api(self) -> str:
        """Value for --hass-api."""
        return f"http://127.0.0.1:{self._port}/api"

    async def start(self) -> None:
        self.hass = hass = HomeAssistant(str(self._folder))
        loader.async_setup(hass)
        # Everything is installed already; Home Assistant must not install packages.
        hass.config.skip_pip = True
        bootstrap.DEFAULT_INTEGRATIONS.clear()
        config: dict[str, Any] = {
            "homeassistant": {"name": "Test", "unit_system": "metric", "time_zone": "UTC"},
            "http": {"server_host": "127.0.0.1", "server_port": self._port},
            "websocket_api": {},
            "config": {},
            "stt": {},
            "assist_pipeline": {},
        }
        if self._discovers:
            config["zeroconf"] = {}
        assert await bootstrap.async_from_config_dict(config, hass) is not None
        missing = {"stt", "assist_pipeline", "websocket_api", "config"} - hass.config.components
        assert not missing, f"not set up: {missing}"
        await hass.async_start()
        await hass.async_block_till_done()

    async def stop(self) -> None:
        """Stop Home Assistant if it is running; changes are written to the folder."""
        if self.hass.state is not CoreState.stopped:
            await self.hass.async_stop(force=True)

    async def owner(self) -> Owner:
        """Create a user with administrator rights."""
        auth = self.hass.auth
        user = await auth.async_create_user("Owner", group_ids=[GROUP_ID_ADMIN])
        refresh = await auth.async_create_refresh_token(
            user, client_name="Speech", token_type=TOKEN_TYPE_LONG_LIVED_ACCESS_TOKEN
        )
        return Owner(self.api, auth.async_create_access_token(refresh))

    def add_light(self, name: str) -> str:
        """Add a light with this name; return its entity id."""
        from homeassistant.helpers import entity_registry

        entry = entity_registry.async_get(self.hass).async_get_or_create(
            "light", "test", name, original_name=name
        )
        self.hass.states.async_set(entry.entity_id, "off", {"friendly_name": name})
        return str(entry.entity_id)

    async def add_manually(self, host: str, port: int) -> dict[str, Any]:
        """Fill in the form of the Wyoming integration; return the result of the flow."""
        flow = self.hass.config_entries.flow
        form = await flow.async_init("wyoming", context={"source": "user"})
        assert form["type"] == "form", form
        outcome = await flow.async_configure(form["flow_id"], {"host": host, "port": port})
        await self.hass.async_block_till_done()
        return dict(outcome)

    async def add_broker(self, port: int) -> None:
        """Set up the MQTT integration with a broker on this machine."""
        # The integration also reads its entities from there.
        await asyncio.to_thread((self._folder / "configuration.yaml").touch)
        flow = self.hass.config_entries.flow
        form = await flow.async_init("mqtt", context={"source": "user"})
        assert form["step_id"] == "broker", form
        fields: dict[str, Any] = {"broker": "127.0.0.1", "port": port}
        if "other_settings" in form["data_schema"].schema:
            # Collapsed in the form; these two have no default.
            fields["other_settings"] = {"set_client_cert": False, "set_ca_cert": "off"}
        outcome = await flow.async_configure(form["flow_id"], fields)
        assert outcome["type"] == "create_entry", outcome
        await self.hass.async_block_till_done()

    async def publish(self, topic: str, payload: str | bytes, qos: int = 0) -> None:
        """Publish a message over MQTT."""
        from homeassistant.components import mqtt

        await mqtt.async_publish(self.hass, topic, payload, qos=qos)

    async def state(self, domain: str, wanted: Callable[[Any], bool]) -> Any:
        """Wait until the only entity of a domain has a certain state; return the state."""
        async with asyncio.timeout(DEADLINE):
            while True:
                states = self.hass.states.async_all(domain)
                if len(states) == 1 and wanted(states[0]):
                    return states[0]
                # Not an event listener: the entity may have been there before.
                await asyncio.sleep(0.05)

    async def discovered(self) -> dict[str, Any]:
        """Wait until a Wyoming server is found on the network."""
        flows = self.hass.config_entries.flow
        async with asyncio.timeout(DEADLINE):
            # There is no event for a new flow that all versions have.
            while not (found := flows.async_progress_by_handler("wyoming")):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        assert found[0]["context"]["source"] == "zeroconf", found
        return dict(found[0])

    async def confirm(self, found: dict[str, Any]) -> dict[str, Any]:
        """Confirm a discovered server; return the result of the flow."""
        outcome = await self.hass.config_entries.flow.async_configure(found["flow_id"], {})
        await self.hass.async_block_till_done()
        return dict(outcome)

    async def remove(self, entry: Any) -> None:
        await self.hass.config_entries.async_remove(entry.entry_id)
        await self.hass.async_block_till_done()

    def entity_of(self, entry: Any) -> str:
        """Return the id of the speech-to-text entity of a config entry."""
        from homeassistant.helpers import entity_registry

        entities = entity_registry.async_entries_for_config_entry(
            entity_registry.async_get(self.hass), entry.entry_id
        )
        [entity] = [one.entity_id for one in entities if one.domain == "stt"]
        return str(entity)

    def languages(self, entity: str) -> list[str]:
        engine = stt.async_get_speech_to_text_engine(self.hass, entity)
        assert engine is not None
        return sorted(engine.supported_languages)

    async def listen(
        self,
        entity: str,
        microphone: Microphone,
        *,
        during: Callable[[str], None] = lambda kind: None,
    ) -> Run:
        """Run the Assist pipeline from microphone to text.

        Args:
            during: called with the type of each event as it happens.
        """
        hass = self.hass
        pipeline = next(iter(assist_pipeline.async_get_pipelines(hass)))
        await assist_pipeline.async_update_pipeline(
            hass, pipeline, stt_engine=entity, stt_language="en", language="en"
        )
        began = time.monotonic()
        events: list[tuple[float, str, dict[str, Any]]] = []

        def on_event(event: Any) -> None:
            kind = str(event.type.value)
            events.append((time.monotonic() - began, kind, event.data or {}))
            during(kind)

        async with asyncio.timeout(DEADLINE):
            await assist_pipeline.async_pipeline_from_audio_stream(
                hass,
                context=Context(),
                event_callback=on_event,
                stt_metadata=metadata("en"),
                stt_stream=_bytes_of(microphone),
                pipeline_id=pipeline.id,
                end_stage=assist_pipeline.pipeline.PipelineStage.STT,
            )
        return Run(events, microphone.sent)


async def _bytes_of(microphone: Microphone) -> AsyncIterable[bytes]:
    async for chunk in microphone:
        yield chunk


def metadata(language: str) -> stt.SpeechMetadata:
    return stt.SpeechMetadata(
        language=language,
        format=stt.AudioFormats.WAV,
        codec=stt.AudioCodecs.PCM,
        bit_rate=stt.AudioBitRates.BITRATE_16,
        sample_rate=stt.AudioSampleRates.SAMPLERATE_16000,
        channel=stt.AudioChannels.CHANNEL_MONO,
    )


@asynccontextmanager
async def house(folder: Path, *, discovers: bool) -> AsyncIterator[House]:
    """Run Home Assistant until the block ends."""
    home = House(folder, discovers=discovers)
    try:
        await home.start()
        yield home
    finally:
        await home.stop()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
