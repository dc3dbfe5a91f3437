"""Two tenants in one batch: each text is biased by the names of its own tenant only."""

from __future__ import annotations

import random
from dataclasses import replace

from wyoming_faster_whisper.engine.protocol import DecodeOptions, Job
from wyoming_faster_whisper.engine.whisper.pipeline import WhisperPipeline
from wyoming_faster_whisper.tenant import Tenant
from wyoming_faster_whisper.testing import silence
from wyoming_faster_whisper.testing.acoustic_model import FakeAcousticModel, heard

SAID = "Set the incubi now."
ECOBEE, EKOBI = "Set the Ecobee now.", "Set the Ekobi now."


def job(name: str, *names: str) -> Job:
    options = DecodeOptions(language="en", hotwords=names)
    return Job(silence(2.0), options, tenant=Tenant(name=name, named=True))


def test_jobs_that_differ_by_their_names_only_may_share_a_batch() -> None:
    pipeline = WhisperPipeline(FakeAcousticModel(heard(SAID)))
    one, other = job("one", "Ecobee"), job("other", "Ekobi")
    assert pipeline.batch_key(one) == pipeline.batch_key(other)
    prompted = replace(one, options=replace(one.options, prompt="A kitchen."))
    assert pipeline.batch_key(prompted) != pipeline.batch_key(other)


def test_crossing_vocabularies_in_a_thousand_batches_leak_into_no_text() -> None:
    """What both say resembles a name of the other. The order and the common names vary."""
    model = FakeAcousticModel(heard(SAID), likely=[ECOBEE, EKOBI])
    pipeline, dice = WhisperPipeline(model), random.Random(1)
    for round in range(1000):
        common = dice.choice([(), ("Lyte",), ("Larder", "Lyte")])
        one, other = job("one", *common, "Ecobee"), job("other", "Ekobi", *common)
        jobs = [one, other, job("none", *common)]
        dice.shuffle(jobs)
        model.generated.clear()
        model.scored.clear()
        texts = {
            one.tenant.name: found.text
            for one, found in zip(jobs, pipeline.decode(jobs, 5), strict=True)
        }
        assert texts == {"one": ECOBEE, "other": EKOBI, "none": SAID}, round
        asked = [*model.generated[0].prompts, *(call.prompt for call in model.scored)]
        assert not [text for text in asked if "Ecobee" in text and "Ekobi" in text]
