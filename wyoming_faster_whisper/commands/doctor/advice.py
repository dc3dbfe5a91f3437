"""Turns facts into findings in plain words. Pure."""

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

OLD_INFO_TIMEOUT = 1.0  # seconds that Home Assistant up to 2026.2 waits for `info`
INFO_TIMEOUT = 5.0  # seconds that later versions wait for it
CAP = 15.0  # seconds after which Home Assistant's VAD ends a turn in any case
PROMPT = 0.3  # seconds; a wait up to this is not noticed
SLOW = 1.0  # seconds; a longer wait is noticed by every user
SMALLEST = 350.0  # MB that the base model needs at most


TLS = Finding(
    Level.PROBLEM,
    "the server accepts TLS only (--tls-cert), which Home Assistant does not support",
    "run a TLS tunnel such as stunnel beside Home Assistant, or leave --tls-cert out and "
    "limit with --allow which addresses may connect",
)


def on_machine(box: MachineFacts) -> list[Finding]:
    """Return the findings about the machine: is it fast enough, with enough memory?"""
    features = ", ".join(box.features) or "none that speed up decoding"
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
                "choose a small model, --model tiny; in a virtual machine, set the CPU type to "
                "that of the host",
            )
        )
    if box.machine in ("aarch64", "arm64") and "asimddp" not in box.features:
        findings.append(
            Finding(
                Level.NOTE,
                "the processor has no dot product instructions, as on a Raspberry Pi 4",
                "choose --model tiny; larger models are too slow for voice commands here",
            )
        )
    if box.memory < SMALLEST:
        findings.append(
            Finding(
                Level.WARNING,
                f"{box.memory:.0f} MB of memory are free; the base model needs up to "
                f"{SMALLEST:.0f} MB",
                "choose --model tiny, or give this machine more memory",
            )
        )
    else:
        findings.append(Finding(Level.OK, f"{box.memory / 1000:.1f} GB of memory are free"))
    if box.busy:
        findings.append(
            Finding(
                Level.WARNING,
                f"the load average is {box.load:.1f} on {counted(box.cores, 'core')}",
                "other programs keep this machine busy; until they finish, answers take longer",
            )
        )
    return findings


def on_libraries(libraries: Libraries) -> list[Finding]:
    """Return the findings about the inference libraries: do they run on this processor?"""
    if libraries.trouble:
        return [
            Finding(
                Level.PROBLEM,
                f"decoding does not work on this machine: {libraries.trouble}",
                "reinstall the server; if the processor is too old for its libraries, use "
                "another machine",
            )
        ]
    gpus = f"; {counted(libraries.gpus, 'GPU')}" if libraries.gpus else ""
    types = ", ".join(libraries.compute_types)
    findings = [Finding(Level.OK, f"CTranslate2 works; compute types: {types}{gpus}")]
    if not any(kind.startswith("int8") for kind in libraries.compute_types):
        findings.append(
            Finding(
                Level.WARNING,
                "CTranslate2 has no int8 on this processor, so a model takes twice the memory "
                "and runs at half the speed",
                "choose a smaller model",
            )
        )
    return findings


def on_model(model: ModelFiles, *, chosen: bool = False) -> list[Finding]:
    """Return the findings about one model: is it on this machine, and fast enough?

    Args:
        chosen: True if `auto` chose it, so no faster model is on this machine.
    """
    findings = []
    if model.at_hand:
        findings.append(Finding(Level.OK, f"model {model.name} is on this machine"))
    elif not model.may_download:
        findings.append(
            Finding(
                Level.PROBLEM,
                f"model {model.name} is not on this machine, and --local-files-only forbids the "
                "download",
                "start once without --local-files-only, or put the model into a --data-dir",
            )
        )
    else:
        findings.append(
            Finding(
                Level.NOTE,
                f"model {model.name} is not on this machine; the first start downloads it",
                "the first answer waits for the download; you need to do nothing",
            )
        )
    if model.seconds is not None:
        smaller = "choose a smaller model, or let --model auto choose it"
        if chosen:
            smaller = "auto found no faster model on this machine; --model tiny downloads one"
        findings.append(
            Finding(
                Level.OK if model.seconds <= SLOW else Level.WARNING,
                f"the model takes {model.seconds:.2f} s for a typical command on this machine",
                "" if model.seconds <= SLOW else smaller,
            )
        )
    if not model.writable:
        findings.append(
            Finding(
                Level.NOTE if model.at_hand else Level.PROBLEM,
                f"{model.folder} is not writable",
                "set --data-dir to a folder that the server's user can write to; it stores "
                "models and their measured speed there",
            )
        )
    elif not model.at_hand and model.free < 2000:
        findings.append(
            Finding(
                Level.WARNING,
                f"{model.free:.0f} MB are free in {model.folder}",
                "a larger model may not fit; free some space, or choose another --data-dir",
            )
        )
    return findings


def on_network(network: Network) -> list[Finding]:
    """Return the findings about the network: can Home Assistant discover the server?"""
    if network.local_only:
        return [
            Finding(
                Level.NOTE,
                "the server listens for this machine only",
                "if Home Assistant runs on another machine, start the server with --uri "
                "tcp://0.0.0.0:10300",
            )
        ]
    findings = []
    if not network.reachable:
        findings.append(
            Finding(
                Level.PROBLEM,
                "this machine has no address that other machines can reach",
                "connect it to the network; in a container, use the host's network "
                "(network_mode: host) or set --advertise-host to the host's address",
            )
        )
    else:
        findings.append(
            Finding(Level.OK, f"other machines reach this one at {', '.join(network.reachable)}")
        )
    if network.multicast:
        findings.append(
            Finding(
                Level.WARNING,
                f"mDNS does not work on this machine: {network.multicast}",
                "Home Assistant cannot discover the server; add the Wyoming Protocol integration "
                f"manually, with port {network.port}",
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
                    "Home Assistant discovers it more than once; keep only one announcement",
                )
            )
    else:
        findings.append(
            Finding(
                Level.NOTE,
                "the server is not announced on the network",
                "start it with --zeroconf, so that Home Assistant discovers it; the add-on does "
                "not need this",
            )
        )
    return findings


