"""Three servers behind HAProxy, with DNS and Prometheus, configured as in the manifests.

script/test-scale runs this in a network namespace of its own, where this process is the DNS
server. Prints one line for each scenario; exit status 1 if one fails.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

from tests.kubernetes.manifests import of_kind, the_scaled_object
from tests.support.autoscaling import Autoscaler, Rules
from tests.support.haproxy import CONFIG, Balancer, balancing
from tests.support.serving import speaker

from .name_server import NameServer
from .pods import Cluster, Pod
from .prometheus import scraping, value
from .speakers import URI, UTTERANCE, Load, arriving, talking

DECODE = 0.25  # seconds that a decode takes
CLIENTS = 8  # that speak without pause in most scenarios
SETTLED = 80.0  # seconds until a rate over one minute no longer includes an earlier load


class Scenarios:
    """The scenarios, in order; each leaves three pods behind."""

    def __init__(self, cluster: Cluster, dns: NameServer, balancer: Balancer) -> None:
        self._cluster = cluster
        self._dns = dns
        self._balancer = balancer
        self.pods: list[Pod] = []

    async def start(self) -> None:
        self.pods = await self._cluster.start_all(range(1, 4))
        self._dns.addresses[:] = [pod.address for pod in self.pods]
        await self._balancer.uses(3)

    async def replace(self, number: int) -> None:
        """Start a pod that has ended."""
        pod = await self._cluster.start(number)
        self.pods[number - 1] = pod
        if pod.address not in self._dns.addresses:
            self._dns.addresses.append(pod.address)
        await self._balancer.uses(3)

    async def connections_are_spread(self) -> str:
        """Nine connections that stay open are spread evenly: three to each pod."""
        async with AsyncExitStack() as stack:
            for _ in range(9):
                client = await stack.enter_async_context(speaker(URI))
                await client.ping()
            counts = [await pod.sessions() for pod in self.pods]
        assert counts == [3, 3, 3], counts
        return f"connections of the pods: {counts}"

    async def a_stopped_pod_loses_nothing(self) -> str:
        """SIGTERM without any warning, as systemd or Docker do it; DNS keeps the address."""
        async with talking(CLIENTS) as load:
            await asyncio.sleep(3)
            status = await self.pods[0].terminate()
            await asyncio.sleep(3)
        assert status == 0
        self._nothing_lost(load, 3)
        await self.replace(1)
        return self._told(load)

    async def a_pod_that_kubernetes_ends_loses_nothing(self) -> str:
        """The address leaves DNS, preStop sleeps, then SIGTERM."""
        [deployment] = [
            each for each in of_kind("haproxy", "Deployment") if each["metadata"]["name"] == "stt"
        ]
        [container] = deployment["spec"]["template"]["spec"]["containers"]
        sleep = container["lifecycle"]["preStop"]["sleep"]["seconds"]
        async with talking(CLIENTS) as load:
            await asyncio.sleep(2)
            self._dns.addresses.remove(self.pods[1].address)
            await asyncio.sleep(sleep)
            asked = time.monotonic()
            await self.pods[1].terminate()
            await asyncio.sleep(2)
        self._nothing_lost(load, 3)
        late = load.since(asked).answered["pod-2"]
        assert late == 0, f"{late} answers although the address had left DNS"
        await self.replace(2)
        return self._told(load)

    async def a_killed_pod_loses_only_its_own(self) -> str:
        """Six utterances are half spoken, two on each pod, and other clients go on speaking."""
        killed = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            six = [tasks.create_task(speak_in_two_parts(killed)) for _ in range(6)]
            await asyncio.sleep(1)
            assert [await pod.sessions() for pod in self.pods] == [2, 2, 2]
            async with talking(CLIENTS) as load:
                await asyncio.sleep(2)
                await self.pods[2].kill()
                at = time.monotonic()
                killed.set()
                await asyncio.sleep(4)
        parts = Counter(each.result() for each in six)
        assert parts == {"pod-1": 2, "pod-2": 2, "lost": 2}, parts
        assert len(load.lost) <= CLIENTS, load.lost
        assert all(each.begun <= at for each in load.lost), load.lost
        await self.replace(3)
        return f"half spoken: {dict(parts)}; others: {self._told(load)}"

    async def without_dns_the_pods_known_last_serve(self) -> str:
        async with talking(CLIENTS) as load:
            asked = self._dns.asked
            self._dns.silent = True
            await asyncio.sleep(6)
            self._dns.silent = False
        assert self._dns.asked > asked
        self._nothing_lost(load, 3)
        return self._told(load)

    async def the_queries_give_the_replicas_of_the_load(self, folder: Path) -> str:
        """The ScaledObjects' queries, polled as KEDA does it, at two known loads.

        Three simultaneous utterances get a pod each; of twelve, the later ones wait. Neither load
        is near one at which the number of replicas changes.
        """
        told = []
        async with scraping([pod.address for pod in self.pods], folder):
            for overlay, together, every in (("haproxy", 3, 1.5), ("gpu", 12, 1.9)):
                rules = Rules.of(the_scaled_object(overlay))
                scaler = Autoscaler(rules, rules.least)
                async with arriving(together, every) as load:
                    await asyncio.sleep(SETTLED)
                    values = [await value(query) for query in rules.queries]
                    replicas = scaler.poll(0, values)
                known = [decoding(together, every), waiting(together, every)]
                assert None not in values
                for got, real in zip(values, known, strict=True):
                    assert abs((got or 0.0) - real) <= 0.05 + 0.2 * real, (values, known)
                assert replicas == rules.wanted(known, rules.least), (replicas, values, known)
                self._nothing_lost(load, 3)
                told.append(
                    f"{together} every {every:g} s: {values[0]:.2f} decoding (must be "
                    f"{known[0]:.2f}), {values[1]:.2f} waiting ({known[1]:.2f}), so "
                    f"{replicas} replicas of {overlay}"
                )
        return "; ".join(told)

    def _nothing_lost(self, load: Load, pods: int) -> None:
        assert not load.lost, load.lost[:5]
        assert len(load.answered) == pods, load.answered

    def _told(self, load: Load) -> str:
        pods = ", ".join(f"{pod} {count}" for pod, count in sorted(load.answered.items()))
        return f"{len(load.lost)} lost of {len(load.spoken)} ({pods})"


async def speak_in_two_parts(go_on: asyncio.Event) -> str:
    """Speak half an utterance, and the rest after an event; return the pod, or "lost"."""
    half = len(UTTERANCE) // 2
    try:
        async with speaker(URI) as client:
            await client.send(*UTTERANCE[:half])
            await go_on.wait()
            await client.send(*UTTERANCE[half:])
            return await client.transcript()
    except (OSError, AssertionError):
        return "lost"


def decoding(together: int, every: float) -> float:
    """Return the mean number of busy decoders."""
    return together * DECODE / every


def waiting(together: int, every: float) -> float:
    """Return the mean number of jobs that wait: each for those before it on its pod."""
    each = together // 3
    return 3 * DECODE * each * (each - 1) / 2 / every


def configuration() -> str:
    """Return HAProxy's configuration, on addresses that the pods leave free."""
    return CONFIG.read_text().replace("bind :", "bind 127.0.0.1:")


