"""What the doctor saw. Pure: who looked is in host.py, network.py and synthetic_client.py."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MachineFacts:
    """The machine."""

    machine: str  # x86_64, aarch64, ...
    processor: str  # its name; "" = not known
    features: tuple[str, ...]  # of the processor, those that make decoding faster
    cores: int  # that we may use
    load: float  # processes that ran or waited, mean of the last minute
    memory: float  # MB available

    @property
    def busy(self) -> bool:
        """More wants to run than can."""
        return self.load > self.cores


@dataclass(frozen=True, slots=True)
class Libraries:
    """What the libraries that decode said when a process of its own used them."""

    compute_types: tuple[str, ...] = ()  # CTranslate2's, on this CPU
    gpus: int = 0
    trouble: str = ""  # why they do not run, in a sentence


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """A model that the server would serve, and its files."""

    name: str
    at_hand: bool  # in a folder or an installed package
    may_download: bool
    seconds: float | None  # that a usual command took here
    folder: str  # for models
    writable: bool
    free: float  # MB


@dataclass(frozen=True, slots=True)
class MdnsService:
    """A Wyoming server that announced itself over mDNS."""

    name: str
    addresses: tuple[str, ...]
    port: int


@dataclass(frozen=True, slots=True)
class Network:
    """How others can find the server."""

    port: int
    local_only: bool  # it is to listen for this machine alone
    own: tuple[str, ...]  # addresses of this machine
    reachable: tuple[str, ...]  # addresses that can be announced
    multicast: str  # why the mDNS group cannot be joined; "" = it can
    announced: tuple[MdnsService, ...]

    @property
    def ours(self) -> tuple[MdnsService, ...]:
        """Announcements of what listens on this machine's port."""
        return tuple(
            one
            for one in self.announced
            if one.port == self.port and set(one.addresses) & set(self.own)
        )


@dataclass(frozen=True, slots=True)
class Described:
    """What the server says that it is."""

    program: str
    models: tuple[str, ...]
    languages: tuple[str, ...]
    external_vad: bool  # Home Assistant is to find the end of speech
    seconds: float  # for a new connection and its answer


@dataclass(frozen=True, slots=True)
class TrialUtterance:
    """One utterance, spoken as Home Assistant speaks."""

    text: str | None  # None = no transcript came
    error: str  # why not
    before_stop: bool  # the transcript came before audio-stop was sent
    waited: float  # seconds from the last word, or audio-stop if it was sent, to the end


@dataclass(frozen=True, slots=True)
class ConcurrentTrial:
    """Several utterances at once, and somebody who asks what the server is meanwhile."""

    turns: tuple[TrialUtterance, ...]
    describes: tuple[float, ...]  # seconds; inf = no answer


@dataclass(frozen=True, slots=True)
class ServerTrial:
    """What Home Assistant sees of a running server."""

    described: Described
    first: TrialUtterance  # as fast as it goes; may have waited for the model
    external: TrialUtterance  # Home Assistant ends the turn, after its silence
    open_ended: TrialUtterance  # nobody ends it but the server
    silence: TrialUtterance  # nobody speaks
    crowd: ConcurrentTrial
    expected: frozenset[str]  # words that are certain to be in the order; empty = not known
