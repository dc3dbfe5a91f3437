"""The models of a replica: the one that is always loaded, its versions, and those on demand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from wyoming_faster_whisper.engine.protocol import Engine, Job
from wyoming_faster_whisper.engine.recognizer import EVERYTHING, Recognizer, ServedModel
from wyoming_faster_whisper.errors import Busy, ModelError, ServerError, SettingError
from wyoming_faster_whisper.serving.configuration import ModelSpec
from wyoming_faster_whisper.serving.open_inference import UnknownModel
from wyoming_faster_whisper.serving.replica import Replica
from wyoming_faster_whisper.serving.slot import ModelSlot
from wyoming_faster_whisper.testing import FakeEngine, tone

pytestmark = pytest.mark.timeout(20)


class Library:
    """Recognizers of fake engines, by the name and version of their models."""

    def __init__(self, *, held: bool = False) -> None:
        self.held = held  # decodes wait
        self.engines: dict[str, FakeEngine] = {}
        self.closed: list[str] = []

    def recognizer(self, spec: ModelSpec) -> Recognizer:
        def load() -> Engine:
            if spec.version == "bad":
                raise ModelError(f"model {spec} is damaged")
            engine = FakeEngine(lambda job: str(spec), held=self.held)
            return self.engines.setdefault(str(spec), engine)

        return Recognizer(
            models=(ServedModel(spec.name, ("en",), capabilities=EVERYTHING),),
            load=load,
            close=lambda: self.closed.append(str(spec)),
        )


@asynccontextmanager
async def replica(
    *, held: bool = False, **members: Any
) -> AsyncIterator[tuple[Replica, Library]]:
    """Make a replica that keeps all models on demand."""
    library, slots = Library(held=held), dict[str, ModelSlot]()

    async def on_demand(name: str) -> ModelSlot:
        return slots.setdefault(name, made.new_slot())

    made = Replica(library.recognizer, on_demand)
    await made.configure({"model": "base", **members})
    try:
        yield made, library
    finally:
        for engine in library.engines.values():
            engine.release()
        for slot in (made._slot, *slots.values()):
            await slot.close()


async def text(made: Replica, name: str = "base", version: str = "") -> str:
    model = await made.find(name, version)
    return (await model.recognize(Job(tone(0.1)))).text


async def test_the_model_serves_with_and_without_its_version() -> None:
    async with replica(version="2") as (made, _):
        assert await text(made) == await text(made, version="2") == "base:2"
        for name, version in (("base", "1"), ("tiny", ""), ("tiny", "2")):
            with pytest.raises(UnknownModel):
                await made.find(name, version)


async def test_before_the_first_configuration_the_model_is_loading() -> None:
    library = Library()
    made = Replica(library.recognizer, lambda name: asyncio.sleep(0, made.new_slot()))
    assert made.loaded() == []
    await made.check_health()
    assert made.refusal("/v2/models/base/infer", {}) is None
    with pytest.raises(ModelError, match="loading"):
        await made.find("base", "")


async def test_the_old_version_decodes_what_it_has_begun() -> None:
    async with replica(held=True) as (made, library):
        old, library.held = library.engines["base:1"], False
        running = asyncio.create_task(text(made))
        async with asyncio.timeout(10):
            while not old.decoding.is_set():  # noqa: ASYNC110
                await asyncio.sleep(0)
        await made.configure({"model": "base", "version": "2"})
        assert await text(made) == "base:2"
        assert library.closed == []
        old.release()
        assert await running == "base:1"
        async with asyncio.timeout(10):
            while library.closed != ["base:1"]:  # noqa: ASYNC110
                await asyncio.sleep(0)


async def test_the_same_version_is_not_loaded_again() -> None:
    async with replica() as (made, library):
        engine = library.engines.pop("base:1")
        await made.configure({"model": "base"})
        assert library.engines == {}
        library.engines["base:1"] = engine


async def test_a_changed_limit_of_the_queue_takes_effect() -> None:
    async with replica(held=True) as (made, library):
        await made.configure({"model": "base", "max_waiting": 1})
        running = asyncio.create_task(text(made))
        async with asyncio.timeout(10):
            while not library.engines["base:1"].decoding.is_set():  # noqa: ASYNC110
                await asyncio.sleep(0)
        waiting = asyncio.create_task(text(made))
        await asyncio.sleep(0)
        with pytest.raises(Busy):
            await text(made)
        library.engines["base:1"].release()
        assert [await running, await waiting] == ["base:1", "base:1"]


@pytest.mark.parametrize("wrong", [{"version": "bad"}, {"versions": "2"}])
async def test_a_configuration_that_cannot_be_served_changes_nothing(wrong: Any) -> None:
    async with replica(models={"acme": {}}) as (made, _):
        with pytest.raises((ModelError, SettingError)):
            await made.configure({"model": "base", **wrong})
        assert await text(made) == "base:1"
        assert await text(made, "acme") == "acme:1"


async def test_a_model_on_demand_is_loaded_once_and_again_when_it_changes() -> None:
    async with replica(models={"acme": {}}) as (made, library):
        assert "acme:1" not in library.engines
        texts = await asyncio.gather(text(made, "acme"), text(made, "acme"))
        assert set(texts) == {"acme:1"}
        await made.configure({"model": "base", "models": {"acme": {"version": "2"}}})
        assert await text(made, "acme") == "acme:2"
        await made.configure({"model": "base"})
        with pytest.raises(UnknownModel):
            await text(made, "acme")


async def test_a_model_that_is_lost_is_reported() -> None:
    async with replica() as (made, _):
        await made.check_health()
        [model] = made.loaded()
        assert model.ready
        await model.close()
        with pytest.raises(ServerError):
            await made.check_health()


async def test_the_tokens_are_those_of_the_file(tmp_path: Path) -> None:
    def refused(token: str) -> bool:
        headers = {"authorization": f"Bearer {token}"}
        return made.refusal("/v2/models/base/infer", headers) is not None

    file = tmp_path / "token"
    file.write_text("s3cret")
    async with replica() as (made, _):
        assert not refused("guess")
        await made.configure({"model": "base", "token_file": str(file)})
        assert refused("guess")
        assert not refused("s3cret")
        file.write_text("another")
        await made.check_health()
        assert refused("s3cret")
        assert not refused("another")
        with pytest.raises(SettingError, match="cannot be read"):
            await made.configure({"model": "base", "token_file": str(tmp_path / "missing")})
        assert not refused("another")
