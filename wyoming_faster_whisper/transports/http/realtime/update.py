"""Updates of a realtime session, checked. Pure.

A field that an update does not name keeps its value; null clears it. Unknown fields, and those
that concern spoken answers, are ignored and left out of the answer. A session may have OpenAI's
GA form or that of the beta, at any time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from typing import Any

from ....audio import g711
from ....errors import either, printable, visible
from ....models.languages import MULTILINGUAL_V3, means_detect, normalise
from ....session.request import LONGEST_NAME, MOST_NAMES
from ..server_vad import ServerVad
from .client_messages import RealtimeError
from .session import (
    BETA_NAMES,
    DELAYS,
    LOGPROBS,
    AudioFormat,
    Eagerness,
    Encoding,
    RealtimeSession,
    TurnDetection,
)

_ENCODINGS = {name: kind for kind, beta in BETA_NAMES.items() for name in (kind.value, beta)}
_RATES = range(8_000, 48_000 + 1)  # Hz; OpenAI takes only 24000
_PADDINGS = range(5_000 + 1)  # ms
_SILENCES = range(1, 60_000 + 1)  # ms
_LONGEST_TEXT = 10_000  # characters of a prompt, of which the decoder uses the end


def updated(session: RealtimeSession, given: object) -> RealtimeSession:
    """Return the session as an update changes it.

    Args:
        given: the member `session` of the update, in either form.

    Raises:
        RealtimeError: a value is not accepted; nothing is changed.
    """
    members = _object(given, "session")
    kind = members.get("type")
    if kind not in (None, "transcription"):
        raise _wrong("session.type", kind, "transcription: this server gives no spoken answers")
    audio = _object(members.get("audio") or {}, "session.audio")
    inputs = _object(audio.get("input") or {}, "session.audio.input")
    changes: dict[str, Any] = {}
    for name, (beta_name, read) in _READERS.items():
        if name in inputs:
            changes |= read(session, inputs[name], f"session.audio.input.{name}")
        if beta_name in members:
            changes |= read(session, members[beta_name], f"session.{beta_name}")
    if "include" in members:
        changes["logprobs"] = LOGPROBS in _strings(members["include"], "session.include", 10, 100)
    return replace(session, **changes)


def _read_format(session: RealtimeSession, value: object, param: str) -> dict[str, Any]:
    if value is None:
        return {"format": AudioFormat()}
    members = {"type": value} if isinstance(value, str) else _object(value, param)
    name = members.get("type", session.format.encoding.value)
    encoding = _ENCODINGS.get(name) if isinstance(name, str) else None
    if encoding is None:
        raise _wrong(f"{param}.type", name, either(list(_ENCODINGS)))
    if encoding is not Encoding.PCM:
        return {"format": AudioFormat(encoding, g711.RATE)}
    rate = members.get("rate", AudioFormat().rate)
    return {"format": AudioFormat(encoding, _whole(rate, f"{param}.rate", _RATES))}


def _read_transcription(session: RealtimeSession, value: object, param: str) -> dict[str, Any]:
    cleared: dict[str, Any] = {
        "model": None,
        "language": None,
        "languages": (),
        "prompt": None,
        "keywords": (),
        "delay": None,
    }
    if value is None:
        return cleared
    changes: dict[str, Any] = {}
    for name, member in _object(value, param).items():
        where = f"{param}.{name}"
        if name not in cleared:
            continue
        if member is None or member == "":
            changes[name] = cleared[name]
        elif name == "languages":
            tags = _strings(member, where, len(MULTILINGUAL_V3), LONGEST_NAME)
            changes[name] = tuple(_language(tag, where) for tag in tags)
        elif name == "keywords":
            changes[name] = _strings(member, where, MOST_NAMES, LONGEST_NAME)
        elif name == "language":
            changes[name] = _language(_string(member, where, LONGEST_NAME), where)
        elif name == "delay":
            changes[name] = _one_of(member, where, tuple(DELAYS))
        else:
            changes[name] = _string(member, where, _LONGEST_TEXT) or None
    return changes


def _read_noise_reduction(session: RealtimeSession, value: object, param: str) -> dict[str, Any]:
    if value is None:
        return {"noise_reduction": None}
    kind = _object(value, param).get("type", session.noise_reduction)
    return {"noise_reduction": _one_of(kind, f"{param}.type", ("near_field", "far_field"))}


def _read_turn_detection(session: RealtimeSession, value: object, param: str) -> dict[str, Any]:
    if value is None:
        return {"turn_detection": None}
    members = _object(value, param)
    kind = members.get("type", session.turn_detection)
    turn_detection = TurnDetection(_one_of(kind, f"{param}.type", tuple(TurnDetection)))
    if turn_detection is TurnDetection.SEMANTIC_VAD:
        eagerness = members.get("eagerness") or session.eagerness
        chosen = _one_of(eagerness, f"{param}.eagerness", tuple(Eagerness))
        return {"turn_detection": turn_detection, "eagerness": Eagerness(chosen)}
    vad = {**asdict(session.vad), **{k: v for k, v in members.items() if v is not None}}
    threshold = _number(vad["threshold"], f"{param}.threshold", 1)
    padding = _whole(vad["prefix_padding_ms"], f"{param}.prefix_padding_ms", _PADDINGS)
    silence = _whole(vad["silence_duration_ms"], f"{param}.silence_duration_ms", _SILENCES)
    return {"turn_detection": turn_detection, "vad": ServerVad(threshold, padding, silence)}


_Reader = Callable[[RealtimeSession, object, str], dict[str, Any]]

# Fields of session.audio.input, each with the name that it has in the beta.
_READERS: dict[str, tuple[str, _Reader]] = {
    "format": ("input_audio_format", _read_format),
    "transcription": ("input_audio_transcription", _read_transcription),
    "noise_reduction": ("input_audio_noise_reduction", _read_noise_reduction),
    "turn_detection": ("turn_detection", _read_turn_detection),
}


def _wrong(param: str, received: object, allowed: str) -> RealtimeError:
    name = param.rpartition(".")[2]
    return RealtimeError(
        f"{name} is {printable(received, 40)!r}; it must be {allowed}", param=param
    )


def _object(value: object, param: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise _wrong(param, value, "an object")
    return value


def _string(value: object, param: str, longest: int) -> str:
    """Return a string without unprintable characters."""
    if not isinstance(value, str):
        raise _wrong(param, value, "a string")
    if len(value) > longest:
        raise _wrong(param, value, f"at most {longest} characters; it has {len(value)}")
    return visible(value)


def _strings(value: object, param: str, most: int, longest: int) -> tuple[str, ...]:
    """Return the strings of a list that are not empty."""
    if value is None:
        return ()
    if not isinstance(value, list):
        raise _wrong(param, value, "a list of strings")
    if len(value) > most:
        raise _wrong(param, f"a list of {len(value)}", f"at most {most} strings")
    return tuple(found for each in value if (found := _string(each, param, longest)))


def _language(tag: str, param: str) -> str:
    if not means_detect(tag) and normalise(tag, MULTILINGUAL_V3) is None:
        raise _wrong(param, tag, "a language of Whisper, such as en, pt-BR or german")
    return tag


def _one_of(value: object, param: str, allowed: tuple[str, ...]) -> str:
    if not isinstance(value, str) or value not in allowed:
        raise _wrong(param, value, either(allowed))
    return str(value)


def _number(value: object, param: str, most: float) -> float:
    good = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= most
    if not good:
        raise _wrong(param, value, f"a number from 0 to {most:g}")
    assert isinstance(value, int | float)
    return float(value)


def _whole(value: object, param: str, allowed: range) -> int:
    number = int(value) if isinstance(value, float) and value.is_integer() else value
    if not isinstance(number, int) or isinstance(number, bool) or number not in allowed:
        raise _wrong(param, value, f"a whole number from {allowed[0]} to {allowed[-1]}")
    return number
