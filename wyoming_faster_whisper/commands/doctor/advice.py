"""From what was seen to what is to be said about it, in plain words. Pure."""

from __future__ import annotations

import re

from ...errors import counted
from .facts import (
    ConcurrentTrial,
    Described,
    Libraries,
    MachineFacts,
    ModelFiles,
    Network,
    ServerTrial,
    TrialUtterance,
)
from .finding import Finding, Level

OLD_INFO_TIMEOUT = 1.0  # seconds; Home Assistant until 2026.2 waits no longer for `info`
INFO_TIMEOUT = 5.0  # seconds; and since
CAP = 15.0  # seconds after which Home Assistant's VAD gives up
PROMPT = 0.3  # seconds; what nobody notices as a wait
SLOW = 1.0  # seconds; what everybody does
SMALLEST = 350.0  # MB that the base model takes at most


TLS = Finding(
    Level.PROBLEM,
    "the server takes TLS only (--tls-cert), and Home Assistant does not speak it",
    "let something on Home Assistant's side add it, like stunnel; or leave --tls-cert out and "
    "say with --allow who may connect",
)


def on_machine(box: MachineFacts) -> list[Finding]:
    """The machine: can it decode speech well?"""
    features = ", ".join(box.features) or "none that help"
    findings = [
        Finding(
            Level.OK,
            f"{box.processor or box.machine}, {counted(box.cores, 'core')}; features: {features}",
        )
    ]
    if box.machine in ("x86_64", "AMD64", "i686") and "avx2" not in box.features:
        findings.append(
            Finding(
                Level.WARNING,
                "the processor has no AVX2, so decoding is several times slower",
                "choose a small model, --model tiny; in a virtual machine, let it have the "
                "host's processor type",
            )
        )
    if box.machine in ("aarch64", "arm64") and "asimddp" not in box.features:
        findings.append(
            Finding(
                Level.NOTE,
                "the processor has no dot product instructions, as on a Raspberry Pi 4",
                "--model tiny is what it can do while you wait",
            )
        )
    if box.memory < SMALLEST:
        findings.append(
            Finding(
                Level.WARNING,
                f"{box.memory:.0f} MB of memory are free; the base model takes up to "
                f"{SMALLEST:.0f}",
                "choose --model tiny, or give it more",
            )
        )
    else:
        findings.append(Finding(Level.OK, f"{box.memory / 1000:.1f} GB of memory are free"))
    if box.busy:
        findings.append(
            Finding(
                Level.WARNING,
                f"{box.load:.1f} processes want {counted(box.cores, 'core')}",
                "something else keeps this machine busy; answers come later meanwhile",
            )
        )
    return findings


def on_libraries(libraries: Libraries) -> list[Finding]:
    """The libraries: do they run on this processor?"""
    if libraries.trouble:
        return [
            Finding(
                Level.PROBLEM,
                f"decoding cannot work here: {libraries.trouble}",
                "install the server again; on a processor that is too old for them it cannot run",
            )
        ]
    gpus = f", {counted(libraries.gpus, 'GPU')}" if libraries.gpus else ""
    types = ", ".join(libraries.compute_types)
    findings = [Finding(Level.OK, f"CTranslate2 runs here: {types}{gpus}")]
    if not any(kind.startswith("int8") for kind in libraries.compute_types):
        findings.append(
            Finding(
                Level.WARNING,
                "CTranslate2 has no int8 on this processor: twice the memory, half the speed",
                "choose a smaller model",
            )
        )
    return findings


def on_model(model: ModelFiles, *, chosen: bool = False) -> list[Finding]:
    """One model: is it here, and fast enough?

    Args:
        chosen: by `auto`, which knows nothing faster here.
    """
    findings = []
    if model.at_hand:
        findings.append(Finding(Level.OK, f"model {model.name} is here"))
    elif not model.may_download:
        findings.append(
            Finding(
                Level.PROBLEM,
                f"model {model.name} is not here, and --local-files-only forbids to download it",
                "leave that out for one start, or put the model into a --data-dir",
            )
        )
    else:
        findings.append(
            Finding(
                Level.NOTE,
                f"model {model.name} is not here; the first start downloads it",
                "the first answer waits for that; nothing else is to be done",
            )
        )
    if model.seconds is not None:
        smaller = "choose a smaller model; auto would"
        if chosen:
            smaller = "auto has none at hand that is faster; --model tiny downloads one"
        findings.append(
            Finding(
                Level.OK if model.seconds <= SLOW else Level.WARNING,
                f"a usual command took it {model.seconds:.2f} s on this machine",
                "" if model.seconds <= SLOW else smaller,
            )
        )
    if not model.writable:
        findings.append(
            Finding(
                Level.NOTE if model.at_hand else Level.PROBLEM,
                f"{model.folder} cannot be written to",
                "give --data-dir a folder that the server's user may write to; it keeps models "
                "there, and how fast they were",
            )
        )
    elif not model.at_hand and model.free < 2000:
        findings.append(
            Finding(
                Level.WARNING,
                f"{model.free:.0f} MB are free in {model.folder}",
                "a larger model may not fit; make room, or name another --data-dir",
            )
        )
    return findings


