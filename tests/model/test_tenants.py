"""Two tenants whose hotwords resemble each other's speech, in one batch of the real base."""

from __future__ import annotations

import pytest

from tests.support.clips import CLIPS
from wyoming_faster_whisper.engine.protocol import DecodeOptions, Job
from wyoming_faster_whisper.engine.whisper.engine import WhisperEngine
from wyoming_faster_whisper.tenant import Tenant

pytestmark = pytest.mark.model

# Each list has words that sound like what the recordings say.
ONE = ("Livingstone Room", "Lytes", "Kitschen")
OTHER = ("Turnon", "Kitchin", "Lights Inn")


def job(clip: str, name: str, names: tuple[str, ...]) -> Job:
    options = DecodeOptions(language="en", hotwords=names)
    samples = CLIPS[clip].samples
    speech = ((0, len(samples)),)
    tenant = Tenant(name=name, named=True)
    return Job(samples, options, speech=speech, tenant=tenant, quick=True)


def test_a_text_does_not_depend_on_another_tenants_job_in_the_batch(
    engine: WhisperEngine,
) -> None:
    one, other = job("kitchen", "one", ONE), job("lights", "other", OTHER)
    assert engine.batch_key(one)[0] == engine.batch_key(other)[0]  # type: ignore[index]
    alone = [engine.decode([each])[0].text for each in (one, other)]
    assert [found.text for found in engine.decode([other, one])] == alone[::-1]
    foreign = set(" ".join(OTHER).split()) - set(" ".join(ONE).split())
    assert not foreign & set(alone[0].split())
