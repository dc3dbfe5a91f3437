"""The page stores files to work without the server, in Chromium; they are not a real model."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.support.chromium import Page, hearing
from tests.support.offline import MODEL, put_files
from tests.support.serving import Server, until
from tests.support.web import address, browser
from wyoming_faster_whisper.testing import FakeEngine, tone
from wyoming_faster_whisper.testing.tcp_server import TcpServer

from .conftest import Serve

TEXT = "document.querySelector('#offline-text').textContent"
KEPT = f"{TEXT}.startsWith('Works without the server: {MODEL}')"


@pytest.fixture
async def files(tmp_path: Path) -> Path:
    return await asyncio.to_thread(put_files, tmp_path)


async def started(serve: Serve, page: Page, **options: Any) -> Server:
    server = await serve(http_port=options.pop("http_port", 0), model=MODEL, **options)
    await page.open(f"http://{address(server)}")
    await page.until("!document.querySelector('#offline').hidden")
    return server


async def press(page: Page, button: str) -> None:
    await page.evaluate(f"document.querySelector('#{button}').click()")


async def ask(page: Page) -> None:
    await press(page, "keep")
    await page.until(f"{TEXT}.includes('MB.')")


async def keep(page: Page) -> None:
    await ask(page)
    await press(page, "keep")
    await page.until(KEPT)


async def problem(page: Page, words: str) -> str:
    """Press the download button and return the sentence that contains some words."""
    await press(page, "keep")
    await page.until(f"{TEXT}.includes('{words}')")
    page.problems.clear()  # the browser reports failed requests too
    return await page.text("#offline-text")


async def cannot_recognise(page: Page) -> None:
    """Check that the page has tried to recognise speech on the device.

    The generated files cannot, which the page says where it shows all problems.
    """
    await page.until("!document.querySelector('#problem').hidden")
    assert "This device cannot recognise speech" in await page.text("#problem")
    page.problems.clear()


async def speak(page: Page) -> None:
    """Speak for a second."""
    await press(page, "speak")
    await page.until("document.querySelector('#elapsed').textContent >= '0:01'")
    await press(page, "speak")


async def download(page: Page) -> None:
    """Behave as a tab that downloads, until globalThis.end() is called in it."""
    await page.evaluate(
        "new Promise((held) => navigator.locks.request('offline ' + location.href, () => {"
        " held(true); return new Promise((end) => { globalThis.end = end; }); }))"
    )


async def still_works(page: Page) -> None:
    """Check that recognition on the server still works."""
    await page.evaluate("document.querySelector('#speak').click()")
    await page.until("document.querySelector('#elapsed').textContent >= '0:01'")
    await page.evaluate("document.querySelector('#speak').click()")
    await page.until("document.querySelector('#text').dataset.kind === 'final'")
    assert "seconds" in await page.text("#text")
    assert "on the server in" in await page.text("#badge")


async def test_the_page_asks_stores_opens_without_the_server_and_forgets(
    serve: Serve, page: Page, files: Path
) -> None:
    server = await started(serve, page)
    await ask(page)
    question = await page.text("#offline-text")
    assert "tiny.en" in question
    assert "4 MB" in question  # size of the generated files
    assert await page.text("#keep") == "Download 4 MB"
    await press(page, "later")
    await page.until(f"{TEXT} === ''")
    assert await page.evaluate("caches.keys().then((names) => names.length)") == 0
    await keep(page)
    async with page.tab() as other:
        await other.open(f"http://{address(server)}")
        await other.until(KEPT)
        await still_works(other)
        await press(other, "remove")
    await page.until("!document.querySelector('#keep').hidden")  # removed in the other tab
    assert await page.evaluate("caches.keys().then((names) => names.length)") == 0
    await keep(page)
    port = await stopped(server)
    await page.open(f"http://127.0.0.1:{port}")
    await page.until("document.querySelector('#server-text').textContent.includes('takes over')")
    await page.until(KEPT)
    await speak(page)
    await cannot_recognise(page)


def answering(port: int, *parts: str, pause: float = 0.0) -> TcpServer:
    """Return an HTTP server that answers all requests alike.

    Args:
        parts: of the answer.
        pause: seconds between them.
    """

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for part in parts:
            writer.write(part.encode())
            await asyncio.sleep(pause)

    return TcpServer(answer, port=port)


async def stopped(server: Server) -> int:
    """Stop a server; return the port of its page."""
    server.service.stop()
    await asyncio.wait([server.running])
    await server.service.close()
    return int(address(server).rpartition(":")[2])


@pytest.mark.parametrize("status", ["404 Not Found", "502 Bad Gateway"])
async def test_the_page_opens_behind_a_proxy_whose_server_is_away(
    serve: Serve, page: Page, files: Path, status: str
) -> None:
    server = await started(serve, page)
    await keep(page)
    port = await stopped(server)
    async with answering(port, f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n"):
        await page.open(f"http://127.0.0.1:{port}")
        await page.until(
            "document.querySelector('#server-text')?.textContent.includes('takes over')"
        )
    page.problems.clear()


async def test_a_slow_network_loads_the_whole_page(serve: Serve, page: Page, files: Path) -> None:
    server = await started(serve, page)
    await keep(page)
    port = await stopped(server)
    begun = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n<p>slow"
    # Longer than the service worker waits for an answer.
    async with answering(port, begun, " but whole</p>", pause=3.5):
        await page.open(f"http://127.0.0.1:{port}")
        assert await page.text("p") == "slow but whole"


async def test_a_server_that_hangs_behind_a_proxy_is_away(
    serve: Serve, page: Page, files: Path
) -> None:
    server = await serve(FakeEngine(held=True), http_port=0, model=MODEL)
    await page.open(f"http://{address(server)}")
    await page.until("!document.querySelector('#offline').hidden")
    await keep(page)
    await press(page, "speak")
    await page.until("document.querySelector('#elapsed').textContent >= '0:01'")
    await page.evaluate("fetch = () => Promise.resolve(new Response('', { status: 502 }))")
    await press(page, "speak")
    await cannot_recognise(page)
    server.engine.release()


async def test_a_busy_server_leaves_the_utterance_to_the_device(
    serve: Serve, page: Page, files: Path
) -> None:
    server = await started(serve, page, max_connections=1)
    await keep(page)
    async with browser(server) as other:
        await other.start()
        await other.hear(tone(0.1))
        await until(lambda: server.memory.used > 0)
        await speak(page)
        await cannot_recognise(page)


async def test_other_pages_of_the_same_host_keep_what_they_stored(
    serve: Serve, page: Page, files: Path
) -> None:
    """Behind a proxy they may share it."""
    await started(serve, page)
    await page.evaluate("navigator.serviceWorker.register('sw.js', { scope: 'other/' })")
    stored = ["/other/", "/other/offline/kept.json", "/other/offline/files/0123/vad.weights"]
    await page.evaluate(
        f"caches.open('offline-1').then((cache) => Promise.all({stored}.map("
        "(url) => cache.put(url, new Response('theirs')))))"
    )
    await keep(page)
    await press(page, "remove")
    await page.until(f"{TEXT} === 'The stored files were removed.'")
    left = await page.evaluate(
        "caches.keys().then((names) => Promise.all(names.map((name) => caches.open(name)"
        ".then((cache) => cache.keys())))).then((all) => all.flat().map(({ url }) =>"
        " new URL(url).pathname))"
    )
    assert left == stored
    workers = await page.evaluate(
        "navigator.serviceWorker.getRegistrations().then((all) =>"
        " all.map(({ scope }) => new URL(scope).pathname))"
    )
    assert workers == ["/other/"]


async def test_a_damaged_file_is_not_stored(serve: Serve, page: Page, files: Path) -> None:
    await started(serve, page)
    await ask(page)
    whole = (files / "encoder.weights").read_bytes()
    (files / "encoder.weights").write_bytes(bytes(len(whole)))
    assert "encoder.weights" in await problem(page, "arrived damaged")
    await still_works(page)
    (files / "encoder.weights").write_bytes(whole)
    await keep(page)


async def test_an_interrupted_download_resumes(serve: Serve, page: Page, files: Path) -> None:
    await started(serve, page)
    await ask(page)
    whole = (files / "encoder.weights").read_bytes()
    (files / "encoder.weights").write_bytes(whole[:1_000_000])
    await press(page, "keep")
    await page.until("document.querySelector('#offline-progress').value > 0")
    (files / "encoder.weights").write_bytes(whole)
    await page.until(KEPT)


async def test_the_page_says_how_much_space_a_full_browser_lacks(
    serve: Serve, page: Page, files: Path
) -> None:
    server = await started(serve, page)
    origin = f"http://{address(server)}"
    await page.call("Storage.overrideQuotaForOrigin", origin=origin, quotaSize=1_000_000)
    await ask(page)
    assert "too little space" in await problem(page, "4 MB more are needed")
    await still_works(page)


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (
            "Object.defineProperty(Navigator.prototype, 'serviceWorker', { value: undefined })",
            "private windows never can",
        ),
        ("WebAssembly.validate = () => false", "it has no WebAssembly SIMD"),
    ],
)
async def test_the_page_says_why_a_browser_cannot_store_files(
    serve: Serve, page: Page, files: Path, script: str, words: str
) -> None:
    await page.prepare(script)
    await started(serve, page)
    await problem(page, words)
    await still_works(page)


async def test_a_browser_that_blocks_storage_recognises_on_the_server(
    serve: Serve, tmp_path: Path, files: Path
) -> None:
    blocked = {"profile": {"default_content_setting_values": {"cookies": 2}}}
    profile = tmp_path / "browser" / "Default"
    profile.mkdir(parents=True)
    (profile / "Preferences").write_text(json.dumps(blocked))
    async with hearing(tone(30.0), tmp_path) as page:
        await started(serve, page)
        await problem(page, "This window cannot store files")
        await still_works(page)


async def test_a_certificate_that_is_not_trusted_is_noticed_before_the_download(
    serve: Serve, page: Page, files: Path, authority: trustme.CA, tmp_path: Path
) -> None:
    certificate = tmp_path / "certificate.pem"
    issued = authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem
    await asyncio.to_thread(issued.write_to_path, str(certificate))
    server = await serve(http_port=0, model=MODEL, tls_cert=certificate)
    await page.call("Security.setIgnoreCertificateErrors", ignore=True)  # the user's exception
    await page.open(f"https://{address(server)}")
    await page.until("!document.querySelector('#offline').hidden")
    await ask(page)
    await problem(page, "certificate it does not trust")
    assert await page.evaluate("caches.keys().then((names) => names.length)") == 0
    await still_works(page)


async def test_two_tabs_download_once(serve: Serve, page: Page, files: Path) -> None:
    server = await started(serve, page)
    async with page.tab() as other:
        await other.open(f"http://{address(server)}")
        await other.until("!document.querySelector('#offline').hidden")
        await ask(other)
        await download(page)
        await problem(other, "Another tab is downloading or removing")
        await page.evaluate("globalThis.end()")
        await keep(page)
        await other.until(KEPT)


async def test_no_tab_removes_what_another_one_downloads(
    serve: Serve, page: Page, files: Path
) -> None:
    server = await started(serve, page)
    await keep(page)
    async with page.tab() as other:
        await other.open(f"http://{address(server)}")
        await other.until(KEPT)
        await download(other)
        await press(page, "remove")
        await page.until(f"{TEXT}.includes('Another tab is downloading or removing')")
        assert await page.evaluate("caches.has('offline-1')")
        await other.evaluate("globalThis.end()")
        await page.evaluate("navigator.locks.request('offline ' + location.href, () => true)")
        await press(page, "remove")
        await page.until(f"{TEXT} === 'The stored files were removed.'")


async def test_a_new_model_of_the_server_is_offered(
    serve: Serve, page: Page, files: Path, tmp_path: Path
) -> None:
    server = await started(serve, page)
    await keep(page)
    port = await stopped(server)
    await asyncio.to_thread(put_files, tmp_path, seed=1)
    await started(serve, page, http_port=port)
    await page.until(f"{TEXT}.includes('different model from the one on this device')")
    page.problems.clear()
    await press(page, "keep")
    await page.until(KEPT)
    assert (
        await page.evaluate(
            "caches.open('offline-1').then((cache) => cache.keys()).then((all) => all.length)"
        )
        == 4
    )
    assert page.problems == []


async def test_a_recogniser_that_has_failed_is_replaced(serve: Serve, page: Page) -> None:
    server = await serve(http_port=0)
    await page.open(f"http://{address(server)}")
    found = await page.evaluate(
        """(async () => {
            const { Offline } = await import("/offline.js");
            let made = 0;
            globalThis.Worker = class {
                constructor() { this.fails = !made++; }
                postMessage({ id, type }) {
                    const error = this.fails && type === "decode" ? "out of memory" : undefined;
                    queueMicrotask(() => this.onmessage({ data: { id, error, text: "hello" } }));
                }
                terminate() {}
            };
            const offline = new Offline();
            offline.manifest = { files: [], gpu: false };
            offline.missing = async () => [];
            const failed = await offline.decode([], "en").catch(({ message }) => message);
            const { text } = await offline.decode([], "en");
            return JSON.stringify([failed, text, made]);
        })()"""
    )
    assert json.loads(found) == [
        "This device could not recognise it: out of memory. Press to try again.",
        "hello",
        2,
    ]