async def run(folder: Path) -> int:
    name = next(word.rpartition(":")[0] for word in CONFIG.read_text().split() if ".svc." in word)
    dns, cluster, failed = NameServer(name, []), Cluster(folder, DECODE), 0
    async with (
        dns.listening(),
        cluster.running(),
        balancing(configuration(), folder, 10300, 8404) as balancer,
    ):
        scenarios = Scenarios(cluster, dns, balancer)
        await scenarios.start()
        steps: list[Callable[[], Awaitable[str]]] = [
            scenarios.connections_are_spread,
            scenarios.a_stopped_pod_loses_nothing,
            scenarios.a_pod_that_kubernetes_ends_loses_nothing,
            scenarios.a_killed_pod_loses_only_its_own,
            scenarios.without_dns_the_pods_known_last_serve,
        ]
        for step in steps:
            failed += not await passes(step.__name__, step())
        queries = scenarios.the_queries_give_the_replicas_of_the_load(folder)
        failed += not await passes("the_queries_give_the_replicas_of_the_load", queries)
    print(f"{len(steps) + 1 - failed} passed, {failed} failed")
    return 1 if failed else 0


async def passes(name: str, scenario: Awaitable[str]) -> bool:
    """Run a scenario and print its result."""
    title, started = name.replace("_", " "), time.monotonic()
    try:
        result, ok = await scenario, True
    except AssertionError as error:
        result, ok = f"FAILED: {error}", False
    print(f"{title} ({time.monotonic() - started:.0f} s): {result}", flush=True)
    return ok


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="test-scale-") as made:
        sys.exit(asyncio.run(run(Path(made))))
