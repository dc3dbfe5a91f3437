"""Findings and advice of the doctor command."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tests.support.clips import CLIPS
from wyoming_faster_whisper.client import read_wav
from wyoming_faster_whisper.commands.doctor import advice, host, report
from wyoming_faster_whisper.commands.doctor.command import _ORDER, _WORDS
from wyoming_faster_whisper.commands.doctor.facts import (
    ConcurrentTrial,
    Described,
    Libraries,
    MachineFacts,
    MdnsService,
    ModelFiles,
    Network,
    ServerTrial,
    TrialUtterance,
)
from wyoming_faster_whisper.commands.doctor.finding import Finding, Level, worst

BOX = MachineFacts(
    machine="x86_64",
    processor="Cray 1",
    features=("avx", "avx2"),
    cores=4,
    load=0.5,
    memory=4000.0,
)
MODEL = ModelFiles(
    name="base-int8",
    at_hand=True,
    may_download=True,
    seconds=0.3,
    folder="/data",
    writable=True,
    free=9000.0,
)
NETWORK = Network(
    port=10300,
    local_only=False,
    own=("127.0.0.1", "192.168.1.20"),
    reachable=("192.168.1.20",),
    multicast="",
    announced=(
        MdnsService("kitchen", ("192.168.1.20",), 10300),
        MdnsService("attic", ("192.168.1.30",), 10300),
    ),
)
ANSWERED = TrialUtterance("Turn on the lights.", "", before_stop=False, waited=0.1)
FAILED = TrialUtterance(None, "the server went away", before_stop=False, waited=0.0)
VISIT = ServerTrial(
    described=Described("faster-whisper", ("base-int8",), ("de", "en"), True, 0.002),
    first=ANSWERED,
    external=ANSWERED,
    open_ended=replace(ANSWERED, before_stop=True, waited=0.6),
    silence=replace(ANSWERED, text=""),
    crowd=ConcurrentTrial((ANSWERED, ANSWERED), (0.002, 0.003)),
    expected=frozenset({"lights"}),
)


def worries(findings: list[Finding]) -> str:
    """Return all findings that are not OK as one text."""
    return "\n".join(
        f"{finding.level.name}: {finding.saw} -> {finding.advice}"
        for finding in findings
        if finding.level is not Level.OK
    )


def test_a_healthy_machine_and_server_cause_no_warnings() -> None:
    findings = [
        *advice.on_machine(BOX),
        *advice.on_libraries(Libraries(("float32", "int8"))),
        *advice.on_model(MODEL),
        *advice.on_network(NETWORK),
        *advice.on_trial(VISIT),
    ]
    assert worries(findings) == ""
    said = "\n".join(finding.saw for finding in findings)
    assert "Cray 1, 4 cores; features: avx, avx2" in said
    assert "announced as 'kitchen' at 192.168.1.20, port 10300" in said
    assert "stt.faster_whisper: base-int8; de, en; info received in 2 ms" in said


@pytest.mark.parametrize(
    ("change", "worry"),
    [
        ({"features": ("avx",)}, "WARNING: the processor has no AVX2"),
        ({"machine": "aarch64"}, "NOTE: the processor has no dot product instructions"),
        ({"memory": 200.0}, "WARNING: 200 MB of memory are free"),
        ({"load": 4.5}, "WARNING: the load average is 4.5 on 4 cores"),
    ],
)
def test_findings_on_the_machine(change: dict[str, object], worry: str) -> None:
    assert worries(advice.on_machine(replace(BOX, **change))).startswith(worry)  # type: ignore[arg-type]


def test_findings_on_the_libraries() -> None:
    dead = advice.on_libraries(Libraries(trouble="a trial ended with SIGILL"))
    assert worries(dead).startswith(
        "PROBLEM: decoding does not work on this machine: a trial ended"
    )
    assert "no int8" in worries(advice.on_libraries(Libraries(("float32",))))
    assert "2 GPUs" in advice.on_libraries(Libraries(("int8",), 2))[0].saw


@pytest.mark.parametrize(
    ("change", "worry"),
    [
        ({"at_hand": False}, "NOTE: model base-int8 is not on this machine; the first"),
        (
            {"at_hand": False, "may_download": False},
            "PROBLEM: model base-int8 is not on this machine, and",
        ),
        ({"at_hand": False, "free": 90.0}, "WARNING: 90 MB are free in /data"),
        ({"writable": False}, "NOTE: /data is not writable"),
        ({"at_hand": False, "writable": False}, "PROBLEM: /data is not writable"),
        ({"seconds": 2.0}, "WARNING: the model takes 2.00 s for a typical command"),
    ],
)
def test_findings_on_the_model(change: dict[str, object], worry: str) -> None:
    assert worry in worries(advice.on_model(replace(MODEL, **change)))  # type: ignore[arg-type]


def test_the_advice_names_a_model_if_auto_chose_the_slow_one() -> None:
    slow = replace(MODEL, seconds=2.0)
    assert "let --model auto choose it" in worries(advice.on_model(slow))
    assert "--model tiny" in worries(advice.on_model(slow, chosen=True))
    assert "let --model auto choose it" not in worries(advice.on_model(slow, chosen=True))


@pytest.mark.parametrize(
    ("change", "worry"),
    [
        ({"local_only": True}, "NOTE: the server listens for this machine only"),
        ({"reachable": ()}, "PROBLEM: this machine has no address that other machines can reach"),
        (
            {"multicast": "No such device"},
            "WARNING: mDNS does not work on this machine: No such device",
        ),
        ({"announced": ()}, "NOTE: the server is not announced on the network"),
        ({"port": 10301}, "NOTE: the server is not announced on the network"),
        ({"announced": NETWORK.announced[:1] * 2}, "WARNING: announced 2 times"),
    ],
)
def test_findings_on_the_network(change: dict[str, object], worry: str) -> None:
    assert worry in worries(advice.on_network(replace(NETWORK, **change)))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "worry"),
    [
        ({"external": replace(ANSWERED, waited=1.5)}, "WARNING: a command that Home Assistant"),
        (
            {"external": FAILED},
            "PROBLEM: a command that Home Assistant ends after 0.7 s of silenc",
        ),
        (
            {"external": replace(ANSWERED, text="Stop.")},
            "WARNING: words missing from the transcript: lights",
        ),
        ({"first": replace(ANSWERED, waited=9.0)}, "NOTE: the first answer took 9 s"),
        (
            {"open_ended": ANSWERED},
            "NOTE: a command that Home Assistant does not end: the server waits",
        ),
        (
            {"open_ended": FAILED},
            "PROBLEM: a command that Home Assistant does not end: no answer",
        ),
        (
            {"silence": replace(ANSWERED, text="Thank you.")},
            "WARNING: silence was transcribed as",
        ),
        ({"silence": FAILED}, "PROBLEM: silence: no answer: the server went away"),
        (
            {"crowd": ConcurrentTrial((ANSWERED, FAILED), ())},
            "PROBLEM: 1 of 2 rooms at once: no answer",
        ),
        (
            {"crowd": ConcurrentTrial((replace(ANSWERED, waited=5),), ())},
            "NOTE: 1 rooms at once: the last",
        ),
        (
            {"crowd": ConcurrentTrial((ANSWERED,), (0.1, 2.0))},
            "WARNING: under load the server sent its info",
        ),
        (
            {"crowd": ConcurrentTrial((ANSWERED,), (0.1, float("inf")))},
            "PROBLEM: under load the server did not",
        ),
        (
            {"described": replace(VISIT.described, seconds=2)},
            "WARNING: the server took 2.0 s to send",
        ),
        (
            {"described": replace(VISIT.described, seconds=9)},
            "PROBLEM: the server took 9.0 s to send",
        ),
    ],
)
def test_findings_on_the_server(change: dict[str, object], worry: str) -> None:
    assert worries(advice.on_trial(replace(VISIT, **change))).startswith(worry)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("models", "busy", "advice_given"),
    [
        (("small", "tiny"), False, "choose a smaller model"),
        (("tiny-int8",), False, "this is already the smallest model"),
        (("small",), True, "other programs kept the machine busy"),
    ],
)
def test_advice_on_late_answers(models: tuple[str, ...], busy: bool, advice_given: str) -> None:
    visit = replace(
        VISIT,
        described=replace(VISIT.described, models=models),
        external=replace(ANSWERED, waited=1.5),
    )
    assert f" -> {advice_given}" in worries(advice.on_trial(visit, busy=busy))


def test_a_server_that_announces_endpointing_must_end_the_turn() -> None:
    described = replace(VISIT.described, external_vad=False)
    visit = replace(VISIT, described=described, open_ended=ANSWERED)
    assert worries(advice.on_trial(visit)).startswith(
        "PROBLEM: a command that Home Assistant does not end: "
    )


def test_the_overall_level_is_that_of_the_worst_finding() -> None:
    assert worst([]) is Level.OK
    assert worst([Finding(Level.NOTE, ""), Finding(Level.WARNING, "")]) is Level.WARNING


def test_advice_is_printed_below_its_finding() -> None:
    long = Finding(Level.WARNING, "it is long " * 14, "do this")
    told = report.heading("Network", [Finding(Level.OK, "well\x1b[2J"), long])
    assert told.splitlines() == [
        "Network",
        "  ok       well[2J",
        "  warning  " + "it is long " * 7 + "it is",
        "           long" + " it is long" * 6,
        "           -> do this",
    ]


def test_the_json_report_contains_findings_and_facts() -> None:
    crowd = ConcurrentTrial((ANSWERED,), (0.12345, float("inf")))
    findings = {"A": [Finding(Level.OK, "a")], "B": [Finding(Level.PROBLEM, "b", "do")]}
    told = json.loads(report.as_json("tcp://a:1", findings, {"crowd": crowd, "models": [MODEL]}))
    assert (told["uri"], told["level"]) == ("tcp://a:1", "problem")
    assert told["findings"][1] == {"area": "B", "level": "problem", "saw": "b", "advice": "do"}
    assert told["facts"]["crowd"]["describes"] == [0.123, None]
    assert told["facts"]["models"][0]["name"] == "base-int8"


CPUINFO = {
    "intel": "model name\t: Intel(R) N100\nflags\t\t: fpu avx sse4_1 avx2\n\nmodel name\t: x\n",
    "pi": "processor\t: 0\nFeatures\t: fp asimd crc32\n\nModel\t\t: Raspberry Pi 4 Model B\n",
    "none": "",
}


def test_the_processor_is_read_from_cpuinfo() -> None:
    assert {kind: host._processor(text) for kind, text in CPUINFO.items()} == {
        "intel": "Intel(R) N100",
        "pi": "Raspberry Pi 4 Model B",
        "none": "",
    }
    assert {kind: host._features(text) for kind, text in CPUINFO.items()} == {
        "intel": ("sse4_1", "avx", "avx2"),
        "pi": ("asimd",),
        "none": (),
    }


def test_the_packaged_recording_is_the_test_clip() -> None:
    clip = read_wav(_ORDER)
    assert clip == read_wav(_ORDER.parents[3] / "tests" / "data" / "lights.wav")
    assert CLIPS["lights"].words == _WORDS
