"""Real Ray Serve with our deployment: what it must show, one sentence after the other.

Run by script/test-ray, in an environment with Ray and in a private network.
"""

from __future__ import annotations

import asyncio
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ |= {
    "RAY_SERVE_ENABLE_HA_PROXY": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    "OMP_NUM_THREADS": "1",  # as in the replicas: other numbers round in another order
    "RAY_worker_niceness": "0",  # Ray's default of 15 starves replicas where others use the CPU
    # Actors take long to start on a small machine, and Serve would kill those that take longer.
    "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "100",
    "RAY_SERVE_PROXY_HEALTH_CHECK_TIMEOUT_S": "60",
}

import numpy as np
import ray
import yaml
from ray import serve
from ray.serve.context import _get_global_client
from ray.serve.schema import ServeDeploySchema

from tests.support.clips import CLIPS
from wyoming_faster_whisper.audio.pcm import SAMPLE_RATE
from wyoming_faster_whisper.engine.protocol import DecodeOptions, Job, Transcript
from wyoming_faster_whisper.engine.remote.contract import jobs as contract
from wyoming_faster_whisper.engine.remote.contract.tensors import Floats, Strings, Tensor
from wyoming_faster_whisper.engine.remote.decode_servers import (
    DecodeServer,
    DecodeServers,
    DecodeTimeout,
)
from wyoming_faster_whisper.engine.remote.inference_client import (
    Access,
    InferenceClient,
    RemoteModel,
)
from wyoming_faster_whisper.engine.remote.open_inference import RemoteEngine
from wyoming_faster_whisper.errors import Busy, ServerError
from wyoming_faster_whisper.serving.configuration import ModelSpec
from wyoming_faster_whisper.serving.loading import recognizer_of

ROOT = Path(__file__).parents[2]
URL = "http://127.0.0.1:8000"
TOKEN_FILE = Path(__file__).with_name("token")
TOKEN = TOKEN_FILE.read_text().strip()
OPTIONS = DecodeOptions(language="en", beam_size=1)
DEADLINE = 240.0  # seconds for a call, a health check or a change: the machine may be busy
MOST_CALLS = 64  # at the same time


def job(name: str) -> Job:
    return Job(CLIPS[name].samples, OPTIONS)


def say(line: str) -> None:
    print(line, flush=True)


# The cluster.


def start_ray(folder: str) -> None:
    ray.init(
        num_cpus=16,  # bookkeeping only: many small actors on few cores
        object_store_memory=100_000_000,
        include_dashboard=False,
        logging_level="ERROR",
        log_to_driver=False,
        _temp_dir=folder,
        _node_ip_address="127.0.0.1",
    )


def deploy(*, version: str = "1", model: str = "tiny.en", **changes: Any) -> None:
    """Deploy deploy/ray/serve.yaml, with a small model and what the test changes."""
    config = yaml.safe_load((ROOT / "deploy/ray/serve.yaml").read_text())
    config["http_options"] |= {"host": "127.0.0.1", "request_timeout_s": DEADLINE}
    [application] = config["applications"]
    [deployment] = application["deployments"]
    threads = {"cpu-threads": 1, "local-files-only": True}
    deployment["user_config"] = {
        "model": "speech",
        "version": version,
        "options": {"model": model, **threads},
        "max_waiting": 64,
        "token_file": str(TOKEN_FILE),
        "models": {"acme": {"options": {"model": "tiny.en", **threads}}},
    }
    deployment["ray_actor_options"] = {"num_cpus": 0.5}
    deployment |= changes
    if changes.get("num_replicas"):
        del deployment["autoscaling_config"]
    _get_global_client().deploy_apps(ServeDeploySchema.model_validate(config))


def running() -> int:
    """Return the number of replicas that run; 0 while the deployment changes."""
    [application] = serve.status().applications.values()
    if not application.deployments:
        return 0
    [deployment] = application.deployments.values()
    if application.status != "RUNNING" or deployment.status != "HEALTHY":
        return 0
    return int(deployment.replica_states.get("RUNNING", 0))


def state() -> str:
    """Return the state of the application."""
    [application] = serve.status().applications.values()
    return str(application.status.value)


def wait(condition: Callable[[], object], what: str) -> float:
    """Wait for a condition of the cluster, which has no event; return the seconds."""
    started = time.monotonic()
    while not condition():
        if time.monotonic() - started > DEADLINE:
            raise SystemExit(f"not within {DEADLINE:g} s: {what}; {serve.status()}")
        time.sleep(0.2)
    return time.monotonic() - started


