"""Zeroconf announcements, as a real zeroconf browser sees them.

Every test runs in a child process inside a network namespace with its own interfaces, so
nothing is announced to the network of the machine that runs the tests. mDNS spends most of the
time waiting and the tests are independent, so all of them run at the same time.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import cache

import pytest
from blockbuster import blockbuster_ctx
from zeroconf import ServiceListener, Zeroconf
from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf

from wyoming_faster_whisper.commands.doctor.facts import MdnsService
from wyoming_faster_whisper.commands.doctor.network import inspect_network
from wyoming_faster_whisper.testing.tcp_server import TcpServer
from wyoming_faster_whisper.transports.discovery import SERVICE, Announcement

Found = tuple[list[str], int]  # addresses, port
DEADLINE = 20.0  # seconds; only a failing test waits this long


class Browser(ServiceListener):
    """The Wyoming services announced on the network, as Home Assistant sees them."""

    def __init__(self) -> None:
        self.found: dict[str, Found] = {}
        self._changed = asyncio.Event()
        self._asking: set[asyncio.Task[None]] = set()

    def add_service(self, zc: Zeroconf, type_: str, name: str) -> None:
        task = asyncio.get_running_loop().create_task(self._ask(zc, name))
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)

    update_service = add_service

    def remove_service(self, zc: Zeroconf, type_: str, name: str) -> None:
        self.found.pop(name.removesuffix(f".{SERVICE}"), None)
        self._changed.set()

    async def _ask(self, zc: Zeroconf, name: str) -> None:
        info = AsyncServiceInfo(SERVICE, name)
        if await info.async_request(zc, 3000):
            assert info.port is not None
            known = sorted(info.parsed_addresses()), info.port
            self.found[name.removesuffix(f".{SERVICE}")] = known
            self._changed.set()

    async def until(self, expected: dict[str, Found]) -> None:
        try:
            async with asyncio.timeout(DEADLINE):
                while self.found != expected:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise AssertionError(f"found {self.found}, expected {expected}") from None


@asynccontextmanager
async def browser(at: str = "192.168.77.5") -> AsyncIterator[Browser]:
    async with AsyncZeroconf(interfaces=[at]) as zc:
        listener = Browser()
        await zc.async_add_service_listener(SERVICE, listener)
        yield listener


class Warnings(logging.Handler):
    """Log handler with which a test can wait for a warning of transports/discovery.py."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._messages: asyncio.Queue[str] = asyncio.Queue()
        logging.getLogger("wyoming_faster_whisper.transports.discovery").addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        self._messages.put_nowait(record.getMessage())

    async def next(self) -> str:
        async with asyncio.timeout(DEADLINE):
            return await self._messages.get()


def interfaces(*lines: str) -> None:
    """Change the interfaces of the namespace, with one `ip` command per line."""
    subprocess.run(["ip", "-batch", "-"], input="\n".join(lines), text=True, check=True)


LINKS = (
    "link set lo up",
    # The far end is unused, but must be up so that packets are sent and looped back.
    "link add eth0 type veth peer name far",
    "link set far up",
    "link set eth0 up",
)
IPV4 = (
    "addr add 192.168.77.5/24 dev eth0",
    "addr add 169.254.7.7/16 dev eth0",
)
IPV6 = ("addr add fd77::5/64 dev eth0 nodad",)
DOCKER = (
    "link add docker0 type bridge",
    "link set docker0 up",
    "addr add 172.17.0.1/16 dev docker0",
)


