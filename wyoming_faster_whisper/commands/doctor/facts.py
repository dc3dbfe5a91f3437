"""The facts that host.py, network.py and synthetic_client.py collect. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MachineFacts:
    """The machine."""

    machine: str  # the architecture: x86_64, aarch64, ...
    processor: str  # the model; "" = not known
    features: tuple[str, ...]  # CPU features that make decoding faster
    cores: int  # that this process may use
    load: float  # load average of the last minute
    memory: float  # MB available

    @property
    def busy(self) -> bool:
        """True if more processes want to run than there are cores."""
        return self.load > self.cores


@dataclass(frozen=True, slots=True)
class Libraries:
    """The result of using the inference libraries in a child process."""

    compute_types: tuple[str, ...] = ()  # that CTranslate2 supports on this CPU
    gpus: int = 0
    trouble: str = ""  # why they do not run, as a sentence; "" = they run


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """A model that the server would load, and its files."""

    name: str
    at_hand: bool  # True: in a folder of models or an installed package
    may_download: bool
    seconds: float | None  # measured here for a typical command; None = not measured
    folder: str  # where models are downloaded to
    writable: bool
    free: float  # MB free in the folder


@dataclass(frozen=True, slots=True)
class MdnsService:
    """A Wyoming server's mDNS announcement."""

    name: str
    addresses: tuple[str, ...]
    port: int


@dataclass(frozen=True, slots=True)
class Network:
    """Ways in which other machines can find the server."""

    port: int
    local_only: bool  # True: the server listens on a loopback address or a Unix socket
    own: tuple[str, ...]  # addresses of this machine
    reachable: tuple[str, ...]  # addresses that can be announced
    multicast: str  # why the mDNS group cannot be joined; "" = it was joined
    announced: tuple[MdnsService, ...]

    @property
    def ours(self) -> tuple[MdnsService, ...]:
        """Announcements with an address of this machine and the server's port."""
        return tuple(
            one
            for one in self.announced
            if one.port == self.port and set(one.addresses) & set(self.own)
        )


@dataclass(frozen=True, slots=True)
class Described:
    """Content of the server's Info."""

    program: str
    models: tuple[str, ...]
    languages: tuple[str, ...]
    external_vad: bool  # True: Home Assistant has to detect the end of speech
    seconds: float  # to connect and receive the Info


@dataclass(frozen=True, slots=True)
class TrialUtterance:
    """The outcome of one utterance, sent as Home Assistant sends it."""

    text: str | None  # None = no transcript came
    error: str  # why there is no transcript
    before_stop: bool  # True: the transcript came before audio-stop was sent
    waited: float  # seconds to the answer, from audio-stop or (if not sent) from the last word


@dataclass(frozen=True, slots=True)
class ConcurrentTrial:
    """The outcome of simultaneous utterances, with `describe` requests during them."""

    turns: tuple[TrialUtterance, ...]
    describes: tuple[float, ...]  # seconds per `describe`; inf = no answer


@dataclass(frozen=True, slots=True)
class ServerTrial:
    """The outcome of all trials with a running server."""

    described: Described
    first: TrialUtterance  # sent as fast as possible; may have waited for the model to load
    external: TrialUtterance  # Home Assistant ends the turn, after its silence
    open_ended: TrialUtterance  # only the server can end the turn
    silence: TrialUtterance  # no speech
    crowd: ConcurrentTrial
    expected: frozenset[str]  # words that the transcript must contain; empty = not known
