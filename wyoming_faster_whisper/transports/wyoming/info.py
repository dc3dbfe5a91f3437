"""Info event: how this server describes itself to clients."""

from __future__ import annotations

from collections.abc import Sequence

from wyoming.info import AsrModel, AsrProgram, Attribution, Info

from ... import __version__
from ...models import Model

# Home Assistant names its entity after the program. The add-on's health check looks for it too.
PROGRAM = "faster-whisper"


def build_info(
    models: Sequence[Model], *, endpointing: bool = False, partials: bool = False
) -> Info:
    """Describe this program and its models.

    Home Assistant makes its entity from the first program, and reads the languages and flags only
    once. The description therefore never changes: a model counts as installed even while it is
    still loading.

    Args:
        models: the models to offer, the default first.
        endpointing: whether the server ends every turn, so that clients need no VAD.
        partials: whether partial text is sent before the transcript.
    """
    return Info(
        asr=[
            AsrProgram(
                name=PROGRAM,
                description="Whisper on CTranslate2",
                attribution=Attribution(
                    name="SYSTRAN", url="https://github.com/SYSTRAN/faster-whisper"
                ),
                installed=True,
                version=__version__,
                models=[
                    AsrModel(
                        name=model.name,
                        description=f"Whisper {model.name}",
                        attribution=Attribution(
                            name="OpenAI", url="https://github.com/openai/whisper"
                        ),
                        installed=True,
                        version=None,
                        languages=sorted(model.languages),
                    )
                    for model in models
                ],
                supports_transcript_streaming=partials,
                requires_external_vad=not endpointing,
            )
        ]
    )