def on_trial(visit: ServerTrial, *, busy: bool = False) -> list[Finding]:
    """Return the findings about the running server, as Home Assistant uses it.

    Args:
        busy: True if other programs kept the machine busy.
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


def on_unreachable(problem: str) -> Finding:
    """Return the finding for a server that cannot be tried."""
    return Finding(
        Level.PROBLEM,
        problem,
        "start the server; if it is running, set --uri to its address, and check for another "
        "program on its port",
    )


def _faster(described: Described, busy: bool) -> str:
    """Return the advice for answers that come too late."""
    if busy:
        return "other programs kept the machine busy: run the doctor again when it is idle"
    if all("tiny" in name for name in described.models):
        return "this is already the smallest model; only a faster machine would help"
    return "choose a smaller model, or --model auto, which goes by this machine's speed"


def _on_described(described: Described) -> list[Finding]:
    entity = "stt." + re.sub(r"\W+", "_", described.program.lower())
    languages = described.languages
    some = ", ".join(languages) if len(languages) <= 5 else counted(len(languages), "language")
    findings = [
        Finding(
            Level.OK,
            f"{entity}: {', '.join(described.models)}; {some}; info received in "
            f"{described.seconds * 1000:.0f} ms",
        )
    ]
    if described.seconds > OLD_INFO_TIMEOUT:
        findings.append(
            Finding(
                Level.WARNING if described.seconds <= INFO_TIMEOUT else Level.PROBLEM,
                f"the server took {described.seconds:.1f} s to send its info",
                f"Home Assistant gives up after {INFO_TIMEOUT:g} s (up to 2026.2 after "
                f"{OLD_INFO_TIMEOUT:g} s) and shows the server as unavailable; find out what "
                "keeps the machine busy",
            )
        )
    return findings


def _on_first(turn: TrialUtterance) -> list[Finding]:
    if turn.text is None or turn.waited <= 5.0:
        return []  # the utterances after it show what is wrong
    return [
        Finding(
            Level.NOTE,
            f"the first answer took {turn.waited:.0f} s; perhaps the model was still loading",
            "the first command after a start waits for the model",
        )
    ]


def _on_external(turn: TrialUtterance, expected: frozenset[str], faster: str) -> list[Finding]:
    what = "a command that Home Assistant ends after 0.7 s of silence"
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
                f"words missing from the transcript: {', '.join(sorted(missed))}",
                "the recording is clear English: check --language and --whisper-task, or choose "
                "a larger model",
            )
        )
    return findings


def _on_open_ended(turn: TrialUtterance, external_vad: bool) -> list[Finding]:
    what = "a command that Home Assistant does not end"
    if turn.text is None:
        return [_no_answer(what, turn)]
    if turn.before_stop:
        takes = "Home Assistant 2026.10 and later stops listening then"
        return [Finding(Level.OK, f"{what}: answered after {turn.waited:.2f} s; {takes}")]
    if external_vad:
        return [
            Finding(
                Level.NOTE,
                f"{what}: the server waits for Home Assistant to detect the end of speech",
                "Home Assistant may miss a one-word command that is spoken at once, and keep "
                f"listening for {CAP:g} s; --early-answer (on unless 0) answers before that",
            )
        ]
    return [
        Finding(
            Level.PROBLEM,
            f"{what}: the server claims to detect the end of speech itself, but did not",
            "Home Assistant 2026.10 and later would keep listening for minutes; leave "
            "--vad-endpointing out, or find out why the server takes silence for speech",
        )
    ]


def _on_silence(turn: TrialUtterance) -> list[Finding]:
    if turn.text is None:
        return [_no_answer("silence", turn)]
    if turn.text.strip():
        return [
            Finding(
                Level.WARNING,
                f"silence was transcribed as {turn.text!r}",
                "Home Assistant would act on that text; raise --vad-threshold",
            )
        ]
    return [Finding(Level.OK, "silence: empty text, which Home Assistant takes for no speech")]


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
                f"{many}: the last answer came after {last:.2f} s",
                "" if last <= 2 * SLOW else faster,
            )
        )
    slowest = max(crowd.describes, default=0.0)
    if slowest > INFO_TIMEOUT:
        findings.append(
            Finding(
                Level.PROBLEM,
                "under load the server did not send its info in time",
                "Home Assistant asks every 30 s and would show the server as unavailable; set "
                "--cpu-threads to less than the number of cores",
            )
        )
    else:
        findings.append(
            Finding(
                Level.OK if slowest <= OLD_INFO_TIMEOUT else Level.WARNING,
                f"under load the server sent its info within {slowest * 1000:.0f} ms",
                ""
                if slowest <= OLD_INFO_TIMEOUT
                else f"Home Assistant up to 2026.2 waits only {OLD_INFO_TIMEOUT:g} s",
            )
        )
    return findings


def _no_answer(what: str, turn: TrialUtterance) -> Finding:
    return Finding(
        Level.PROBLEM,
        f"{what}: no answer: {turn.error}",
        "Home Assistant reports stt-stream-failed; the server's log has the reason",
    )
