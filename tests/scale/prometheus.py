"""A real Prometheus that scrapes the pods as the PodMonitor says."""

from __future__ import annotations

import asyncio
import json
import urllib.parse
import urllib.request
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import yaml

from tests.kubernetes.manifests import of_kind
from tests.support.serving import DEADLINE

from .pods import METRICS

ADDRESS = "127.0.0.1:9090"


@asynccontextmanager
async def scraping(addresses: Sequence[str], folder: Path) -> AsyncIterator[None]:
    """Run Prometheus until the block ends; the block begins when it is ready."""
    [endpoint] = next(
        each["spec"]["podMetricsEndpoints"]
        for each in of_kind("haproxy", "PodMonitor")
        if each["metadata"]["name"] == "stt"
    )
    pods = {
        "targets": [f"{address}:{METRICS}" for address in addresses],
        # The operator adds the namespace of a pod.
        "labels": {"namespace": "speech-to-text"},
    }
    config = folder / "prometheus.yaml"
    config.write_text(
        yaml.safe_dump(
            {
                "scrape_configs": [
                    {
                        "job_name": "stt",
                        "scrape_interval": endpoint["interval"],
                        "metrics_path": endpoint["path"],
                        "static_configs": [pods],
                    }
                ]
            }
        )
    )
    process = await asyncio.create_subprocess_exec(
        "prometheus",
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'prometheus'}",
        f"--web.listen-address={ADDRESS}",
        stdin=DEVNULL,
        stdout=DEVNULL,
        stderr=PIPE,
    )
    drain = asyncio.create_task(process.communicate())
    try:
        async with asyncio.timeout(DEADLINE):
            while not await asyncio.to_thread(_ready):  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        yield
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await drain


async def value(query: str) -> float | None:
    """Return the value of a query, as KEDA's scaler reads it; None = no result."""
    where = f"http://{ADDRESS}/api/v1/query?" + urllib.parse.urlencode({"query": query})
    answer = json.loads(await asyncio.to_thread(_read, where))
    found = answer["data"]["result"]
    assert len(found) <= 1, "KEDA takes one element only"
    return float(found[0]["value"][1]) if found else None


def _ready() -> bool:
    try:
        return bool(_read(f"http://{ADDRESS}/-/ready"))
    except OSError:
        return False


def _read(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=DEADLINE) as answer:
        return bytes(answer.read())
