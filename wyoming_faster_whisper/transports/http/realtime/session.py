"""Configuration of a realtime session, and its JSON form. Pure.

OpenAI's GA form nests the fields in session.audio.input; the form of the beta is flat.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from ....audio import g711
from ....audio.pcm import PcmFormat
from ....engine.recognizer import ServedModel
from ....models.languages import means_detect
from ....session.request import Request
from ....speech.endpointing import TurnRules
from ..catalogue import unsupported_language
from ..server_vad import ServerVad
from .client_messages import RealtimeError

LOGPROBS = "item.input_audio_transcription.logprobs"
"""The only value of include that concerns transcription."""

DELAYS = {"minimal": "on", "low": "on", "medium": "auto", "high": "off", "xhigh": "off"}
"""Kind of partial text for each value of `delay`, the trade of latency for accuracy."""

_NO_SPEECH = 10.0  # seconds of silence that are stored before speech


class Encoding(StrEnum):
    """Encoding of the audio."""

    PCM = "audio/pcm"  # 16 bit, little-endian, mono
    ULAW = "audio/pcmu"
    ALAW = "audio/pcma"


BETA_NAMES = {
    Encoding.PCM: "pcm16",
    Encoding.ULAW: "g711_ulaw",
    Encoding.ALAW: "g711_alaw",
}


@dataclass(frozen=True, slots=True)
class AudioFormat:
    """Format of the audio that the client sends."""

    encoding: Encoding = Encoding.PCM
    rate: int = 24_000  # Hz

    @property
    def pcm(self) -> PcmFormat:
        """Format of decoded audio."""
        return PcmFormat(self.rate)

    def decode(self, data: bytes) -> bytes:
        """Convert audio to 16-bit PCM."""
        match self.encoding:
            case Encoding.ULAW:
                return g711.decode_ulaw(data)
            case Encoding.ALAW:
                return g711.decode_alaw(data)
            case Encoding.PCM:
                return data


class TurnDetection(StrEnum):
    """Method by which the server ends turns."""

    SERVER_VAD = "server_vad"  # after a fixed silence
    SEMANTIC_VAD = "semantic_vad"  # by the end-of-turn classifier


class Eagerness(StrEnum):
    """Eagerness of semantic VAD to end a turn whose sentence seems unfinished."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    AUTO = "auto"


# Seconds of silence, as at OpenAI.
_LONGEST_WAIT = {Eagerness.LOW: 8.0, Eagerness.HIGH: 2.0}
_USUAL_WAIT = 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RealtimeSession:
    """Configuration of a session."""

    format: AudioFormat = AudioFormat()
    model: str | None = None  # as the client named it; None = the default
    language: str | None = None  # any tag; None = the server's default
    languages: tuple[str, ...] = ()
    prompt: str | None = None
    keywords: tuple[str, ...] = ()
    delay: str | None = None  # a key of DELAYS
    noise_reduction: str | None = None  # near_field or far_field; None = the server's steps
    turn_detection: TurnDetection | None = TurnDetection.SERVER_VAD
    vad: ServerVad = field(default_factory=lambda: ServerVad(silence_duration_ms=500))
    eagerness: Eagerness = Eagerness.AUTO
    logprobs: bool = False

    def request(self, model: ServedModel) -> Request:
        """Return the session's request for its utterances.

        Args:
            model: the model that the name in the session stands for.

        Raises:
            RealtimeError: the model does not support the language.
        """
        param = "session.audio.input.transcription"
        named = [("language", self.language)] if self.language else []
        for name, tag in [*named, *(("languages", tag) for tag in self.languages)]:
            if not means_detect(tag) and (why := unsupported_language(tag, model)):
                raise RealtimeError(why, code="unsupported_language", param=f"{param}.{name}")
        server_vad = self.turn_detection is TurnDetection.SERVER_VAD
        return Request(
            language=self.language,
            candidate_languages=self.languages,
            model=model.name,
            hotwords=self.keywords,
            prompt=self.prompt,
            token_logprobs=self.logprobs,
            endpointing=self._turn_rules(),
            vad_threshold=self.vad.threshold if server_vad else None,
            vad_pad=self.vad.prefix_padding_ms / 1000 if server_vad else 0.0,
            partials=DELAYS[self.delay] if self.delay else None,
            preprocess=(self.noise_reduction,) if self.noise_reduction else None,
        )

    def _turn_rules(self) -> TurnRules:
        match self.turn_detection:
            case None:
                return TurnRules()
            case TurnDetection.SERVER_VAD:
                silence = self.vad.silence_duration_ms / 1000
                return TurnRules(silence, no_speech=_NO_SPEECH, longest=0)
            case TurnDetection.SEMANTIC_VAD:
                wait = _LONGEST_WAIT.get(self.eagerness, _USUAL_WAIT)
                return TurnRules(auto=True, incomplete=wait, no_speech=_NO_SPEECH, longest=0)

    @property
    def padding(self) -> float:
        """Seconds before speech that count as speech in the times sent to the client."""
        server_vad = self.turn_detection is TurnDetection.SERVER_VAD
        return self.vad.prefix_padding_ms / 1000 if server_vad else 0.0

    def body(self) -> dict[str, Any]:
        """Return the session as an update in the GA form, from which updated() restores it."""
        audio_format: dict[str, Any] = {"type": self.format.encoding.value}
        if self.format.encoding is Encoding.PCM:
            audio_format["rate"] = self.format.rate
        return {
            "type": "transcription",
            "include": [LOGPROBS] if self.logprobs else [],
            "audio": {
                "input": {
                    "format": audio_format,
                    "transcription": self._transcription(),
                    "noise_reduction": self._noise_reduction(),
                    "turn_detection": self._turn_detection(),
                }
            },
        }

    def beta_body(self) -> dict[str, Any]:
        """Return the session in the form of the beta."""
        return {
            "modalities": ["text"],
            "include": [LOGPROBS] if self.logprobs else [],
            "input_audio_format": BETA_NAMES[self.format.encoding],
            "input_audio_transcription": self._transcription(),
            "input_audio_noise_reduction": self._noise_reduction(),
            "turn_detection": self._turn_detection(),
        }

    def _transcription(self) -> dict[str, Any]:
        return {
            "model": self.model,
            "language": self.language,
            "languages": list(self.languages),
            "prompt": self.prompt,
            "keywords": list(self.keywords),
            "delay": self.delay,
        }

    def _noise_reduction(self) -> dict[str, Any] | None:
        return {"type": self.noise_reduction} if self.noise_reduction else None

    def _turn_detection(self) -> dict[str, Any] | None:
        match self.turn_detection:
            case None:
                return None
            case TurnDetection.SERVER_VAD:
                return {"type": "server_vad", **asdict(self.vad)}
            case TurnDetection.SEMANTIC_VAD:
                return {"type": "semantic_vad", "eagerness": self.eagerness.value}