def on_network(network: Network) -> list[Finding]:
    """The network: does Home Assistant find the server by itself?"""
    if network.local_only:
        return [
            Finding(
                Level.NOTE,
                "the server is for this machine only",
                "a Home Assistant elsewhere needs --uri tcp://0.0.0.0:10300",
            )
        ]
    findings = []
    if not network.reachable:
        findings.append(
            Finding(
                Level.PROBLEM,
                "this machine has no address that others could reach",
                "connect it to the network; in a container, give it the host's network "
                "(network_mode: host) or say --advertise-host with the host's address",
            )
        )
    else:
        findings.append(
            Finding(Level.OK, f"others can reach this machine at {', '.join(network.reachable)}")
        )
    if network.multicast:
        findings.append(
            Finding(
                Level.WARNING,
                f"mDNS cannot be used here: {network.multicast}",
                "Home Assistant will not find the server by itself; add the Wyoming Protocol "
                f"integration by hand, with port {network.port}",
            )
        )
    elif ours := network.ours:
        where = ", ".join(ours[0].addresses)
        findings.append(
            Finding(Level.OK, f"announced as {ours[0].name!r} at {where}, port {ours[0].port}")
        )
        if len(ours) > 1:
            names = ", ".join(repr(one.name) for one in ours)
            findings.append(
                Finding(
                    Level.WARNING,
                    f"announced {len(ours)} times: {names}",
                    "Home Assistant offers it more than once; leave one announcement on",
                )
            )
    else:
        findings.append(
            Finding(
                Level.NOTE,
                "the server is not announced on the network",
                "start it with --zeroconf, and Home Assistant finds it by itself; the add-on "
                "does without",
            )
        )
    return findings


def on_trial(visit: ServerTrial, *, busy: bool = False) -> list[Finding]:
    """The running server, as Home Assistant sees it.

    Args:
        busy: something else kept the machine busy meanwhile.
    """
    faster = _faster(visit.described, busy)
    return [
        *_on_described(visit.described),
        *_on_first(visit.first),
        *_on_external(visit.external, visit.expected, faster),
        *_on_open_ended(visit.open_ended, visit.described.external_vad),
        *_on_silence(visit.silence),
        *_on_concurrent(visit.crowd, faster),
    ]


def on_unreachable(trouble: str) -> Finding:
    """There is no server to visit."""
    return Finding(
        Level.PROBLEM,
        trouble,
        "start the server; if it runs, say with --uri where, and look for another program on its "
        "port",
    )


def _faster(described: Described, busy: bool) -> str:
    """What makes answers come sooner."""
    if busy:
        return "the machine had something else to do as well: look again when it has not"
    if all("tiny" in name for name in described.models):
        return "the model is the smallest there is; only a faster machine is faster"
    return "choose a smaller model, or --model auto, which goes by this machine's speed"


def _on_described(described: Described) -> list[Finding]:
    entity = "stt." + re.sub(r"\W+", "_", described.program.lower())
    languages = described.languages
    some = ", ".join(languages) if len(languages) <= 5 else counted(len(languages), "language")
    findings = [
        Finding(
            Level.OK,
            f"{entity}: {', '.join(described.models)}; {some}; described in "
            f"{described.seconds * 1000:.0f} ms",
        )
    ]
    if described.seconds > OLD_INFO_TIMEOUT:
        findings.append(
            Finding(
                Level.WARNING if described.seconds <= INFO_TIMEOUT else Level.PROBLEM,
                f"it took {described.seconds:.1f} s to say what it is",
                f"Home Assistant gives up after {INFO_TIMEOUT:g} s (until 2026.2 after "
                f"{OLD_INFO_TIMEOUT:g} s) and shows it as unavailable; see what keeps the "
                "machine busy",
            )
        )
    return findings