def unshare(*command: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a new network namespace, and unless root in a new user namespace."""
    user = [] if os.geteuid() == 0 else ["--map-root-user"]
    return subprocess.run(
        ["unshare", "--net", *user, *command],
        capture_output=True,
        text=True,
        check=False,
        timeout=40,
    )


@cache
def why_not() -> str:
    """Return why namespaces cannot be used on this machine; empty if they can."""
    for tool in ("unshare", "ip"):
        if shutil.which(tool) is None:
            return f"{tool} is not installed"
    commands = [f"ip {line}" for line in (*LINKS, *IPV4, *IPV6, *DOCKER)]
    trial = unshare("sh", "-c", " && ".join(commands))
    return "" if trial.returncode == 0 else f"no network namespace: {trial.stderr.strip()}"


Scenario = Callable[[], Coroutine[None, None, None]]
Running = dict[str, Future[subprocess.CompletedProcess[str]]]
SCENARIOS: dict[str, Scenario] = {}


@pytest.fixture(scope="module")
def running(request: pytest.FixtureRequest) -> Iterator[Running]:
    """Start the scenarios of all selected tests; yield their futures."""
    if reason := why_not():
        pytest.skip(reason)
    asked = SCENARIOS.keys() & {item.name for item in request.session.items}
    with ThreadPoolExecutor(len(SCENARIOS)) as pool:
        yield {
            name: pool.submit(unshare, sys.executable, "-W", "error", __file__, name)
            for name in SCENARIOS
            if name in asked
        }


def in_namespace(scenario: Scenario) -> Callable[[Running], None]:
    """Make a test that runs a scenario in a namespace, with this file as the script."""
    name = scenario.__name__
    SCENARIOS[name] = scenario

    def test(running: Running) -> None:
        result = running[name].result()
        assert result.returncode == 0, result.stdout + result.stderr

    return test


@in_namespace
async def test_every_reachable_address_is_announced_and_withdrawn_on_close() -> None:
    interfaces(*LINKS, *IPV4, *IPV6, *DOCKER)
    async with browser() as network:
        announcement = Announcement(name="kitchen", bound_host="::", port=10305)
        announcement.start()
        await network.until({"kitchen": (["192.168.77.5", "fd77::5"], 10305)})
        await announcement.close()
        await network.until({})


@in_namespace
async def test_a_server_on_ipv4_announces_no_ipv6() -> None:
    interfaces(*LINKS, *IPV4, *IPV6, *DOCKER)
    host = socket.gethostname().replace(".", "-")
    async with browser() as network:
        announcement = Announcement(name="faster-whisper", bound_host="0.0.0.0", port=10300)
        announcement.start()
        await network.until({f"faster-whisper on {host}": (["192.168.77.5"], 10300)})
        await announcement.close()


@in_namespace
async def test_a_network_without_ipv4_is_enough() -> None:
    interfaces(*LINKS, *IPV6)
    async with browser(at="fd77::5") as network:
        announcement = Announcement(name="kitchen", bound_host="::", port=10300)
        announcement.start()
        await network.until({"kitchen": (["fd77::5"], 10300)})
        await announcement.close()
        await network.until({})


@in_namespace
async def test_two_servers_with_one_name_do_not_clash() -> None:
    interfaces(*LINKS, *IPV4)
    warnings = Warnings()
    async with browser() as network:
        first = Announcement(name="kitchen", bound_host="0.0.0.0", port=10300)
        first.start()
        await network.until({"kitchen": (["192.168.77.5"], 10300)})
        second = Announcement(
            name="kitchen", bound_host="0.0.0.0", port=10301, advertise_host="192.168.77.9"
        )
        second.start()
        assert "'kitchen' is taken" in await warnings.next()
        await network.until(
            {
                "kitchen": (["192.168.77.5"], 10300),
                "kitchen (2)": (["192.168.77.9"], 10301),
            }
        )
        await first.close()
        await network.until({"kitchen (2)": (["192.168.77.9"], 10301)})
        await second.close()


@in_namespace
async def test_the_advertised_host_and_port_replace_our_own() -> None:
    interfaces(*LINKS, *IPV4)
    async with browser() as network:
        announcement = Announcement(
            name="faster-whisper",
            bound_host="127.0.0.1",
            port=10300,
            advertise_host="203.0.113.9",
            advertise_port=443,
        )
        announcement.start()
        await network.until({"faster-whisper on 203-0-113-9:443": (["203.0.113.9"], 443)})
        await announcement.close()


@in_namespace
async def test_the_announcement_follows_changes_of_the_network() -> None:
    interfaces("link set lo up")
    warnings = Warnings()
    announcement = Announcement(name="kitchen", bound_host="0.0.0.0", port=10300, recheck=0.05)
    announcement.start()
    assert "no network interface has an address" in await warnings.next()
    interfaces(*LINKS, *IPV4)
    async with browser() as network:
        await network.until({"kitchen": (["192.168.77.5"], 10300)})
        interfaces("addr add 192.168.77.6/24 dev eth0")
        await network.until({"kitchen": (["192.168.77.5", "192.168.77.6"], 10300)})
        await announcement.close()
        await network.until({})


@in_namespace
async def test_a_failed_multicast_socket_causes_a_warning_and_is_retried() -> None:
    interfaces(*LINKS, *IPV4)
    warnings = Warnings()
    announcement = Announcement(name="kitchen", bound_host="0.0.0.0", port=10300, recheck=0.05)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as greedy:
        greedy.bind(("", 5353))
        announcement.start()
        assert "Address already in use" in await warnings.next()
    async with browser() as network:
        await network.until({"kitchen": (["192.168.77.5"], 10300)})
        await announcement.close()


@in_namespace
async def test_an_unreachable_or_unresolvable_host_causes_a_warning() -> None:
    interfaces("link set lo up")
    warnings = Warnings()
    for host, sentence in {
        "127.0.0.1": "other machines cannot reach 127.0.0.1; listen on 0.0.0.0",
        "no-such-host.example": "gaierror",
        "x" * 70 + ".example": "Unicode",
    }.items():
        announcement = Announcement(name="kitchen", bound_host=host, port=10300)
        announcement.start()
        assert sentence in await warnings.next()
        await announcement.close()


# Written out: importing the wyoming library causes a warning, and warnings are errors here.
PROGRAM = {
    "name": "whisper",
    "attribution": {"name": "", "url": ""},
    "installed": True,
    "description": None,
    "version": None,
    "models": [],
}


async def discover(*options: str) -> tuple[str, str, int | None]:
    """Run `discover`; return its standard output, standard error and exit status."""
    call = (
        "import sys; from wyoming_faster_whisper.commands.cli import client; sys.exit(client())"
    )
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", call, "discover", *options),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return out.decode(), err.decode(), process.returncode


@in_namespace
async def test_the_client_finds_servers_and_queries_them() -> None:
    interfaces(*LINKS, *IPV4)

    async def describe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert b'"describe"' in await reader.readline()
        writer.write(json.dumps({"type": "info", "data": {"asr": [PROGRAM]}}).encode() + b"\n")
        await reader.read()

    server = await TcpServer(describe, host="192.168.77.5", port=10300).start()
    announced = [
        Announcement(name="kitchen", bound_host="0.0.0.0", port=10300),
        Announcement(name="silent [1]", bound_host="0.0.0.0", port=10301),
    ]
    async with browser() as network:
        for one in announced:
            one.start()
        await network.until({one.name: (["192.168.77.5"], one.port) for one in announced})
        (out, err, status), (lines, _, _) = await asyncio.gather(
            discover("--seconds", "4"), discover("--seconds", "4", "--json")
        )
        for one in announced:
            await one.close()
    await server.stop()
    assert out == (
        "name        uri                       offers\n"
        "kitchen     tcp://192.168.77.5:10300  speech to text: whisper\n"
        "silent [1]  tcp://192.168.77.5:10301  (does not answer)\n"
    ), (out, err)
    assert (err, status) == ("", 0)
    assert json.loads(lines.split("\n")[0])["uri"] == "tcp://192.168.77.5:10300"


@in_namespace
async def test_the_client_reports_that_no_server_was_found() -> None:
    interfaces(*LINKS, *IPV4)
    out, err, status = await discover("--seconds", "0.1")
    assert (out, err, status) == ("", "no server announced itself within 0.1 s\n", 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as greedy:
        greedy.bind(("", 5353))
        out, err, status = await discover("--seconds", "0.1")
    assert (out, status) == ("", 1)
    assert err.startswith("error: cannot listen for mDNS announcements: "), err
    assert "Address already in use" in err


@in_namespace
async def test_the_doctor_distinguishes_our_announcement_from_others() -> None:
    interfaces(*LINKS, *IPV4)
    async with browser() as network:
        ours = Announcement(name="kitchen", bound_host="0.0.0.0", port=10305)
        other = Announcement(
            name="attic", bound_host="0.0.0.0", port=10305, advertise_host="192.168.77.9"
        )
        ours.start()
        other.start()
        both = {"kitchen": (["192.168.77.5"], 10305), "attic": (["192.168.77.9"], 10305)}
        await network.until(both)
        seen = await inspect_network("0.0.0.0", 10305)
        assert {one.name for one in seen.announced} == set(both)
        assert seen.ours == (MdnsService("kitchen", ("192.168.77.5",), 10305),)
        assert seen.reachable == ("192.168.77.5",)
        await ours.close()
        await other.close()


@in_namespace
async def test_the_doctor_reports_why_multicast_does_not_work() -> None:
    interfaces("link set lo up")
    seen = await inspect_network("0.0.0.0", 10305)
    assert (seen.multicast, seen.reachable) == ("no network interface has an IPv4 address", ())


async def main(name: str) -> None:
    with blockbuster_ctx("wyoming_faster_whisper"):
        await SCENARIOS[name]()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]), debug=True)
