"""A browser as a satellite: the npm package mqtt in Chromium, over a WebSocket to the broker."""

from __future__ import annotations

import asyncio
import functools
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlencode

import pytest

from tests.http.environments import Environment, Missing
from tests.support.broker import in_thread, plain_broker
from tests.support.chromium import find, hearing
from tests.support.serving import until
from wyoming_faster_whisper.testing import tone

from .conftest import Serve

PAGE = Path(__file__).parent.parent / "support" / "mqtt_page"
MQTT_JS = Environment("mqtt", ("mqtt@5.16.0",), node=True)


def _copy_page(folder: Path) -> None:
    """Put the page and the library into a folder; npm installs the library once."""
    try:
        MQTT_JS.install()
    except Missing as reason:
        pytest.skip(str(reason))
    shutil.copytree(PAGE, folder)
    shutil.copy(MQTT_JS.folder / "node_modules" / "mqtt" / "dist" / "mqtt.min.js", folder)


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def _web(folder: Path) -> Iterator[str]:
    """Serve a folder over HTTP; yield its URL."""
    handler = functools.partial(_Quiet, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.timeout(300)  # npm installs the library once
async def test_a_browser_speaks_over_a_websocket(serve: Serve, tmp_path: Path) -> None:
    find()
    folder = tmp_path / "page"
    await asyncio.to_thread(_copy_page, folder)
    async with in_thread(plain_broker(tmp_path)) as broker, in_thread(_web(folder)) as url:
        server = await serve(mqtt_url=broker.url("tcp"))
        await until(lambda: server.mqtt.connection.connected)
        async with hearing(tone(30.0), tmp_path) as page:
            query = urlencode({"site": "browser", "broker": broker.url("ws")})
            await page.open(f"{url}/?{query}")
            await page.until("document.body.dataset.state === 'idle'")
            await page.evaluate("document.querySelector('button').click()")
            await until(lambda: server.memory.used > 16_000)  # half a second
            await page.evaluate("document.querySelector('button').click()")
            await page.until("document.querySelector('#text').textContent.endsWith('seconds')")
            # The page is closed in the middle of an utterance.
            await page.evaluate("document.querySelector('button').click()")
            await until(lambda: server.memory.used > 0)
        await until(lambda: not server.mqtt.clients)
        await until(lambda: server.memory.used == 0)
