"""Every option, once.

A field of Settings is an option: its flag, its environment variable
(WYO_WHISPER_<NAME>, or WYO_WHISPER_<NAME>_FILE for a file that holds the
value), its help, its check and its row in the documentation follow from it.
The command line wins over the file, the file over the variable. "" and "null"
(what Home Assistant's add-on passes for an option left blank) mean unset.

Names, arities and defaults are those of the reference server, so that its
command lines and containers go on working; docs/migrating.md lists the rest.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from ..models import SttLibrary
from .options import Arity, expand, option, options, page

STYLES = ("plain", "command")
pass

DEFAULT_URI = "tcp://0.0.0.0:10300"

# CTranslate2's names (docs/quantization.md there), so that a misspelt one is refused before
# it is imported, which takes longer than to begin to listen.
COMPUTE_TYPES = (
    *("default", "auto", "int8", "int8_float32", "int8_float16", "int8_bfloat16"),
    *("int16", "float16", "bfloat16", "float32"),
)

# The flags of the reference server (3.8.1). Their abbreviations mean here what they mean there,
# whatever flags there are besides.
REFERENCE_FLAGS = frozenset(
    "--help --version --uri --zeroconf --model --data-dir --download-dir --device --language "
    "--compute-type --beam-size --cpu-threads --initial-prompt --whisper-task --vad-filter "
    "--vad-threshold --vad-min-speech-ms --vad-min-silence-ms --vad-endpointing --vad-clip "
    "--vad-clip-threshold --vad-clip-pad-ms --stt-library --sherpa-streaming --local-files-only "
    "--hass-token --hass-api --hass-refresh-seconds --hass-prompt-max-tokens "
    "--hass-prompt-timeout --debug --log-format".split()
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All that an operator can choose."""

    uri: str = option(DEFAULT_URI, "where to listen: tcp://HOST:PORT, unix://PATH or stdio://")
    zeroconf: str | None = option(
        None,
        "announce the server over mDNS, so that Home Assistant finds it",
        arity=Arity.OPTIONAL,
        constant="faster-whisper",
        metavar="NAME",
    )
    advertise_host: str | None = option(
        None,
        "address or host name to announce instead of this machine's own, "
        "for a container behind a bridge",
        metavar="HOST",
    )
    advertise_port: int | None = option(
        None,
        "port to announce instead of the one we listen on",
        type=int,
        least=1,
        most=65535,
        metavar="PORT",
    )

    model: tuple[str, ...] = option(
        ("auto",),
        "model: a name (base-int8, small.en, ...), a hub id (owner/name) or a directory; "
        "auto chooses by hardware and by what is at hand; given again for more models, of "
        "which the first is the default (a variable separates them by commas)",
        arity=Arity.REPEATED,
        separator=",",
        metavar="MODEL",
    )
    model_budget: int = option(
        300, "MB that auto may download", least=0, most=100_000, metavar="MB"
    )
    data_dir: tuple[str, ...] = option(
        (),
        "folder with models, in the layout of the hub's cache; can be given again "
        "(default: a folder of the user's)",
        arity=Arity.REPEATED,
        metavar="DIR",
    )
    download_dir: str | None = option(
        None, "folder to download models into (default: the first --data-dir)", metavar="DIR"
    )
    local_files_only: bool = option(False, "never download a model")
    device: str = option("cpu", "cpu, cuda, cuda:N or auto")
    compute_type: str = option(
        "default",
        "CTranslate2's compute type; default is int8 on a CPU, float16 on a GPU",
        choices=COMPUTE_TYPES,
    )
    cpu_threads: int | str = option(
        4,
        "threads that decode; auto, 0 or more than there are cores: all cores",
        words=("auto",),
        least=0,
        most=1024,
        metavar="NUMBER|auto",
    )
    max_batch: int | str = option(
        "auto",
        "utterances that are decoded together while others wait; auto: as many as is faster, by "
        "measurement",
        type=int,
        words=("auto",),
        least=1,
        most=256,
        metavar="NUMBER|auto",
    )

    language: str = option("auto", "default language, as Whisper's code or a tag like en-US")
    languages: tuple[str, ...] = option(
        (),
        "languages that may be detected where none is asked for, like en,fr (default: all)",
        arity=Arity.LIST,
        metavar="CODES",
    )
    whisper_task: str = option(
        "transcribe",
        "transcribe what is said, or translate it to English",
        choices=("transcribe", "translate"),
    )
    beam_size: int = option(
        0, "beam of the decoder; 0 or less = 5, or 1 where that is too slow", most=100
    )
    initial_prompt: str | None = option(
        None, "text that shows the model the style and the words to expect", metavar="TEXT"
    )

    audio_context: str = option(
        "auto",
        "how much the model hears of the silence behind the speech: auto as much as it "
        "needs, full the 30 s that it was trained on",
        choices=("auto", "full"),
    )
    text_style: str = option(
        "plain",
        "command leaves out the final period and commas, which keep intents from matching",
        choices=STYLES,
    )

    vad_threshold: float = option(
        0.5, "probability from which a sound is speech", least=0.0, most=1.0
    )
    vad_min_speech_ms: int = option(
        64, "speech in all below which nobody spoke, in ms", least=0, most=60_000
    )
    vad_min_silence_ms: int = option(
        2000, "silence in the middle that is not decoded, in ms", least=0, most=600_000
    )
    vad_clip_threshold: float = option(
        0.5,
        "probability of speech up to which silence is cut off at both ends",
        least=0.0,
        most=1.0,
    )
    vad_clip_pad_ms: int = option(400, "sound kept around speech, in ms", least=0, most=5000)
    guess_after: float = option(
        0.13,
        "silence after which what was said so far is decoded ahead, to be the answer if "
        "nothing more comes; 0 = never",
        least=0,
        most=10,
        metavar="SECONDS",
    )
    vad_filter: bool = option(False, "always on here: silence is never decoded")
    vad_clip: tuple[str, ...] | None = option(
        None,
        "always on here: silence is cut off at both ends",
        arity=Arity.MANY,
        choices=tuple(library for library in SttLibrary if library != SttLibrary.AUTO),
        metavar="STT_LIBRARY",
    )
    vad_endpointing: float | str | None = option(
        None,
        "answer after this many seconds of silence without waiting for audio-stop; auto "
        "waits as long as the text asks for, less behind a finished sentence",
        type=float,
        words=("auto",),
        above=0,
        most=600,
        metavar="SECONDS|auto",
    )
    no_speech_timeout: float = option(
        8.0,
        "where the server ends the turn: seconds without a word after which it ends; 0 = never",
        least=0,
        most=600,
        metavar="SECONDS",
    )
    longest_command: float = option(
        30.0,
        "where the server ends the turn: seconds from the first word after which it ends at "
        "the latest; 0 = never",
        least=0,
        most=14_400,
        metavar="SECONDS",
    )
    early_answer: float = option(
        2.0,
        "silence after which a stream that comes live from Home Assistant is answered although "
        "its own VAD has not ended it; 0 = never",
        least=0,
        most=15,
        metavar="SECONDS",
    )
    partials: str = option(
        "off",
        "send text before the speaker has ended; auto decodes what is being spoken only while "
        "the model is idle, on also while others wait",
        choices=("off", "auto", "on"),
    )

    stt_library: str = option(
        "auto",
        "accepted for the reference server's sake; faster-whisper serves",
        choices=tuple(SttLibrary),
    )
    sherpa_streaming: bool = option(
        False, "accepted for the reference server's sake; faster-whisper serves"
    )

    hass_token: str | None = option(
        None,
        "Home Assistant's long-lived access token (an administrator's): the names of what is "
        "exposed to its voice assistant are written as it has them; needs the extra hass",
        secret=True,
        metavar="TOKEN",
    )
    hass_api: str = option(
        "http://homeassistant.local:8123/api", "URL of Home Assistant's API", metavar="URL"
    )
    hass_refresh_seconds: float = option(
        0.0,
        "least seconds between two fetches of the names; 0 = whenever somebody begins to speak",
        least=0,
        most=604_800,
    )
    hass_prompt_max_tokens: int = option(
        200,
        "tokens of the prompt that names may take, when the decoder is asked whether one was "
        "meant; 0 = it is not asked",
        least=0,
        most=10_000,
    )
    hass_prompt_timeout: float = option(
        1.0,
        "seconds that the first utterance waits for the names where they have not come yet",
        least=0,
        most=600,
    )

    allow: tuple[str, ...] = option(
        (),
        "network whose clients are let in, like 192.168.0.0/16; given again for more; this "
        "machine itself always is (default: all networks)",
        arity=Arity.REPEATED,
        separator=",",
        metavar="NETWORK",
    )
    tls_cert: str | None = option(
        None, "certificate to show over TLS, a PEM file; clients then need TLS", metavar="FILE"
    )
    tls_key: str | None = option(
        None, "private key, a PEM file (default: it is in --tls-cert)", metavar="FILE"
    )
    tls_ca: str | None = option(
        None, "whose certificates clients must show one of, a PEM file", metavar="FILE"
    )
    socket_mode: str = option("0600", "permissions of a unix:// socket, in octal", metavar="MODE")

    event_timeout: float = option(
        10.0,
        "time for a client's first event, for the rest of one that has begun, and for a "
        "TLS handshake",
        above=0,
        most=86_400,
        metavar="SECONDS",
    )
    idle_timeout: float = option(
        300.0, "time between two utterances", above=0, most=604_800, metavar="SECONDS"
    )
    audio_timeout: float = option(
        30.0, "time without sound inside an utterance", above=0, most=86_400, metavar="SECONDS"
    )
    write_timeout: float = option(
        10.0, "time to read what we send", above=0, most=86_400, metavar="SECONDS"
    )
    unload_after: float = option(
        0.0,
        "free the model's memory when nobody has spoken for so long, and load it again when "
        "somebody does; 0 = never",
        least=0,
        most=604_800,
        metavar="SECONDS",
    )
    decode_timeout: float = option(
        120.0,
        "time after which a decode is taken for one that never ends: its model is abandoned, "
        "and another loaded, once; 0 = never",
        least=0,
        most=86_400,
        metavar="SECONDS",
    )
    load_timeout: float = option(
        300.0,
        "time without progress after which loading a model is taken for something that never "
        "ends: it is abandoned, and tried again, once; 0 = never",
        least=0,
        most=86_400,
        metavar="SECONDS",
    )

    metrics_port: int | None = option(
        None,
        "serve /metrics for Prometheus, /healthz and /readyz on this port",
        type=int,
        least=0,
        most=65535,
        metavar="PORT",
    )
    metrics_host: str = option(
        "127.0.0.1", "address that the metrics are served on", metavar="HOST"
    )
    web_port: int | None = option(
        None,
        "serve a page to try the server with, on this port",
        type=int,
        least=0,
        most=65535,
        metavar="PORT",
    )
    web_host: str = option("127.0.0.1", "address that the page is served on", metavar="HOST")
    web_names: tuple[str, ...] = option(
        (),
        "names by which browsers may reach the page, beside localhost, this machine's own "
        "name and any bare address, like stt.example.org,box.lan",
        arity=Arity.LIST,
        metavar="NAMES",
    )

    upstream: tuple[str, ...] = option(
        (),
        "server that is asked first, while the speaker speaks; this one decodes where that is "
        "away, busy or late; given again for more, in this order",
        arity=Arity.REPEATED,
        separator=",",
        metavar="URI",
    )
    upstream_timeout: float = option(
        1.0,
        "seconds after the end of speech in which an upstream has to answer",
        above=0,
        most=60,
        metavar="SECONDS",
    )

    max_connections: int = option(256, "clients connected at the same time", least=1, most=65535)
    max_per_address: int = option(
        0, "of them from one address; 0 = as many as in all", least=0, most=65535
    )
    max_waiting: int = option(64, "utterances that wait for the model", least=1, most=65535)
    max_audio_seconds: float = option(
        600.0, "longest utterance; what was heard until then is answered", above=0, most=14_400
    )
    max_audio_memory: int = option(
        256, "sound that all clients together may have us hold", least=1, most=65535, metavar="MB"
    )

    log_text: bool = option(False, "log also what was said")
    log_json: bool = option(False, "one JSON object for each line of the log")
    debug: bool = option(False, "log more")
    log_format: str = option(
        logging.BASIC_FORMAT, "format of log lines, as Python's logging takes it"
    )


def options_page() -> str:
    """The page docs/options.md, as Markdown."""
    return page(options(Settings))


def written_out(argv: Sequence[str]) -> list[str]:
    """A command line without the abbreviations that have one meaning."""
    return expand(expand(argv, REFERENCE_FLAGS), {opt.flag for opt in options(Settings)})