def _on_first(turn: TrialUtterance) -> list[Finding]:
    if turn.text is None or turn.waited <= 5.0:
        return []  # what is wrong shows in the turns that follow
    return [
        Finding(
            Level.NOTE,
            f"the first answer took {turn.waited:.0f} s: the model was loading, perhaps",
            "after a start the first to speak waits for it",
        )
    ]


def _on_external(turn: TrialUtterance, expected: frozenset[str], faster: str) -> list[Finding]:
    what = "an order that Home Assistant ends after 0.7 s of silence"
    if turn.text is None:
        return [_no_answer(what, turn)]
    level = Level.OK if turn.waited <= SLOW else Level.WARNING
    wait = "at once" if turn.waited <= PROMPT else f"after {turn.waited:.2f} s"
    advice = faster if level is Level.WARNING else ""
    findings = [Finding(level, f"{what}: answered {wait}, {turn.text!r}", advice)]
    if missed := expected - set(re.findall(r"\w+", turn.text.lower())):
        findings.append(
            Finding(
                Level.WARNING,
                f"it did not hear {', '.join(sorted(missed))}",
                "the order is spoken clearly in English: look at --language and "
                "--whisper-task, or choose a larger model",
            )
        )
    return findings


def _on_open_ended(turn: TrialUtterance, external_vad: bool) -> list[Finding]:
    what = "an order that nobody ends"
    if turn.text is None:
        return [_no_answer(what, turn)]
    if turn.before_stop:
        takes = "Home Assistant from 2026.10 on takes that and stops listening"
        return [Finding(Level.OK, f"{what}: answered {turn.waited:.2f} s after it; {takes}")]
    if external_vad:
        return [
            Finding(
                Level.NOTE,
                f"{what}: the server waits for Home Assistant to find the end",
                "Home Assistant may miss an order of a word that comes at once, and listen for "
                f"{CAP:g} s; --early-answer, on unless it is 0, answers before that",
            )
        ]
    return [
        Finding(
            Level.PROBLEM,
            f"{what}: the server asks to find the end itself, and did not",
            "Home Assistant from 2026.10 on would listen for minutes; leave --vad-endpointing "
            "out, or see why the server takes what follows for speech",
        )
    ]


def _on_silence(turn: TrialUtterance) -> list[Finding]:
    if turn.text is None:
        return [_no_answer("silence", turn)]
    if turn.text.strip():
        return [
            Finding(
                Level.WARNING,
                f"silence was heard as {turn.text!r}",
                "Home Assistant acts on that; raise --vad-threshold",
            )
        ]
    return [Finding(Level.OK, "silence: no text, which Home Assistant takes for just that")]


def _on_concurrent(crowd: ConcurrentTrial, faster: str) -> list[Finding]:
    many = f"{len(crowd.turns)} rooms at once"
    findings = []
    failed = [turn for turn in crowd.turns if turn.text is None]
    if failed:
        findings.append(_no_answer(f"{len(failed)} of {many}", failed[0]))
    else:
        last = max(turn.waited for turn in crowd.turns)
        findings.append(
            Finding(
                Level.OK if last <= 2 * SLOW else Level.NOTE,
                f"{many}: the last had its answer after {last:.2f} s",
                "" if last <= 2 * SLOW else faster,
            )
        )
    slowest = max(crowd.describes, default=0.0)
    if slowest > INFO_TIMEOUT:
        findings.append(
            Finding(
                Level.PROBLEM,
                "meanwhile it did not say in time what it is",
                "Home Assistant asks every 30 s, and shows it as unavailable then; give it "
                "fewer --cpu-threads than there are cores",
            )
        )
    else:
        findings.append(
            Finding(
                Level.OK if slowest <= OLD_INFO_TIMEOUT else Level.WARNING,
                f"meanwhile it said what it is within {slowest * 1000:.0f} ms",
                ""
                if slowest <= OLD_INFO_TIMEOUT
                else f"Home Assistant until 2026.2 waits {OLD_INFO_TIMEOUT:g} s only",
            )
        )
    return findings


def _no_answer(what: str, turn: TrialUtterance) -> Finding:
    return Finding(
        Level.PROBLEM,
        f"{what}: no answer: {turn.error}",
        "Home Assistant says stt-stream-failed; the server's log has the reason",
    )
