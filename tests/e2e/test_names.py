"""Names fetched from a fake Home Assistant over a real websocket."""

from __future__ import annotations

import asyncio
import logging

import pytest
from aiohttp import web
from wyoming.asr import Transcribe

from tests.support.serving import PCM, recording
from wyoming_faster_whisper.biasing.cache import NameCache
from wyoming_faster_whisper.biasing.home_assistant import HomeAssistant, HomeAssistantError
from wyoming_faster_whisper.errors import ServerError, SettingError
from wyoming_faster_whisper.testing import FakeEngine, pcm16, tone
from wyoming_faster_whisper.testing.home_assistant import FakeHome, FakeHomeAssistant

from .conftest import Serve


def home() -> FakeHome:
    fake = FakeHome()
    fake.add_floor("up", "Upstairs")
    fake.add_floor("attic", "Attic")
    fake.add_area("den", "Den", floor="up")
    fake.add_area("store", "Store Room")
    fake.add_area("snug", "Snug")
    fake.devices.append({"id": "box", "area_id": "snug"})
    fake.add("light.lamp", "Lamp", aliases=("Standing Light", None), area="den")
    fake.add("sensor.warmth", "Warmth", device="box")
    fake.add("switch.secret", "Secret", exposed=False)
    fake.add("fan.old", "Old Fan")
    fake.entities["fan.old"]["disabled_by"] = "user"
    fake.friendly["todo.list"] = "  Shopping\nList "  # not in the registry
    return fake


async def test_names_are_ordered_by_use() -> None:
    async with FakeHomeAssistant(home()) as hass:
        names = await HomeAssistant(hass.api, "secret").names()
    assert names == (
        *(
            "Den",
            "Snug",
            "Upstairs",
        ),  # areas and floors with exposed entities; Snug through a device
        *("Lamp", "Standing Light", "Shopping List"),
        *("Store Room", "Attic"),
        "Warmth",
    )


async def test_a_home_without_exposed_entities_still_has_its_areas() -> None:
    fake = home()
    fake.hidden |= set(fake.friendly)
    async with FakeHomeAssistant(fake) as hass:
        names = await HomeAssistant(hass.api, "secret").names()
    assert names == ("Den", "Store Room", "Snug", "Upstairs", "Attic")


async def test_an_older_home_assistant_without_floors_works() -> None:
    async with FakeHomeAssistant(home(), unknown=["config/floor_registry/list"]) as hass:
        names = await HomeAssistant(hass.api, "secret").names()
    assert "Den" in names
    assert "Upstairs" not in names


async def test_a_rejected_token_is_reported() -> None:
    async with FakeHomeAssistant(home()) as hass:
        with pytest.raises(HomeAssistantError, match="does not accept the token"):
            await HomeAssistant(hass.api, "guess").names()


async def test_a_token_must_belong_to_an_administrator() -> None:
    async with FakeHomeAssistant(home(), admin=False) as hass:
        with pytest.raises(HomeAssistantError, match="administrator"):
            await HomeAssistant(hass.api, "secret").names()


async def test_an_unreachable_home_assistant_raises_an_error() -> None:
    async with FakeHomeAssistant(home()) as hass:
        api = hass.api
    with pytest.raises(HomeAssistantError, match="ws://"):
        await HomeAssistant(api, "secret").names()


async def test_a_url_without_the_api_is_reported() -> None:
    async with FakeHomeAssistant(home()) as hass:
        api = hass.api.removesuffix("/api")
        with pytest.raises(HomeAssistantError) as caught:
            await HomeAssistant(api, "secret").names()
    assert str(caught.value) == (
        f"{api.replace('http', 'ws')}/websocket answered with status 404; check --hass-api, "
        "like http://homeassistant.local:8123/api"
    )


async def test_a_home_assistant_that_starts_behind_a_proxy_is_not_a_wrong_url() -> None:
    runner = web.AppRunner(web.Application(middlewares=[_unavailable]))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    api = f"127.0.0.1:{runner.addresses[0][1]}/api"
    with pytest.raises(HomeAssistantError) as caught:
        await HomeAssistant(f"http://{api}", "secret").names()
    await runner.cleanup()
    assert str(caught.value) == f"ws://{api}/websocket answered with status 503"


@web.middleware
async def _unavailable(request: web.Request, handler: object) -> web.Response:
    return web.Response(status=503)


async def test_a_request_to_a_silent_home_assistant_times_out() -> None:
    async with FakeHomeAssistant(home()) as hass:
        hass.go.clear()
        with pytest.raises(HomeAssistantError, match="did not answer"):
            await HomeAssistant(hass.api, "secret", timeout=0.1).names()


