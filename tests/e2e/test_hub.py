"""Model downloads from a hub that may be slow, silent, unreachable or faulty.

The hub is a real HTTP server on 127.0.0.1 with the API that huggingface_hub uses.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.support.disk import largest_file
from tests.support.processes import NO_HUB
from wyoming_faster_whisper.errors import ModelError
from wyoming_faster_whisper.models import choose, locate, locate_tokenizer

NAME = "kitchen/tiny-fake"
COMMIT = "c0ffee" * 6 + "c0ff"
FILES = {
    "config.json": b'{"lang_ids": []}',
    "model.bin": bytes(range(256)) * 8192,  # 2 MB
    "tokenizer.json": b"{}",
    "vocabulary.txt": b"a\nb\n",
    "README.md": b"not wanted",
}


class Hub(ThreadingHTTPServer):
    """Serves one repository.

    Args:
        files: content of the repository by file name; None = the repository does not exist.
        code: error code of the hub for a missing repository; None = a plain 404 answer.
        silent: returns true for paths that are never answered.
        half: whether only the first half of model.bin is sent.
        name: name of the repository.
    """

    daemon_threads = True
    block_on_close = False

    def __init__(
        self,
        files: dict[str, bytes] | None = FILES,
        *,
        code: str | None = "RepoNotFound",
        silent: Callable[[str], bool] = lambda path: False,
        half: bool = False,
        name: str = NAME,
    ) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.files = files
        self.code = code
        self.silent = silent
        self.half = half
        self.name = name
        self.asked: list[str] = []
        self.closing = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Hub

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, *, body: bool) -> None:
        path = self.path.split("?")[0]
        self.server.asked.append(path)
        if self.server.silent(path):
            self.server.closing.wait()
            self.close_connection = True
            return
        files = self.server.files
        resolve = re.compile(rf"/{self.server.name}/resolve/(main|{COMMIT})/")
        if files is None:
            said = {"X-Error-Code": self.server.code} if self.server.code else {}
            self._send(404, b'{"error": "Repository not found"}', said)
        elif path == f"/api/models/{self.server.name}/revision/main":
            siblings = [{"rfilename": name} for name in files]
            self._send_json({"id": self.server.name, "sha": COMMIT, "siblings": siblings})
        elif path == f"/api/models/{self.server.name}/tree/{COMMIT}":
            self._send_json(
                [
                    {"type": "file", "path": name, "size": len(data), "oid": etag(data)}
                    for name, data in files.items()
                ]
            )
        elif resolve.match(path) and (name := resolve.sub("", path)) in files:
            data = files[name]
            headers = {"ETag": f'"{etag(data)}"', "X-Repo-Commit": COMMIT}
            self._send(200, data, headers, body=body)
        else:
            self._send(404, b"", {"X-Error-Code": "EntryNotFound"})

    def _send_json(self, value: object) -> None:
        self._send(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def _send(
        self, status: int, data: bytes, headers: dict[str, str], *, body: bool = True
    ) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if not body:
            return
        if self.server.half and data is FILES["model.bin"]:
            self.wfile.write(data[: len(data) // 2])
            self.server.closing.wait()
            self.close_connection = True
            return
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        pass


def etag(data: bytes) -> str:
    return hashlib.sha1(data).hexdigest()


@contextmanager
def running(hub: Hub) -> Iterator[Hub]:
    thread = threading.Thread(target=hub.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield hub
    finally:
        hub.closing.set()
        hub.shutdown()
        thread.join()
        hub.server_close()


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Remove the proxy, token and offline settings of the environment."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "HF_TOKEN", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("HF_HUB_DISABLE_TELEMETRY", "1")


def fetched(hub: str, folder: Path) -> Path:
    return locate(choose(NAME, [folder]), folder, hub=hub)


def failure(hub: str, folder: Path) -> str:
    with pytest.raises(ModelError) as caught:
        locate(choose(NAME, [folder]), folder, hub=hub, stall=0.2)
    return str(caught.value)


def test_a_model_is_downloaded_with_its_progress_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with running(Hub()) as hub, caplog.at_level(logging.INFO):
        directory = fetched(hub.url, tmp_path)
    for name in ("config.json", "model.bin", "tokenizer.json", "vocabulary.txt"):
        assert (directory / name).read_bytes() == FILES[name]
    assert not (directory / "README.md").exists()
    assert f"Downloading {NAME} from {hub.url} into {tmp_path}" in caplog.text
    assert f"Downloading {NAME}: 2 of 2 MB" in caplog.text


def test_requests_are_not_in_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    client = logging.getLogger("httpx2")
    before = client.level
    with running(Hub()) as hub, caplog.at_level(logging.INFO):
        fetched(hub.url, tmp_path)
    assert {record.name for record in caplog.records} == {"wyoming_faster_whisper.models.hub"}
    assert client.level == before


def test_a_downloaded_model_is_found_without_the_hub(tmp_path: Path) -> None:
    with running(Hub()) as hub:
        directory = fetched(hub.url, tmp_path)
    assert choose(NAME, [tmp_path]).directory == directory


@pytest.mark.parametrize("what", ["/api/models/", "/tree/", "/resolve/"])
def test_a_silent_hub_is_not_waited_for(tmp_path: Path, what: str) -> None:
    """The download is tried at most twice; the timeout is 0.2 s here and 10 s in use."""
    began = time.monotonic()
    with running(Hub(silent=lambda path: what in path)) as hub:
        sentence = failure(hub.url, tmp_path)
    assert time.monotonic() - began < 10
    assert max(Counter(hub.asked).values()) <= 2
    assert f"model {NAME!r} cannot be downloaded" in sentence
    assert f"looked in the data folders, in installed packages and on {hub.url}" in sentence
    assert f"copy a model into {tmp_path}" in sentence


def test_a_hub_that_stalls_within_a_file_is_not_waited_for(tmp_path: Path) -> None:
    """The download is tried six times, each time from where the last try stopped."""
    began = time.monotonic()
    with running(Hub(half=True)) as hub:
        sentence = failure(hub.url, tmp_path)
    assert time.monotonic() - began < 20
    assert f"model {NAME!r} cannot be downloaded" in sentence


def test_a_refused_connection_is_reported_as_a_hub_that_does_not_respond(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        hub = f"http://127.0.0.1:{unused.getsockname()[1]}"
    sentence = failure(hub, tmp_path)
    assert (
        f"model {NAME!r} is not on this machine and the hub does not respond (Connection refused)"
        in sentence
    )
    assert f"on {hub}" in sentence
    assert f"copy a model into {tmp_path}" in sentence


@pytest.mark.parametrize("code", ["RepoNotFound", None], ids=["hub", "other server"])
def test_a_missing_repository_is_reported(tmp_path: Path, code: str | None) -> None:
    with running(Hub(files=None, code=code)) as hub:
        assert failure(hub.url, tmp_path) == (
            f"{hub.url} has no model {NAME!r}, or it is private; check the name given with "
            "--model, and HF_ENDPOINT and HF_TOKEN if you use them"
        )


def test_a_full_disk_is_reported(tmp_path: Path) -> None:
    with running(Hub()) as hub, largest_file(1_000_000):
        sentence = failure(hub.url, tmp_path)
    assert sentence == (
        f"cannot write the model to {tmp_path}: File too large; make room there, or choose "
        "another folder with --download-dir"
    )


@pytest.mark.parametrize(
    ("name", "lacks"), [("model.bin", "model.bin"), ("vocabulary.txt", "vocabulary")]
)
def test_a_repository_without_a_model_is_reported(tmp_path: Path, name: str, lacks: str) -> None:
    files = {each: data for each, data in FILES.items() if each != name}
    with running(Hub(files)) as hub:
        assert failure(hub.url, tmp_path) == (
            f"{NAME} on {hub.url} is not a CTranslate2 model: it has no {lacks}"
        )


def test_a_download_that_lost_the_vocabulary_only_goes_on(tmp_path: Path) -> None:
    with running(Hub(silent=lambda path: path.endswith("/vocabulary.txt"))) as hub:
        assert "does not respond" in failure(hub.url, tmp_path)
    with running(Hub()) as hub:
        assert (fetched(hub.url, tmp_path) / "vocabulary.txt").exists()


@pytest.mark.parametrize(
    "url",
    ["hub.example", "ftp://hub.example", "http://hub.example:99999", "http://[::1", "http://"],
)
def test_an_address_of_the_hub_that_is_no_url_is_reported(tmp_path: Path, url: str) -> None:
    assert failure(url, tmp_path) == (
        f"HF_ENDPOINT is {url!r}; it must be https://HOST or http://HOST:PORT"
    )


def test_an_impossible_name_of_the_hub_is_reported(tmp_path: Path) -> None:
    assert "the hub does not respond ('..' is not a host name)" in failure("http://..", tmp_path)


SPECIAL = ["<|endoftext|>", "<|startoftranscript|>", "<|notimestamps|>"]


def without_tokenizer(folder: Path, vocabulary: list[str]) -> Path:
    """Create a model folder with a vocabulary that no installed package has."""
    folder.mkdir()
    (folder / "vocabulary.json").write_text(json.dumps(vocabulary))
    return folder


def tokenizer(vocabulary: list[str]) -> bytes:
    ids = {token: number for number, token in enumerate(vocabulary)}
    return json.dumps({"model": {"vocab": ids}}).encode()


@pytest.mark.parametrize(
    ("vocabulary", "name"),
    [
        (["a", *SPECIAL], "openai/whisper-tiny.en"),
        (["a"] * 60_000 + SPECIAL, "openai/whisper-tiny"),
        (["a"] * 60_000 + ["<|yue|>", *SPECIAL], "openai/whisper-large-v3"),
    ],
)
def test_a_missing_tokenizer_is_replaced_by_one_of_the_same_vocabulary(
    tmp_path: Path, vocabulary: list[str], name: str
) -> None:
    directory = without_tokenizer(tmp_path / "mine", vocabulary)
    files = {"tokenizer.json": tokenizer(vocabulary)}
    with running(Hub(files, name=name)) as hub:
        fetched = locate_tokenizer(directory, tmp_path, hub=hub.url)
        assert fetched.read_bytes() == files["tokenizer.json"]
    assert (
        locate_tokenizer(directory, tmp_path, hub=NO_HUB) == fetched
    )  # from the download folder


def test_a_tokenizer_of_another_vocabulary_is_refused(tmp_path: Path) -> None:
    directory = without_tokenizer(tmp_path / "mine", ["a", *SPECIAL])
    files = {"tokenizer.json": tokenizer(SPECIAL)}
    with (
        running(Hub(files, name="openai/whisper-tiny.en")) as hub,
        pytest.raises(
            ModelError, match=r"belongs to another model: <\|endoftext\|> is 0 there and 1"
        ),
    ):
        locate_tokenizer(directory, tmp_path, hub=hub.url)


@pytest.mark.parametrize("files", [None, {}], ids=["no repository", "no file"])
def test_a_tokenizer_that_the_hub_lacks_is_reported(
    tmp_path: Path, files: dict[str, bytes] | None
) -> None:
    directory = without_tokenizer(tmp_path / "mine", ["a", *SPECIAL])
    with (
        running(Hub(files, name="openai/whisper-tiny.en")) as hub,
        pytest.raises(
            ModelError,
            match=r"tokenizer\.json is missing, and downloading that of openai/.* failed",
        ),
    ):
        locate_tokenizer(directory, tmp_path, hub=hub.url)


def test_a_missing_tokenizer_is_reported_if_the_hub_does_not_respond(tmp_path: Path) -> None:
    directory = without_tokenizer(tmp_path / "mine", ["a", *SPECIAL])
    with pytest.raises(
        ModelError, match=r"mine/tokenizer\.json is missing, .* put the file there"
    ):
        locate_tokenizer(directory, tmp_path, hub=NO_HUB)
