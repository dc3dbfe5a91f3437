"""What clients are told about this server."""

from __future__ import annotations

from collections.abc import Sequence

from wyoming.info import AsrModel, AsrProgram, Attribution, Info

from ... import __version__
from ...models import Model

# Home Assistant names its entity after it, and the add-on's health check looks for it.
PROGRAM = "faster-whisper"


def build_info(
    models: Sequence[Model], *, endpointing: bool = False, partials: bool = False
) -> Info:
    """Describe the one program we are and the models it serves, the default first.

    Home Assistant makes its entity from the first program and reads languages
    and flags once, so this is the same from the first answer to the last: the
    model counts as installed although it may be loading still.

    Args:
        endpointing: the server ends every turn; nobody else need watch for silence.
        partials: text is sent before the transcript.
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
