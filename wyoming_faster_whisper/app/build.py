"""Convert Settings to the rules and limits that each part of the server takes."""

from __future__ import annotations

import logging
from dataclasses import replace
from importlib.util import find_spec
from ipaddress import ip_network

from ..config.settings import Settings
from ..engine.protocol import DecodeKind, DecodeOptions
from ..engine.recognizer import ServedModel
from ..errors import SettingError, install_command
from ..models.languages import means_detect, normalise
from ..session.opening import Opening
from ..session.session import AudioMemory, SessionContext
from ..session.text import Style
from ..speech.endpointing import TurnRules
from ..speech.utterance import UtteranceRules, for_files
from ..tenant import IdentityKind
from ..transports.admission import Admission
from ..transports.lifecycle import ClientLimits

_LOGGER = logging.getLogger(__name__)


def default_language(settings: Settings, model: ServedModel) -> str | None:
    """Return the language for requests that name none; None = detect."""
    wanted = settings.language
    detected = None if len(model.languages) > 1 else model.languages[0]
    if means_detect(wanted):
        return detected
    code = normalise(wanted, model.languages)
    if code is None:
        _LOGGER.warning(
            "--language is %s, which model %s does not support; using %s",
            wanted,
            model.name,
            detected or "language detection",
        )
        return detected
    return code


def required_for_tenants(settings: Settings) -> dict[IdentityKind, str]:
    """Return, for each kind of identity that no client can have, the option that is missing."""
    options = {
        IdentityKind.KEY: ("--api-keys", settings.api_keys),
        IdentityKind.SUBJECT: ("--jwt-issuer", settings.jwt_issuer),
        IdentityKind.CLAIM: ("--jwt-issuer", settings.jwt_issuer),
        IdentityKind.CERTIFICATE: ("--tls-ca", settings.tls_ca),
        IdentityKind.SITE: ("--mqtt-url", settings.mqtt_url),
        IdentityKind.ADDRESS: (
            "--http-port, or tcp:// in --uri",
            settings.http_port is not None or settings.scheme == "tcp",
        ),
    }
    return {kind: option for kind, (option, given) in options.items() if not given}


def decode_options(settings: Settings, language: str | None) -> DecodeOptions:
    """Make the decode options for requests that give none of their own.

    Args:
        language: default language; None = detect.
    """
    return DecodeOptions(
        language=language,
        candidate_languages=settings.languages,
        task=settings.whisper_task,
        beam_size=max(0, settings.beam_size),
        prompt=settings.initial_prompt,
        max_prompt_tokens=settings.hass_prompt_max_tokens,
        grammar=uses_grammar(settings),
    )


def uses_grammar(settings: Settings) -> bool:
    """Return whether Home Assistant's grammar chooses among hypotheses.

    Raises:
        SettingError: it has to, and its packages are not installed.
    """
    installed = all(map(find_spec, ("hassil", "home_assistant_intents")))
    if settings.grammar == "on" and not installed:
        raise SettingError(f"--grammar on needs the extra hass: {install_command('hass')}")
    return settings.grammar != "off" and installed


def utterance_rules(settings: Settings) -> UtteranceRules:
    """Make the rules for what counts as speech, and when it is decoded."""
    return UtteranceRules(
        threshold=settings.vad_threshold,
        min_speech=settings.vad_min_speech_ms / 1000,
        min_silence=settings.vad_min_silence_ms / 1000,
        clip_threshold=settings.vad_clip_threshold,
        pad=settings.vad_clip_pad_ms / 1000,
        guess_after=settings.guess_after,
    )


def style(settings: Settings) -> Style:
    """Make the style of the texts of utterances."""
    return Style(settings.text_style == "command", Opening(settings.strip_words))


def turn_rules(settings: Settings) -> TurnRules:
    """Make the rules for ending a turn without an audio-stop from the client."""
    given = settings.vad_endpointing
    return TurnRules(
        min_silence=given if isinstance(given, float) else 0.0,
        auto=given == "auto",
        no_speech=settings.no_speech_timeout,
        longest=settings.longest_command,
        early_silence=settings.early_answer,
    )


def admission(settings: Settings) -> Admission:
    """Make the admission control: networks and numbers of clients."""
    return Admission(
        settings.max_connections,
        settings.max_per_address,
        tuple(map(ip_network, settings.allow)),
    )


def limits(settings: Settings) -> ClientLimits:
    """Make the timeouts for clients."""
    return ClientLimits(
        first_event=settings.event_timeout,
        between_utterances=settings.idle_timeout,
        inside_utterance=settings.audio_timeout,
        write=settings.write_timeout,
    )


def files_context(shared: SessionContext, settings: Settings) -> SessionContext:
    """Make the context of the sessions that transcribe files.

    A file is complete, so it needs no speculative decodes and no endpointing. It is decoded by
    this server's own model. The memory budget is separate, so that files cannot use up that of
    the commands. Its text is verbatim.
    """
    return replace(
        shared,
        rules=for_files(shared.rules),
        turns=TurnRules(),
        upstreams=None,
        kind=DecodeKind.FILE,
        style=replace(shared.style, opening=None),
        ignore_first=0.0,
        max_seconds=settings.max_file_seconds,
        memory=AudioMemory(limit=shared.memory.limit),
    )
