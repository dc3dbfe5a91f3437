"""Info event: how this server describes itself to clients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from wyoming.info import AsrModel, AsrProgram, Attribution, Info

from ... import __version__
from ...engine import recognizer as offered

# Home Assistant names its entity after the program, and the add-on's health check looks for it.
# As in the reference server, it is the same for every speech-to-text library.
PROGRAM = "faster-whisper"


@dataclass
class _Model(AsrModel):
    """Speech-to-text model. Clients skip fields that they do not know."""

    capabilities: list[str]
    """Optional features that the model has, by their names in engine/recognizer.py."""


def build_info(
    recognizer: offered.Recognizer,
    models: Sequence[offered.ServedModel],
    *,
    endpointing: bool,
    partials: bool,
) -> Info:
    """Describe this program and its models.

    Home Assistant makes its entity from the first program, and reads the languages and flags only
    once. The description therefore never changes: a model counts as installed even while it is
    still loading.

    Args:
        recognizer: describes the speech-to-text library.
        models: those that the client may use.
        endpointing: whether the server ends every turn, so that clients need no VAD.
        partials: whether partial text is sent before the transcript.
    """
    return Info(
        asr=[
            AsrProgram(
                name=PROGRAM,
                description=recognizer.description or None,
                attribution=_attribution(recognizer.attribution),
                installed=True,
                version=__version__,
                models=[
                    _Model(
                        name=model.name,
                        description=model.description or None,
                        attribution=_attribution(model.attribution),
                        installed=True,
                        version=None,
                        languages=sorted(model.languages),
                        capabilities=model.capabilities.names,
                    )
                    for model in models
                ],
                supports_transcript_streaming=partials,
                requires_external_vad=not endpointing,
            )
        ]
    )


def _attribution(credit: offered.Attribution) -> Attribution:
    return Attribution(name=credit.name, url=credit.url)
