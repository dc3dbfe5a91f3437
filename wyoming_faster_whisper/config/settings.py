"""The options of the server, as fields of one dataclass.

What follows from a field is in options.py. Names, arities and defaults are those of the reference
server, so that its command lines and containers keep working. docs/migrating.md lists the
differences.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import partial
from typing import Any

from ..models import AUTO, SttLibrary, canonical
from ..transports.address import DEFAULT_PORT
from .options import NETWORK, Arity, Condition, option

# The names of engine/onnx/providers.py, which this room may not import.
ONNX_PROVIDERS = tuple("auto cpu cuda tensorrt openvino coreml directml migraphx qnn".split())

# CTranslate2's names (its docs/quantization.md). Checking them here rejects a misspelt name
# without importing CTranslate2, which takes longer than everything else before listening.
COMPUTE_TYPES = (
    *("default", "auto", "int8", "int8_float32", "int8_float16", "int8_bfloat16"),
    *("int16", "float16", "bfloat16", "float32"),
)

# The flags of the reference server (3.8.1). An abbreviation that is unique among them keeps its
# meaning, even if one of our own flags begins with it too.
REFERENCE_FLAGS = frozenset(
    "--help --version --uri --zeroconf --model --data-dir --download-dir --device --language "
    "--compute-type --beam-size --cpu-threads --initial-prompt --whisper-task --vad-filter "
    "--vad-threshold --vad-min-speech-ms --vad-min-silence-ms --vad-endpointing --vad-clip "
    "--vad-clip-threshold --vad-clip-pad-ms --stt-library --sherpa-streaming --local-files-only "
    "--hass-token --hass-api --hass-refresh-seconds --hass-prompt-max-tokens "
    "--hass-prompt-timeout --debug --log-format".split()
)


# Options that do nothing without the one that turns on their part of the server.
_hass = partial(option, needs=("hass_token",))
_upstream = partial(option, needs=("upstream",))
_remote = partial(option, needs=("remote_url",))
_http = partial(option, needs=("http_port",))
_jwt = partial(option, needs=("jwt_issuer",))
_mqtt = partial(option, needs=("mqtt_url",))

_WITH_AUTO = Condition(
    "works with --model auto only", lambda given: AUTO in map(canonical, given.model)
)
_WITH_BATCHES = Condition(
    "works with a --max-batch of more than 1 only", lambda given: given.max_batch != 1
)
_WITH_GPU = Condition("works with --device cuda only", lambda given: given.device != "cpu")
_WITHOUT_ENDPOINTING = Condition(
    "works without --vad-endpointing only", lambda given: given.vad_endpointing is None
)
_WITHOUT_JSON = Condition("works without --log-json only", lambda given: not given.log_json)
_WITH_SOCKET = Condition(
    "works with --uri unix://PATH only", lambda given: given.scheme == "unix"
)
_WITH_HTTPS = Condition(
    "works with --remote-url https://... only",
    lambda given: any(url.startswith("https:") for url in given.remote_url),
)
_WITH_NETWORK = Condition(
    "works with --uri tcp://HOST:PORT, --http-port or --metrics-port only",
    lambda given: (
        given.scheme == "tcp" or given.http_port is not None or given.metrics_port is not None
    ),
)
_WITH_MANY_CLIENTS = Condition(
    "works with --uri tcp://HOST:PORT or unix://PATH, --http-port or --metrics-port only",
    lambda given: (
        given.scheme != "stdio" or given.http_port is not None or given.metrics_port is not None
    ),
)


def _port(help: str, *, least: int = 0, **more: Any) -> Any:
    return option(None, help, type=int, least=least, most=65535, metavar="PORT", **more)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The server's settings; every field is an option that the operator can set."""

    model: tuple[str, ...] = option(
        ("auto",),
        "a name (base-int8, small.en, ...), a hub id (owner/name) or a directory; auto chooses "
        "by the hardware and the models on disk; repeat the option for more models, of which the "
        "first is the default; in the variable, separate them by commas",
        group="Model",
        arity=Arity.REPEATED,
        separator=",",
    )
    stt_library: str = option(
        "auto",
        "speech-to-text library: faster-whisper, onnx-whisper (the same models on ONNX Runtime), "
        "moonshine, onnx-asr, remote (decode servers), or one that an installed package offers; "
        "auto is remote with --remote-url, and else goes by the names of the models; one that is "
        "not installed is replaced by faster-whisper",
    )
    model_budget: int = option(
        300,
        "megabytes that --model auto may download",
        least=0,
        most=100_000,
        metavar="MB",
        only=_WITH_AUTO,
    )
    data_dir: tuple[str, ...] = option(
        (),
        "folder with models, in the layout of the hub's cache; can be repeated "
        "(default: a folder in the user's home)",
        arity=Arity.REPEATED,
    )
    download_dir: str | None = option(
        None, "folder to download models into (default: the first --data-dir)"
    )
    local_files_only: bool = option(False, "never download a model")
    unload_after: float = option(
        0.0,
        "free the model's memory after this long without speech and reload it at the next "
        "utterance; 0 = never",
        least=0,
        most=604_800,
    )

    language: str = option(
        "auto",
        "language of requests that name none: Whisper's code, a tag like en-US, or auto",
        group="Language",
    )
    languages: tuple[str, ...] = option(
        (),
        "languages of the home, like en,fr: detected where a request names none, or where Home "
        "Assistant names one of them, which is then only the likeliest (default: all)",
        arity=Arity.LIST,
        metavar="CODES",
    )
    whisper_task: str = option(
        "transcribe",
        "transcribe the speech, or translate it to English",
        choices=("transcribe", "translate"),
    )
    text_style: str = option(
        "plain",
        "style of the text; command writes numbers in digits and omits the final period and "
        "commas, which can keep sentences from matching",
        choices=("plain", "command"),
    )
    strip_words: tuple[str, ...] = option(
        (),
        "wake words and greetings to leave out where a text begins with one or with its end, "
        "like 'okay nabu,hey jarvis'",
        arity=Arity.LIST,
        metavar="PHRASES",
    )

    preprocess: tuple[str, ...] = option(
        (),
        "steps that the audio passes, in order, like gain,denoise:2@vad; with @vad only the VAD "
        "hears the result; built in are highpass:HZ, gain:DBFS and denoise:LEVEL, which needs "
        "the extra denoise",
        group="Audio",
        arity=Arity.LIST,
        metavar="STEPS",
    )

    ignore_first: float = option(
        0.0,
        "seconds to ignore at the beginning of each utterance, such as the chime of a satellite",
        least=0,
        most=10,
        metavar="SECONDS",
    )

    device: str = option(
        "cpu", "device to decode on: cpu, cuda, cuda:N or auto", group="Decoding"
    )
    compute_type: str = option(
        "default",
        "CTranslate2's compute type; default is int8 on a CPU, float16 on a GPU",
        choices=COMPUTE_TYPES,
    )
    onnx_provider: str = option(
        "auto",
        "execution provider for the models on ONNX Runtime, such as Moonshine; auto is cuda with "
        "--device cuda, else cpu",
        choices=ONNX_PROVIDERS,
    )
    onnx_quantization: str = option(
        "auto",
        "form of the files of onnx-asr's models: none, int8 or another that the model has; auto "
        "takes what is there, int8 first on a CPU",
    )
    cpu_threads: int | str = option(
        4,
        "maximum threads that decode one utterance; auto, 0 or more than the number of cores: "
        "all cores",
        words=("auto",),
        least=0,
        most=1024,
    )
    max_batch: int | str = option(
        "auto",
        "maximum utterances decoded together in one batch; auto: as many as measurements on this "
        "machine show to be faster",
        type=int,
        words=("auto",),
        least=1,
        most=256,
    )
    max_batch_seconds: float = option(
        0.25,
        "seconds that decoding a batch may take longer than one of its jobs alone",
        least=0,
        most=60,
        only=_WITH_BATCHES,
    )
    gpu_memory_pool: int | str = option(
        "all",
        "megabytes of freed GPU memory that the driver keeps for the next decode, or all",
        type=int,
        words=("all",),
        least=0,
        most=1_000_000,
        metavar="MB",
        only=_WITH_GPU,
    )
    beam_size: int = option(
        0,
        "beam size of the decoder; 0 or less: 5, or 1 where 5 is too slow on this machine",
        most=100,
    )
    initial_prompt: str | None = option(
        None, "prompt that shows the model the style and the words to expect"
    )
    audio_context: str = option(
        "auto",
        "encoder window; auto is as long as the speech needs, full is the 30 s that Whisper was "
        "trained on",
        choices=("auto", "full"),
    )
    guess_after: float = option(
        0.13,
        "silence after which the speech so far is decoded speculatively, to be the answer "
        "if no more speech follows; 0 = never",
        least=0,
        most=10,
    )
    partials: str = option(
        "off",
        "send partial text while the speaker speaks; auto does so only while the model is idle, "
        "on also while other utterances wait",
        choices=("off", "auto", "on"),
        metavar="WHEN",
    )

    vad_threshold: float = option(
        0.5,
        "VAD probability from which sound counts as speech",
        group="Voice activity detection",
        least=0,
        most=1,
        metavar="PROBABILITY",
    )
    vad_min_speech_ms: int = option(
        64,
        "minimum total speech in ms; with less, the answer is an empty text",
        least=0,
        most=60_000,
        metavar="MS",
    )
    vad_min_silence_ms: int = option(
        2000,
        "silence in ms that ends a segment; it is not decoded",
        least=0,
        most=600_000,
        metavar="MS",
    )
    vad_clip_threshold: float = option(
        0.5,
        "VAD probability below which sound at both ends is cut off",
        least=0,
        most=1,
        metavar="PROBABILITY",
    )
    vad_clip_pad_ms: int = option(
        400, "sound kept before and after speech, in ms", least=0, most=5000, metavar="MS"
    )

    vad_endpointing: float | str | None = option(
        None,
        "answer after this many seconds of silence without waiting for audio-stop; auto "
        "waits less after a finished sentence than after an unfinished one",
        group="Endpointing",
        type=float,
        words=("auto",),
        above=0,
        most=600,
    )
    no_speech_timeout: float = option(
        8.0,
        "seconds without speech that end the turn, where the server ends turns; 0 = never",
        least=0,
        most=600,
    )
    longest_command: float = option(
        30.0,
        "longest command in seconds from its first word, where the server ends turns; "
        "0 = no limit",
        least=0,
        most=14_400,
    )
    early_answer: float = option(
        2.0,
        "silence after which a live stream from Home Assistant is answered although Home "
        "Assistant's VAD has not ended it; 0 = never",
        least=0,
        most=15,
        only=_WITHOUT_ENDPOINTING,
    )

    hass_token: str | None = option(
        None,
        "long-lived access token of a Home Assistant administrator, to recognise the names of "
        "entities, areas and floors that are exposed to Assist; needs the extra hass",
        group="Names from Home Assistant",
    )
    hass_api: str = _hass(
        "http://homeassistant.local:8123/api", "URL of the Home Assistant API", metavar="URL"
    )
    hass_refresh_seconds: float = _hass(
        0.0,
        "minimum seconds between two fetches of the names; 0 = at the start of every utterance",
        least=0,
        most=604_800,
    )
    hass_prompt_max_tokens: int = option(
        200,
        "prompt tokens that names may take when the decoder checks for them; 0 = names are "
        "only corrected in the text",
        least=0,
        most=10_000,
    )
    hass_prompt_timeout: float = _hass(
        1.0,
        "seconds that the first utterance waits for names that have not been fetched yet",
        least=0,
        most=600,
    )

    grammar: str = option(
        "auto",
        "prefer hypotheses that Home Assistant understands, by its own sentence templates; auto "
        "does so if the extra hass is installed",
        choices=("off", "auto", "on"),
        metavar="WHEN",
        group="Home Assistant's grammar",
    )

    uri: str = option(
        f"tcp://0.0.0.0:{DEFAULT_PORT}",
        "where to listen: tcp://HOST:PORT, unix://PATH or stdio://",
        group=NETWORK,
    )
    zeroconf: str | None = option(
        None,
        "announce the server over mDNS, under this name, so that Home Assistant discovers it",
        arity=Arity.OPTIONAL,
        constant="faster-whisper",
        metavar="NAME",
    )
    advertise_host: str | None = option(
        None,
        "address or host name to announce instead of this machine's own, "
        "for a container on a bridge network",
        needs=("zeroconf",),
    )
    advertise_port: int | None = _port(
        "port to announce instead of the one the server listens on", least=1, needs=("zeroconf",)
    )
    allow: tuple[str, ...] = option(
        (),
        "network whose clients may connect, like 192.168.0.0/16; can be repeated; this machine "
        "always may (default: all networks)",
        arity=Arity.REPEATED,
        separator=",",
        metavar="NETWORK",
        only=_WITH_NETWORK,
    )
    tls_cert: str | None = option(
        None, "server certificate, a PEM file; clients must then use TLS", metavar="FILE"
    )
    tls_key: str | None = option(
        None,
        "private key, a PEM file (default: in the file of --tls-cert)",
        metavar="FILE",
        needs=("tls_cert",),
    )
    tls_ca: str | None = option(
        None,
        "certificate authority, a PEM file; clients must show a certificate that it signed",
        metavar="FILE",
        needs=("tls_cert",),
    )
    socket_mode: str = option(
        "0600", "permissions of a unix:// socket, in octal", only=_WITH_SOCKET
    )

    max_connections: int = option(
        256, "maximum number of simultaneous connections", group="Limits", least=1, most=65535
    )
    max_per_address: int = option(
        0,
        "maximum connections from one address; 0 = only --max-connections counts",
        least=0,
        most=65535,
        only=_WITH_NETWORK,
    )
    max_waiting: int = option(
        64,
        "maximum utterances that wait for the model; further clients get busy",
        least=1,
        most=65535,
    )
    max_audio_seconds: float = option(
        600.0,
        "longest utterance in seconds; the audio up to the limit is answered",
        above=0,
        most=14_400,
    )
    max_audio_memory: int = option(
        256, "maximum audio in memory, all clients together", least=1, most=65535, metavar="MB"
    )

    max_memory: int | None = option(
        None,
        "memory of the process; near it, new requests are refused with busy, and models that do "
        "not fit are not loaded (default: no limit but that of the machine or the container)",
        type=int,
        least=100,
        most=10_000_000,
        metavar="MB",
    )
    cpu_affinity: str | None = option(
        None, "cores that the server may use, like 0-3,6 (default: all)", metavar="CORES"
    )
    nice: int | None = option(
        None,
        "nice level of the server, from -20 to 19; the higher it is, the more other programs "
        "take precedence (default: that of the parent process)",
        type=int,
        least=-20,
        most=19,
        metavar="LEVEL",
    )
    tenants: str | None = option(
        None,
        "TOML file with tenants: groups of clients with models, languages, vocabulary, limits "
        "and shares of their own; it is read again when it changes",
        metavar="FILE",
    )

    event_timeout: float = option(
        10.0,
        "timeout for a client's first event, for the rest of an event that has begun, and for "
        "the TLS handshake",
        group="Timeouts",
        above=0,
        most=86_400,
        only=_WITH_MANY_CLIENTS,
    )
    idle_timeout: float = option(
        300.0,
        "timeout between two utterances",
        above=0,
        most=604_800,
        only=_WITH_MANY_CLIENTS,
    )
    audio_timeout: float = option(
        30.0, "timeout without audio inside an utterance", above=0, most=86_400
    )
    write_timeout: float = option(
        10.0, "timeout for a client to read what the server sends", above=0, most=86_400
    )
    decode_timeout: float = option(
        120.0,
        "seconds until a decode counts as hung: its model is abandoned and another is loaded, "
        "once; 0 = never",
        least=0,
        most=86_400,
    )
    load_timeout: float = option(
        300.0,
        "seconds without progress until loading a model counts as hung: it is abandoned and "
        "tried again, once; 0 = never",
        least=0,
        most=86_400,
    )

    upstream: tuple[str, ...] = option(
        (),
        "Wyoming server to ask first; this server decodes if the upstream is unavailable, busy "
        "or late; can be repeated, in order of preference",
        group="Upstream servers",
        arity=Arity.REPEATED,
        separator=",",
        metavar="URI",
    )
    upstream_timeout: float = _upstream(
        1.0,
        "seconds after the end of speech within which an upstream has to answer",
        above=0,
        most=60,
    )

    remote_url: tuple[str, ...] = option(
        (),
        "decode server that speaks the Open Inference Protocol over HTTP, such as Ray Serve or "
        "Triton; needs the extra remote; can be repeated; with --model, that model decodes here "
        "while no decode server answers",
        group="Decode servers",
        arity=Arity.REPEATED,
        separator=",",
        metavar="URL",
    )
    remote_model: tuple[str, ...] = _remote(
        ("base",),
        "model on the decode servers, like base, or with a version, like base:2; can be repeated "
        "for more models, of which the first is the default",
        arity=Arity.REPEATED,
        separator=",",
        metavar="NAME[:VERSION]",
    )
    remote_timeout: float = _remote(
        10.0,
        "timeout of a decode on the decode servers in seconds, retry included; six times as long "
        "for parts of files and of long recordings",
        above=0,
        most=600,
    )
    remote_token: str | None = _remote(
        None, "token that is sent to the decode servers, as a bearer token"
    )
    remote_ca: str | None = _remote(
        None,
        "certificate authority of the decode servers, a PEM file (default: those of the system)",
        metavar="FILE",
        only=_WITH_HTTPS,
    )

    http_port: int | None = _port(
        "serve the OpenAI-compatible API and a web page on this port",
        group="HTTP API, page and metrics",
    )
    http_host: str = _http("127.0.0.1", "address to serve the API and the page on")
    http_open: bool = _http(
        False,
        "serve every client that reaches --http-host, without a key or token; needed for an "
        "address other than this machine's own if there is no authentication",
    )
    api_keys: str | None = _http(
        None,
        "file with the keys that clients of the API and the page must send, a NAME KEY on each "
        "line; it is read again when it changes",
        metavar="FILE",
    )
    jwt_issuer: str | None = _http(
        None,
        "issuer of the tokens (JWT) that clients of the API may send, exactly as the tokens name "
        "it; needs --jwt-audience and the extra auth",
        metavar="URL",
    )
    jwt_audience: tuple[str, ...] = _jwt(
        (), "names of this server in the tokens; a token must have one of them", arity=Arity.LIST
    )
    jwt_jwks: str | None = _jwt(
        None,
        "keys of the issuer, a JSON Web Key Set: a URL or a file (default: what the issuer's "
        "OpenID Connect discovery names)",
        metavar="URL|FILE",
    )
    jwt_secret: str | None = _jwt(
        None,
        "secret of at least 32 bytes, if the issuer signs tokens with HS256 instead of keys",
    )
    jwt_scope_claim: str | None = _jwt(
        None,
        "claim of the tokens that lists scopes; dots lead into objects, as in "
        "realm_access.roles (default: scope, scp and permissions)",
        metavar="CLAIM",
    )
    http_names: tuple[str, ...] = _http(
        (),
        "host names by which browsers may reach the page besides localhost, this machine's "
        "name and IP addresses, like stt.example.org,box.lan",
        arity=Arity.LIST,
    )
    http_origins: tuple[str, ...] = _http(
        (),
        "origins whose web pages may use the API (CORS), like app://obsidian.md (default: none)",
        arity=Arity.LIST,
    )
    offline_model: str = _http(
        "auto",
        "model that the page can store in the browser, to work without the server: a name, off, "
        "or auto (the served model if it is tiny or base, else base or tiny if one is on disk)",
    )
    any_model: bool = _http(
        False, "serve the default model to API requests for a model that is not known"
    )
    language_codes: bool = _http(
        False, "name languages by code in verbose_json: en instead of english"
    )
    max_upload: int = _http(
        25, "largest body of an API request in MiB", least=1, most=65_536, metavar="MIB"
    )
    max_file_seconds: float = _http(
        14_400.0, "longest file in seconds of audio", above=0, most=86_400
    )
    max_files: int = _http(
        4,
        "maximum files of one client that are received or transcribed at the same time; the same "
        "limit applies separately to its background jobs that run at the same time",
        least=1,
        most=128,
    )
    max_total_files: int = _http(
        16,
        "the same two limits for all clients together",
        least=1,
        most=128,
    )
    upload_timeout: float = _http(
        600.0, "timeout for the whole body of an API request", above=0, most=86_400
    )
    max_jobs: int = _http(
        256,
        "maximum background jobs of all API clients that wait, run or are kept; one client may "
        "have half of them",
        least=1,
        most=65535,
    )
    max_job_uploads: int = _http(
        1024,
        "largest size of the files of all background jobs that have not ended, in MiB",
        least=1,
        most=1_048_576,
        metavar="MIB",
    )
    max_job_results: int = _http(
        64,
        "maximum memory for the results of background jobs in MiB; over it, the oldest are "
        "deleted",
        least=1,
        most=65_536,
        metavar="MIB",
    )
    job_expiry: float = _http(
        86_400.0,
        "seconds until a background job fails if it has not ended, and for which its result is "
        "kept",
        above=0,
        most=2_592_000,
    )
    webhook_url: tuple[str, ...] = option(
        (),
        "prefix of the URLs that background jobs may call when they end, like "
        "https://hooks.example.org/stt/; can be repeated; needs --webhook-secret (default: none)",
        arity=Arity.REPEATED,
        separator=",",
        metavar="PREFIX",
        needs=("webhook_secret", "http_port"),
    )
    webhook_secret: str | None = option(
        None,
        "key that signs the webhooks: whsec_ and the Base64 of 24 to 64 bytes",
        needs=("webhook_url", "http_port"),
    )
    metrics_port: int | None = _port(
        "serve /metrics for Prometheus, /healthz and /readyz on this port",
    )
    metrics_host: str = option(
        "127.0.0.1", "address to serve the metrics on", needs=("metrics_port",)
    )

    mqtt_url: str | None = option(
        None,
        "serve satellites that speak Hermes, as Rhasspy does, through this broker: "
        "mqtt://USER@HOST:PORT, mqtts://, or ws:// and wss:// with a path; needs the extra mqtt",
        group="MQTT",
    )
    mqtt_password: str | None = _mqtt(None, "password of the user in --mqtt-url")
    mqtt_ca: str | None = _mqtt(
        None,
        "certificate authority of the broker, a PEM file (default: those of this system)",
        metavar="FILE",
    )
    mqtt_cert: str | None = _mqtt(
        None, "certificate to show to the broker, a PEM file", metavar="FILE"
    )
    mqtt_key: str | None = option(
        None,
        "its private key, a PEM file (default: in the file of --mqtt-cert)",
        metavar="FILE",
        needs=("mqtt_url", "mqtt_cert"),
    )
    mqtt_sites: tuple[str, ...] = _mqtt(
        (), "ids of the sites that are served, like kitchen,hall (default: all)", arity=Arity.LIST
    )
    mqtt_prefix: str = _mqtt(
        "wyoming-faster-whisper",
        "prefix of the topics that are not Hermes': the server's status and, for brokers that "
        "isolate satellites, the messages of each site",
    )
    mqtt_discovery: str | None = _mqtt(
        None,
        "let Home Assistant discover an event entity for each site, under this discovery prefix",
        arity=Arity.OPTIONAL,
        constant="homeassistant",
        metavar="PREFIX",
    )

    log_text: bool = option(False, "log the transcripts as well", group="Logging")
    log_json: bool = option(False, "write each log line as a JSON object")
    debug: bool = option(False, "log debug messages")
    log_format: str = option(
        logging.BASIC_FORMAT, "log format, in the syntax of Python's logging", only=_WITHOUT_JSON
    )

    vad_filter: bool = option(
        False,
        "silence is never decoded",
        group="Accepted for compatibility, without effect",
        obsolete="is always on; the option can be removed",
    )
    vad_clip: tuple[str, ...] | None = option(
        None,
        "silence is always cut off at both ends",
        arity=Arity.MANY,
        choices=tuple(library for library in SttLibrary if library != SttLibrary.AUTO),
        metavar="LIBRARY",
        obsolete="is always on; the option can be removed",
    )
    sherpa_streaming: bool = option(
        False, "--partials sends text early", obsolete="is ignored; --partials sends text early"
    )

    @property
    def scheme(self) -> str:
        """The scheme of --uri, in lower case."""
        return self.uri.partition(":")[0].lower()
