"""Our model in a real Triton: versions, batches, errors, metrics, and what happens without it.

script/test-triton runs this. Prints one line for each scenario; exit status 1 if one fails.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from tests.support.clips import CLIPS
from wyoming_faster_whisper.app.recognizers import choose_recognizer, load_default
from wyoming_faster_whisper.config.load import read_settings
from wyoming_faster_whisper.engine.protocol import DecodeOptions, Engine, Job
from wyoming_faster_whisper.engine.remote.contract.message import write
from wyoming_faster_whisper.engine.remote.contract.tensors import Floats, Strings, Tensor
from wyoming_faster_whisper.errors import Busy, ServerError
from wyoming_faster_whisper.serving.triton_repository import config, version_policy

from .server import PYTHON, Triton, export, running

# The same as those of the exported versions.
LOCAL = ("--model=tiny.en", "--cpu-threads=1", "--max-batch=4", "--beam-size=1")
ENGLISH = DecodeOptions(language="en", beam_size=1)
SAID = sorted(CLIPS.values(), key=lambda clip: len(clip.samples))[:8]
SHORT = SAID[0].samples
CLIENTS = 8


@contextmanager
def engine(*flags: str) -> Iterator[Engine]:
    """Load the engine of a server with these flags."""
    with tempfile.TemporaryDirectory() as folder:
        settings = read_settings(flags, {}).settings
        recognizer = choose_recognizer(settings, [Path(folder)], loaded=lambda: None)
        try:
            yield load_default(recognizer)
        finally:
            recognizer.close()


def remote(triton: Triton, model: str = "stt") -> tuple[str, ...]:
    """Return the flags of a server that decodes in Triton, however slow this machine is."""
    patient = ("--remote-timeout=300", "--decode-timeout=0")
    return (f"--remote-url={triton.url}", f"--remote-model={model}", *patient)


def decode(loaded: Engine, samples: np.ndarray) -> str:
    [transcript] = loaded.decode([Job(samples, ENGLISH)])
    return transcript.text


def decode_all(loaded: Engine, clips: Sequence[np.ndarray]) -> list[str]:
    """Decode clips at the same time."""
    with ThreadPoolExecutor(CLIENTS) as threads:
        return list(threads.map(lambda samples: decode(loaded, samples), clips))


class Scenarios:
    """The scenarios, in order: they add versions."""

    def __init__(self, triton: Triton, folder: Path) -> None:
        self._triton = triton
        self._folder = folder

    def a_batch_gives_the_texts_of_single_decodes(self) -> str:
        clips = [clip.samples for clip in SAID]
        with engine(*LOCAL) as here:
            single = [decode(here, clip) for clip in clips]
        with engine(*remote(self._triton)) as there:
            together = decode_all(there, clips)
        assert together == single, (together, single)
        requests = self._triton.metric("nv_inference_request_success", "stt")
        batches = self._triton.metric("nv_inference_exec_count", "stt")
        assert batches < requests, "Triton formed no batch"
        return f"{len(clips)} texts are equal; {requests:g} requests in {batches:g} batches"

    def a_malformed_request_fails_alone(self) -> str:
        with engine(*remote(self._triton)) as there, ThreadPoolExecutor(CLIENTS) as threads:
            good = [threads.submit(decode, there, SHORT) for _ in range(4)]
            bad = threads.submit(self._status, b'{"colour":"red"}')
            texts = {each.result() for each in good}
        assert bad.result() == 400, bad.result()
        assert len(texts) == 1
        assert "" not in texts
        return f"status 400 beside 4 answers: {texts.pop()!r}"

    def the_latest_version_replaces_the_one_before_under_load(self) -> str:
        answers, stop = [], threading.Event()

        def speak(loaded: Engine) -> int:
            while not stop.is_set():
                answers.append(decode(loaded, SHORT))
            return 0

        with engine(*remote(self._triton)) as there, ThreadPoolExecutor(2) as threads:
            speakers = [threads.submit(speak, there) for _ in range(2)]
            export(self._triton.repository, "base", 2)
            self._triton.wait("stt", 2)
            before = len(answers)
            self._triton.until(lambda: len(answers) >= before + 4)
            stop.set()
            for each in speakers:
                each.result()  # raises the error of a lost request
        assert before > 2
        assert all(answers), answers
        return f"0 of {len(answers)} requests lost, {before} of them before version 2 was ready"

    def a_version_that_cannot_be_loaded_leaves_the_old_one(self) -> str:
        folder = export(self._triton.repository, "tiny.en", 3)
        model = folder / "tiny.en" / "model.bin"
        model.unlink()  # not truncated: it is a hard link
        model.write_bytes(b"no weights")
        self._triton.until(lambda: "failed to load 'stt' version 3" in self._triton.log())
        assert self._triton.ready("stt", 2)
        assert not self._triton.ready("stt", 3)
        with engine(*remote(self._triton)) as there:
            text = decode(there, SHORT)
        # Triton tries again at every poll, and never comes back from a folder that disappears
        # while it loads it.
        self._configure(policy="specific:2")
        shutil.rmtree(folder)
        return f"version 2 answers {text!r}"

    def all_versions_are_served_beside_each_other(self) -> str:
        return self._policy("all", (1, 2))

    def a_specific_version_is_served(self) -> str:
        return self._policy("specific:1", (1,))

    def a_full_queue_is_busy(self) -> str:
        """Four requests are decoded at a time, and four wait."""
        self._configure(max_waiting=4)
        with engine(*remote(self._triton)) as there, ThreadPoolExecutor(16) as threads:
            futures = [threads.submit(decode, there, SAID[-1].samples) for _ in range(16)]
            errors = [each.exception() for each in futures]
        busy = sum(isinstance(error, Busy) for error in errors)
        assert busy + errors.count(None) == 16, errors
        assert busy
        assert errors.count(None) >= 5
        return f"{errors.count(None)} answered, {busy} busy"

    def a_request_cancelled_over_grpc_is_not_decoded(self) -> str:
        """While the first is decoded, the others wait."""
        np.save(self._folder / "clip.npy", SAID[-1].samples)
        before = self._triton.metric("nv_inference_count", "stt")
        arguments = [str(self._triton.grpc), "stt", str(self._folder / "clip.npy"), "6", "2"]
        script = Path(__file__).with_name("cancelled.py")
        run = subprocess.run(
            [PYTHON, script, *arguments], capture_output=True, text=True, check=True
        )
        texts = run.stdout.splitlines()
        assert len(texts) == 2, run.stdout
        assert all(texts), texts
        counted = self._triton.metric("nv_inference_count", "stt") - before
        assert 2 <= counted < 6, counted
        return f"2 answers; {counted:g} of 6 were decoded"

    def without_triton_the_local_model_answers(self) -> str:
        with engine(*remote(self._triton), *LOCAL) as both:
            there = decode(both, SHORT)
            self._triton.kill()
            started = time.monotonic()
            here = decode(both, SHORT)
        assert there
        assert here
        return f"{here!r} after {time.monotonic() - started:.1f} s"

    def _policy(self, policy: str, versions: tuple[int, ...]) -> str:
        self._configure(policy=policy)
        self._triton.wait("stt", *versions)
        texts = {}
        for version in versions:
            with engine(*remote(self._triton, f"stt:{version}")) as there:
                texts[version] = decode(there, SHORT)
        assert all(texts.values())
        other = ({1, 2} - set(versions)) or {9}
        status = self._triton.status(f"/v2/models/stt/versions/{other.pop()}/infer", b"{}")
        assert status in (400, 404, 503), status
        return f"{texts}; another version has status {status}"

    def _configure(self, *, policy: str | None = None, max_waiting: int | None = None) -> None:
        """Change config.pbtxt, as an operator does."""
        text = config(
            "stt",
            version_policy(policy or "specific:1"),
            max_batch=4,
            max_waiting=max_waiting or 64,
        )
        reloaded = self._triton.log().count("successfully loaded 'stt'")
        part = self._triton.repository / "stt" / ".config"
        part.write_text(text)
        part.replace(self._triton.repository / "stt" / "config.pbtxt")
        self._triton.until(
            lambda: self._triton.log().count("successfully loaded 'stt'") > reloaded
        )

    def _status(self, options: bytes) -> int:
        tensors: list[Tensor] = [
            Floats("AUDIO", SHORT.reshape(1, -1)),
            Strings("OPTIONS", (options,)),
        ]
        body, length = write("inputs", tensors)
        return self._triton.status(
            "/v2/models/stt/infer", body, Inference_Header_Content_Length=str(length)
        )


def main() -> int:
    failed = 0
    with tempfile.TemporaryDirectory(prefix="test-triton-") as made:
        folder = Path(made)
        export(folder / "repository", "tiny.en", 1)
        with running(folder / "repository", folder) as triton:
            triton.wait("stt", 1)
            scenarios = Scenarios(triton, folder)
            steps: list[Callable[[], str]] = [
                scenarios.a_batch_gives_the_texts_of_single_decodes,
                scenarios.a_malformed_request_fails_alone,
                scenarios.the_latest_version_replaces_the_one_before_under_load,
                scenarios.a_version_that_cannot_be_loaded_leaves_the_old_one,
                scenarios.all_versions_are_served_beside_each_other,
                scenarios.a_specific_version_is_served,
                scenarios.a_full_queue_is_busy,
                scenarios.a_request_cancelled_over_grpc_is_not_decoded,
                scenarios.without_triton_the_local_model_answers,
            ]
            for step in steps:
                failed += not passes(step)
    print(f"{len(steps) - failed} passed, {failed} failed")
    return 1 if failed else 0


def passes(scenario: Callable[[], str]) -> bool:
    """Run a scenario and print its result."""
    title, started = scenario.__name__.replace("_", " "), time.monotonic()
    try:
        result, ok = scenario(), True
    except (AssertionError, ServerError) as error:
        result, ok = f"FAILED: {error}", False
    print(f"{title} ({time.monotonic() - started:.0f} s): {result}", flush=True)
    return ok


if __name__ == "__main__":
    sys.exit(main())
