"""The page without the server: recognition in headless Chromium, beside the server's own.

For each model the page of a server stores its files; then the clips are decoded in the browser,
in one thread and in two, and by the server's engine with the same weights, greedily and in the
same window. Prints the word error rates, and for the browser the seconds per clip, the time to
load from its storage, and the memory of the process with the page. Progress goes to stderr.
"""

import asyncio
import base64
import signal
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.support.chromium import Page, chromium, write_microphone
from tests.support.processes import Process
from wyoming_faster_whisper.engine.protocol import DecodeOptions, Job
from wyoming_faster_whisper.engine.whisper.calibration.values import Calibrations
from wyoming_faster_whisper.engine.whisper.engine import WhisperEngine
from wyoming_faster_whisper.testing import silence

from .support.arguments import RECORDINGS, add, given_clips, parser
from .support.clips import Clip, to_samples, word_error_rate
from .support.models import load_whisper, model_directory
from .support.report import align, progress, write_json

ROOM = 0.3  # seconds of silence after the speech, as in bench.engines
THREADS = (1, 2)
_TEXT = "document.querySelector('#offline-text').textContent"

# Loads the recogniser with some threads; its methods are then called by decode().
_LOAD = """(async () => {
  Object.defineProperty(navigator, "hardwareConcurrency", { value: %d, configurable: true });
  const { Offline } = await import("/offline.js");
  globalThis.bench?.stop();
  globalThis.bench = new Offline();
  await bench.find();
  const started = performance.now();
  await bench.load();
  return [(performance.now() - started) / 1000, bench.where];
})()"""
_DECODE = """(async () => {
  const bytes = Uint8Array.from(atob("%s"), (letter) => letter.charCodeAt(0));
  const samples = Float32Array.from(new Int16Array(bytes.buffer), (sample) => sample / 32768);
  const { text, seconds } = await bench.decode(samples, "en");
  return [text, seconds];
})()"""


@dataclass(frozen=True, slots=True)
class Row:
    """The results of one model in one place."""

    model: str
    where: str
    word_error_rate: float
    seconds: float | None  # median of a clip
    slowest: float | None
    load: float | None  # seconds, from the browser's storage
    memory: float | None  # MB of the process with the page
    texts: dict[str, str]


def main() -> None:
    flags = parser("browser", __doc__)
    add(flags, "--limit", "--json")
    add(flags, "--recordings", help=RECORDINGS)
    flags.add_argument(
        "--model",
        action="append",
        default=[],
        help="model name, never downloaded (repeatable; default: tiny.en and base)",
    )
    given = flags.parse_args()
    clips = [clip for clip in given_clips(given) if clip.text]
    if not clips:
        sys.exit("no clips with a full transcript found")
    rows: list[Row] = []
    for model in given.model or ["tiny.en", "base"]:
        rows.append(by_the_server(model, clips))
        rows += asyncio.run(in_the_browser(model, clips))
    spoken = statistics.fmean(clip.seconds for clip in clips)
    print(f"{len(clips)} clips of {spoken:.1f} s on average, each once")
    print(table(rows))
    if given.json:
        write_json(given.json, {"clips": len(clips), "rows": [asdict(row) for row in rows]})


def by_the_server(model: str, clips: Sequence[Clip]) -> Row:
    """Decode with the server's engine: greedily, in the same window, first pass only."""
    engine = WhisperEngine(
        load_whisper(model_directory(model), 2), calibrations=Calibrations(model)
    )
    options = DecodeOptions(language="en", beam_size=1)
    texts = {
        clip.name: engine.decode([Job(to_samples(_audio(clip)), options, quick=True)])[0].text
        for clip in clips
    }
    return Row(model, "server, greedy", _errors(clips, texts), None, None, None, None, texts)


async def in_the_browser(model: str, clips: Sequence[Clip]) -> list[Row]:
    """Store the files of a model in a browser and decode there."""
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        microphone = await asyncio.to_thread(
            write_microphone, folder / "microphone.wav", silence(1.0)
        )
        options = (
            *("--uri", "tcp://127.0.0.1:0", "--model", str(model_directory(model))),
            *("--http-port", "0", "--offline-model", model, "--local-files-only"),
        )
        async with (
            Process.started(*options, folder=folder) as server,
            chromium(microphone, folder / "browser") as page,
        ):
            await server.ready(120.0)
            await _keep(page, (await server.logged(r"try the server at (\S+)"))[1])
            server.signal(signal.SIGTERM)
            await server.ended()
            for threads in THREADS:
                rows.append(await _decoded(page, model, threads, clips))  # noqa: PERF401
    return rows


async def _keep(page: Page, url: str) -> None:
    """Let the page store the files; the server converts the model first."""
    page.deadline = 120.0
    await page.open(url)
    await page.until("!document.querySelector('#offline').hidden")
    for done in (".includes('MB.')", ".startsWith('Works')"):
        await page.evaluate("document.querySelector('#keep').click()")
        await page.until(f"{_TEXT}{done}")


async def _decoded(page: Page, model: str, threads: int, clips: Sequence[Clip]) -> Row:
    load_seconds, where = await page.evaluate(_LOAD % threads)
    texts: dict[str, str] = {}
    seconds: list[float] = []
    for number, clip in enumerate(clips):
        progress(f"{model}, {where}: clip {number + 1}/{len(clips)}")
        audio = base64.b64encode(_audio(clip)).decode()
        texts[clip.name], took = await page.evaluate(_DECODE % audio)
        seconds.append(took)
    progress("")
    memory = await _memory(page)
    return Row(
        model,
        f"browser, {where}",
        _errors(clips, texts),
        statistics.median(seconds),
        max(seconds),
        load_seconds,
        memory,
        texts,
    )


async def _memory(page: Page) -> float:
    """Return the megabytes of the largest process of the browser: the one with the page."""
    processes: list[dict[str, Any]] = await page.processes()
    sizes = [
        await asyncio.to_thread(_resident, int(process["id"]))
        for process in processes
        if process["type"] == "renderer"
    ]
    return max(sizes)


def _resident(process: int) -> float:
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1000
    raise ValueError(process)


def _audio(clip: Clip) -> bytes:
    return clip.audio + clip.silence(ROOM)


def _errors(clips: Sequence[Clip], texts: dict[str, str]) -> float:
    return word_error_rate([clip.text or "" for clip in clips], [texts[c.name] for c in clips])


def table(rows: Sequence[Row]) -> str:
    def figure(value: float | None, digits: int) -> str:
        return "-" if value is None else f"{value:.{digits}f}"

    cells = [["model", "where", "WER", "median s", "slowest s", "load s", "memory MB"]]
    cells += [
        [
            row.model,
            row.where,
            f"{100 * row.word_error_rate:.1f}%",
            figure(row.seconds, 2),
            figure(row.slowest, 2),
            figure(row.load, 1),
            figure(row.memory, 0),
        ]
        for row in rows
    ]
    return align(cells)


if __name__ == "__main__":
    main()