def replicas() -> dict[int, float]:
    """Return the processes of the replicas, each with its seconds of CPU."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            title, stat = (folder / "cmdline").read_text(), (folder / "stat").read_text()
        except OSError:
            continue
        if title.startswith("ray::ServeReplica"):
            used = stat.rpartition(")")[2].split()[11:13]
            found[int(folder.name)] = sum(map(int, used)) / os.sysconf("SC_CLK_TCK")
    return found


def queue_statistics() -> Any:
    handle = serve.get_deployment_handle("SpeechToText", "speech-to-text")
    return handle.statistics.remote().result()


# The client.


class Client:
    """The engine of a front end, with more decodes at the same time than it has threads for."""

    def __init__(self, version: str = "") -> None:
        model = RemoteModel("speech", version)
        self.http = InferenceClient(URL, Access(TOKEN, connections=MOST_CALLS))
        server = DecodeServer(self.http, model)
        server._check_timeout = DEADLINE
        acme = RemoteModel("acme", on_demand=True)
        models = {"speech": model, "acme": acme}
        self.engine = RemoteEngine(
            DecodeServers([server], DecodeTimeout(DEADLINE, DEADLINE)), models
        )
        self.engine.start()
        self.pool = ThreadPoolExecutor(MOST_CALLS)

    def decode(self, one: Job) -> Transcript | ServerError:
        try:
            return self.engine.decode([one])[0]
        except ServerError as error:
            return error

    def decode_all(self, some: Sequence[Job]) -> list[Transcript | ServerError]:
        return list(self.pool.map(self.decode, some))

    def wait(self) -> None:
        """Wait until the server is available: it may have been overloaded or changing before."""
        wait(lambda: self.engine.available, "an available server")

    def close(self) -> None:
        self.engine.close()
        self.pool.shutdown()


@contextmanager
def load(client: Client, at_once: int) -> Any:
    """Decode without a pause while the block runs; the results are then in the list."""
    client.wait()
    results: list[Transcript | ServerError] = []
    going = True

    def one() -> None:
        while going:
            results.append(client.decode(job("lights")))

    workers = [client.pool.submit(one) for _ in range(at_once)]
    try:
        yield results
    finally:
        going = False
        for worker in workers:
            worker.result()


def failures(results: Sequence[Transcript | ServerError]) -> list[str]:
    return [str(each) for each in results if isinstance(each, ServerError)]


# The sentences.


def texts_equal_local_ones(client: Client) -> None:
    recognizer = recognizer_of(
        ModelSpec("speech", "1", ("--model=tiny.en", "--cpu-threads=1", "--local-files-only"))
    )
    assert recognizer.load is not None
    local = recognizer.load()
    for name in sorted(CLIPS):
        [here] = local.decode([job(name)])
        there = client.decode(job(name))
        assert isinstance(there, Transcript), there
        assert there.text == here.text, (name, there.text, here.text)
        assert abs(there.avg_logprob - here.avg_logprob) < 1e-6, name
    wishes = replace(OPTIONS, word_times=True, token_logprobs=True, hotwords=("Nanit",))
    one = Job(CLIPS["lights"].samples, wishes, score_end=True)
    [here], there = local.decode([one]), client.decode(one)
    assert isinstance(there, Transcript), there
    assert (there.words, there.tokens) == (here.words, here.tokens)
    assert None not in (here.end_scores, there.end_scores)
    say(f"texts equal local ones: {len(CLIPS)} clips, and one with words, tokens and scores")


def two_replicas_share_load(client: Client) -> None:
    before = replicas()
    failed = failures(client.decode_all([job("lights") for _ in range(40)]))
    assert not failed, failed[:3]
    used = [now - before[pid] for pid, now in replicas().items()]
    assert len(used) == 2
    assert min(used) > 0.25 * sum(used), used
    say(f"two replicas share load: {used[0]:.1f} s and {used[1]:.1f} s of CPU for 40 calls")


def front_end(*flags: str) -> tuple[str, bool]:
    """Start a server with decode servers, and send it a file over Wyoming.

    Returns:
        The text, and whether the server has loaded the library of local models.
    """
    address = "tcp://127.0.0.1:10300"
    command = [sys.executable, "-m", "wyoming_faster_whisper", f"--uri={address}", *flags]
    remote = [f"--remote-url={URL}", "--remote-model=speech", f"--remote-token={TOKEN}"]
    options = [*remote, "--language=en"]
    with subprocess.Popen([*command, *options], stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        assert any("Ready" in line for line in server.stderr)
        client = "from wyoming_faster_whisper.commands.cli import client; client()"
        file = str(ROOT / "tests" / "data" / "lights.wav")
        ran = subprocess.run(
            [sys.executable, "-c", client, "transcribe", f"--uri={address}", file],
            capture_output=True,
            text=True,
            timeout=DEADLINE,
            check=False,
        )
        libraries = Path(f"/proc/{server.pid}/maps").read_text()
        server.terminate()
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith("Turn on the lights"), ran.stdout
    return ran.stdout.strip(), "ctranslate2" in libraries


def front_end_answers() -> None:
    text, local = front_end()
    assert not local
    say(f"a server without a model answers a Wyoming client: {text!r}")


def token_is_required() -> None:
    """Requests without the token or with another one are refused, before their audio is read."""

    async def ask(token: str | None) -> list[str]:
        http = InferenceClient(URL, Access(token))
        refused = []
        for path in ("ready", "infer"):
            method, body = ("POST", bytes(640_000)) if path == "infer" else ("GET", None)
            try:
                await http._request(method, f"/v2/models/speech/{path}", body=body)
            except ServerError as error:
                refused.append(str(error))
        await http._request("GET", "/v2/health/ready")
        await http.close()
        return refused

    for token in (None, "guess"):
        refused = asyncio.run(ask(token))
        assert refused == ["status 401: the token is missing or wrong"] * 2, refused
    say(f"requests without the token are refused: {refused[0]}")


def local_model_answers() -> None:
    text, local = front_end("--model=tiny.en", "--cpu-threads=1", "--local-files-only")
    assert local
    say(f"without Ray the local model answers: {text!r}")


def killed_replica_loses_nothing(client: Client) -> None:
    with load(client, 8) as results:
        wait(lambda: len(results) >= 8, "some answers")
        victim = min(replicas())
        os.kill(victim, signal.SIGKILL)
        at = len(results)
        wait(lambda: len(results) >= at + 40, "answers after the kill")
    assert not failures(results), failures(results)[:3]
    wait(lambda: running() == 2 and victim not in replicas(), "a new replica")
    say(f"a replica killed under load loses nothing: {len(results)} calls, 0 failed")


def version_changes_under_load(client: Client) -> None:
    before = replicas().keys()
    with load(client, 4) as results:
        wait(lambda: len(results) >= 8, "some answers")
        deploy(num_replicas=2, version="2", model="base")
        seconds = wait(lambda: versions() == {"2"} and running() == 2, "version 2")
        at = len(results)
        wait(lambda: len(results) >= at + 8, "answers of version 2")
    assert not failures(results), failures(results)[:3]
    assert replicas().keys() == before, "a replica was restarted"
    pinned = Client("2")
    pinned.wait()
    assert isinstance(pinned.decode(job("lights")), Transcript)
    pinned.close()
    say(
        f"a rolling update of the version loses nothing: {len(results)} calls, 0 failed, "
        f"{seconds:.1f} s, the replicas stayed"
    )


def versions() -> set[str]:
    """Return the versions that several requests for the metadata find."""

    async def ask() -> set[str]:
        http = InferenceClient(URL, Access(TOKEN))
        found = set()
        for _ in range(8):
            _, body = await http._request("GET", "/v2/models/speech")
            found |= set(yaml.safe_load(body)["versions"])
        await http.close()
        return found

    return asyncio.run(ask())


def bad_version_leaves_the_old_one(client: Client) -> None:
    with load(client, 2) as results:
        deploy(num_replicas=2, version="3", model="nonexistent-model")
        wait(lambda: state() == "DEPLOY_FAILED", "the failure")
        at = len(results)
        wait(lambda: len(results) >= at + 4, "answers")
        assert versions() == {"2"}
    assert not failures(results), failures(results)[:3]
    say(f"a version that cannot be loaded leaves the old one: {len(results)} calls, 0 failed")


def overload_is_busy(client: Client) -> None:
    client.wait()
    results = client.decode_all([job("weather") for _ in range(MOST_CALLS)])
    busy = [each for each in results if isinstance(each, Busy)]
    others = [each for each in results if isinstance(each, ServerError) and each not in busy]
    assert busy
    assert not others, others[:3]
    say(
        f"overload gives busy: of {MOST_CALLS} calls at once, {len(results) - len(busy)} "
        f"answered, {len(busy)} busy ({busy[0]})"
    )


def hang_up_is_cancelled(client: Client) -> None:
    long = np.tile(CLIPS["weather"].samples, 20)[: 28 * SAMPLE_RATE]
    some = [Job(long, OPTIONS) for _ in range(8)]
    before = queue_statistics()
    client.wait()
    calls = [client.pool.submit(client.decode, one) for one in some]
    wait(lambda: queue_statistics().waiting >= 6, "waiting jobs")
    for one in some:
        client.engine.withdraw(one)
    wait(lambda: queue_statistics().waiting == 0, "withdrawal")
    after = queue_statistics()
    assert after.withdrawn - before.withdrawn >= 6, (before, after)
    assert all(isinstance(call.result(), ServerError) for call in calls)
    say(
        "a client that hangs up is cancelled in the replica: "
        f"{after.withdrawn - before.withdrawn} of 8 jobs withdrawn, the others were being decoded"
    )


def model_on_demand(client: Client) -> None:
    one = Job(CLIPS["lights"].samples, replace(OPTIONS, model="acme"))
    answer = client.decode(one)
    assert isinstance(answer, Transcript), answer
    assert answer.text
    say(f"a tenant's model is loaded when it is asked for: {answer.text!r}")


def scales_up_and_down(client: Client) -> None:
    deploy(
        version="1",
        max_ongoing_requests=8,
        autoscaling_config={
            "min_replicas": 1,
            "max_replicas": 3,
            "target_ongoing_requests": 2,
            "metrics_interval_s": 1,
            "look_back_period_s": 2,
            "upscale_delay_s": 1,
            "downscale_delay_s": 5,
        },
    )
    wait(lambda: running() == 1, "one replica")
    with load(client, 8) as results:
        up = wait(lambda: running() == 3, "three replicas")
    down = wait(lambda: running() == 1, "one replica")
    assert not failures(results), failures(results)[:3]
    say(
        f"scales from 1 to 3 replicas in {up:.0f} s and back in {down:.0f} s: {len(results)} "
        "calls, 0 failed"
    )


def overhead() -> None:
    """Print the time of a request with 10 s of audio that decodes nothing."""

    async def ask() -> None:
        http = InferenceClient(URL, Access(TOKEN, connections=8))
        audio = Floats(contract.AUDIO, np.zeros((1, 10 * SAMPLE_RATE), np.float32))
        tensors: list[Tensor] = [audio, Strings(contract.OPTIONS, (b'{"describe": true}',))]

        async def seconds(count: int) -> list[float]:
            found = []
            for _ in range(count):
                started = time.perf_counter()
                await http._infer(RemoteModel("speech"), tensors)
                found.append(time.perf_counter() - started)
            return found

        await seconds(10)
        alone = statistics.median(await seconds(50))
        started = time.perf_counter()
        together = await asyncio.gather(*(seconds(25) for _ in range(8)))
        rate = 200 / (time.perf_counter() - started)
        eight = statistics.median(each for some in together for each in some)
        await http.close()
        say(
            f"overhead per call with 640 kB: {alone * 1000:.1f} ms alone, {eight * 1000:.1f} ms "
            f"with 8 at once ({rate:.0f}/s), median"
        )

    asyncio.run(ask())


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder:
        start_ray(folder)
        serve.start(proxy_location="EveryNode", http_options={"host": "127.0.0.1"})
        try:
            deploy(num_replicas=2)
            say(f"two replicas are ready after {wait(lambda: running() == 2, 'replicas'):.0f} s")
            client = Client()
            overhead()
            token_is_required()
            texts_equal_local_ones(client)
            front_end_answers()
            two_replicas_share_load(client)
            killed_replica_loses_nothing(client)
            version_changes_under_load(client)
            model_on_demand(client)
            bad_version_leaves_the_old_one(client)
            deploy(num_replicas=1, max_ongoing_requests=12, max_queued_requests=8)
            wait(lambda: running() == 1, "one replica")
            hang_up_is_cancelled(client)
            overload_is_busy(client)
            scales_up_and_down(client)
            client.close()
            serve.shutdown()
            local_model_answers()
        finally:
            ray.shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