def test_an_unusable_url_is_refused() -> None:
    with pytest.raises(SettingError, match="hass-api"):
        HomeAssistant("homeassistant.local", "secret")


class Source:
    """Source of names that answers when the test calls say() or fail()."""

    def __init__(self) -> None:
        self.asked = 0
        self.answer: asyncio.Future[tuple[str, ...]] = asyncio.Future()

    async def __call__(self) -> tuple[str, ...]:
        self.asked += 1
        return await asyncio.shield(self.answer)

    def say(self, *names: str) -> None:
        self.answer.set_result(names)

    def fail(self) -> None:
        self.answer.set_exception(ServerError("no answer"))

    def again(self) -> None:
        self.answer = asyncio.Future()


async def finish(cache: NameCache) -> None:
    assert cache._task is not None
    await cache._task


async def test_the_first_utterance_waits_for_names() -> None:
    source = Source()
    cache = NameCache(source, max_wait=10)
    cache.refresh()
    waiting = asyncio.create_task(cache.wait())
    await asyncio.sleep(0)
    assert not waiting.done()
    source.say("Ecobee")
    assert await waiting == ("Ecobee",)


async def test_an_utterance_waits_for_names_no_longer_than_max_wait() -> None:
    cache = NameCache(Source(), max_wait=0.01)
    cache.refresh()
    assert await cache.wait() == ()
    await cache.close()


async def test_only_the_first_utterance_waits_for_names_that_do_not_arrive() -> None:
    source = Source()
    cache = NameCache(source, max_wait=0.01)
    cache.refresh()
    await cache.wait()
    waiting = asyncio.create_task(cache.wait())
    await asyncio.sleep(0)
    assert waiting.done()
    await cache.close()


async def test_an_utterance_does_not_wait_for_newer_names() -> None:
    source = Source()
    cache = NameCache(source, max_wait=10)
    cache.refresh()
    source.say("Ecobee")
    await finish(cache)
    source.again()
    cache.refresh()
    assert await cache.wait() == ("Ecobee",)
    source.say("Nanit")
    await finish(cache)
    assert cache.names == ("Nanit",)


async def test_a_failed_fetch_keeps_the_names_and_causes_one_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING)
    source = Source()
    cache = NameCache(source)
    cache.refresh()
    source.say("Ecobee")
    await finish(cache)
    for _ in range(2):
        source.again()
        source.fail()
        cache.refresh()
        await finish(cache)
    assert cache.names == ("Ecobee",)
    assert [record.message for record in caplog.records] == [
        "No names from Home Assistant: no answer"
    ]


async def test_an_utterance_does_not_wait_after_a_failed_fetch() -> None:
    source = Source()
    cache = NameCache(source, max_wait=1e9)
    cache.refresh()
    source.fail()
    await finish(cache)
    source.again()
    cache.refresh()
    assert await cache.wait() == ()
    await cache.close()


async def test_fetches_keep_a_minimum_interval() -> None:
    now = 0.0
    source = Source()
    cache = NameCache(source, interval=60, clock=lambda: now)
    source.say("Ecobee")
    cache.refresh()
    await finish(cache)
    now = 59.0
    cache.refresh()
    assert source.asked == 1
    now = 60.0
    cache.refresh()
    await finish(cache)
    assert source.asked == 2


async def test_two_utterances_share_one_fetch() -> None:
    source = Source()
    cache = NameCache(source)
    cache.refresh()
    cache.refresh()
    source.say("Ecobee")
    await finish(cache)
    assert source.asked == 1


async def test_an_utterance_is_decoded_with_names_from_the_request_and_the_home(
    serve: Serve,
) -> None:
    engine = FakeEngine()
    async with FakeHomeAssistant(home()) as hass:
        server = await serve(
            engine, hass_token="secret", hass_api=hass.api, hass_prompt_timeout=30
        )
        async with server.client() as client:
            await client.send(
                Transcribe(transcript_names=["Ecobee"]).event(),
                *recording(pcm16(tone(1.0)), PCM, chunk=320),
            )
            await client.transcript()
    names = engine.decoded[-1].options.hotwords
    assert names[:2] == ("Ecobee", "Den")
    assert "Secret" not in names


async def test_answers_without_home_assistant_arrive_and_cause_one_warning(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    async with FakeHomeAssistant(home()) as hass:
        api = hass.api
    server = await serve(hass_token="secret", hass_api=api)
    async with server.client() as client:
        for _ in range(3):
            await client.say(tone(1.0))
            assert await client.transcript() == "1.0 seconds"
    assert sum("No names from" in record.message for record in caplog.records) == 1
