"""Every option, port, path and metric that deploy/ names exists in the server."""

from __future__ import annotations

import configparser
import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from starlette.applications import Starlette
from starlette.routing import Route

from wyoming_faster_whisper.app.metrics import PREFIX, Metrics, Snapshot
from wyoming_faster_whisper.app.service import DRAIN_SECONDS
from wyoming_faster_whisper.commands.export_triton import _parser
from wyoming_faster_whisper.config.load import read_settings
from wyoming_faster_whisper.config.options import ENV_PREFIX, FILE_SUFFIX, options
from wyoming_faster_whisper.config.settings import Settings
from wyoming_faster_whisper.transports.http.health import build_health

DEPLOY = Path(__file__).parents[2] / "deploy"
KUBERNETES = DEPLOY / "kubernetes"
HAPROXY = KUBERNETES / "overlays" / "haproxy" / "haproxy.cfg"
TEXTS = {
    str(path.relative_to(DEPLOY)): path.read_text()
    for path in DEPLOY.rglob("*")
    if path.is_file()
}
MARGIN = 2.0  # seconds between the end of the drain and a kill

# Flags of other programs.
FOREIGN = frozenset(
    # docker, kubectl, pip, hf
    "--build-arg --cache-dir --detach --file --from-env-file --kustomize --no-cache-dir --tag "
    # tritonserver
    "--allow-grpc --exit-timeout-secs --model-control-mode --model-repository "
    "--repository-poll-secs".split()
)


def manifests() -> Iterator[dict[str, Any]]:
    for path in KUBERNETES.rglob("*.yaml"):
        yield from yaml.safe_load_all(path.read_text())


def named(kind: str, name: str) -> dict[str, Any]:
    """Return a manifest of the base."""
    base = KUBERNETES / "base"
    [found] = [
        each
        for path in base.glob("*.yaml")
        for each in yaml.safe_load_all(path.read_text())
        if each["kind"] == kind and each.get("metadata", {}).get("name") == name
    ]
    assert isinstance(found, dict)
    return found


def environment(path: Path) -> dict[str, str]:
    """Return the variables of an .env file."""
    lines = [line for line in path.read_text().splitlines() if line and line[0] != "#"]
    return dict(line.split("=", 1) for line in lines)


def exported() -> Iterator[str]:
    """Yield the names of all time series of the server."""
    text = Metrics().render(Snapshot()).decode()
    for name, kind in re.findall(r"^# TYPE (\S+) (\S+)", text, re.MULTILINE):
        suffixes = ("_bucket", "_sum", "_count") if kind == "histogram" else ("",)
        yield from (name + suffix for suffix in suffixes)


OPTIONS = options(Settings)
EXPORTED = set(exported())
BASE = environment(KUBERNETES / "base" / "options.env")
STT = named("Deployment", "stt")["spec"]["template"]["spec"]
[SERVER] = STT["containers"]


def unknown(pattern: str, known: Collection[str]) -> dict[str, set[str]]:
    """Return the matches of a pattern that are not known, by file."""
    found = {name: set(re.findall(pattern, text)) - set(known) for name, text in TEXTS.items()}
    return {name: words for name, words in found.items() if words}


def test_every_variable_is_an_option() -> None:
    known = {f"{ENV_PREFIX}SOME_OPTION"}
    for option in OPTIONS:
        known |= {option.variable, option.variable + FILE_SUFFIX}
    assert unknown(rf"\b{ENV_PREFIX}[A-Z_]*[A-Z]\b", known) == {}


def test_every_flag_is_an_option() -> None:
    exporter = {flag for action in _parser()._actions for flag in action.option_strings}
    known = {option.flag for option in OPTIONS} | {"--some-option"} | FOREIGN | exporter
    assert unknown(r"(?<![\w-])--[a-z][a-z-]*", known) == {}


def test_every_metric_is_exported() -> None:
    assert unknown(rf"\b(?:{PREFIX}_\w+|process_\w+_(?:total|bytes))\b", EXPORTED) == {}


@pytest.mark.parametrize(
    "path", sorted(KUBERNETES.rglob("options.env")), ids=lambda path: path.parent.name
)
def test_the_options_are_accepted(path: Path) -> None:
    assert read_settings([], {**BASE, **environment(path)}).warnings == ()


def test_the_ports_are_those_of_the_options() -> None:
    settings = read_settings([], BASE).settings
    ports = {each["name"]: each["containerPort"] for each in SERVER["ports"]}
    assert f":{ports['wyoming']}" in settings.uri
    assert ports["metrics"] == settings.metrics_port
    assert {settings.metrics_host, settings.uri.split("/")[2].split(":")[0]} == {"0.0.0.0"}
    for name in ("stt", "stt-pods"):
        for port in named("Service", name)["spec"]["ports"]:
            assert port["port"] == ports[port["targetPort"]]


def test_haproxy_reaches_the_pods_and_their_checks() -> None:
    ports = {each["name"]: each["containerPort"] for each in SERVER["ports"]}
    config = HAPROXY.read_text()
    namespace = named("Namespace", "speech-to-text")["metadata"]["name"]
    [target] = re.findall(r"server-template \w+ \d+ (\S+)", config)
    assert target == f"stt-pods.{namespace}.svc.cluster.local:{ports['wyoming']}"
    assert named("Service", "stt-pods")["spec"]["clusterIP"] == "None"
    assert f"check port {ports['metrics']} " in config


def test_haproxy_has_a_place_for_every_replica_and_one_more_during_an_update() -> None:
    [places] = re.findall(r"server-template \w+ (\d+) ", HAPROXY.read_text())
    replicas = [
        each["spec"]["maxReplicaCount"]
        for each in manifests()
        if each["kind"] == "ScaledObject" and "maxReplicaCount" in each["spec"]
    ]
    assert replicas
    assert int(places) > max(replicas)


def test_haproxy_waits_longer_than_the_server_and_sends_it_no_more_than_it_takes() -> None:
    config, settings = HAPROXY.read_text(), read_settings([], BASE).settings
    for end in ("client", "server"):
        [seconds, *_] = re.findall(rf"timeout {end} (\d+)s", config)
        assert int(seconds) > settings.idle_timeout
    [connections] = re.findall(r"rise 1 maxconn (\d+)", config)
    assert int(connections) < settings.max_connections
    [places] = re.findall(r"server-template \w+ (\d+) ", config)
    [total] = re.findall(r"^    maxconn (\d+)", config, re.MULTILINE)
    assert int(total) == int(connections) * int(places)


def probes() -> Iterator[str]:
    for key in ("startupProbe", "readinessProbe", "livenessProbe"):
        yield SERVER[key]["httpGet"]["path"]
    for endpoint in named("PodMonitor", "stt")["spec"]["podMetricsEndpoints"]:
        yield endpoint["path"]
    yield from re.findall(r"http-check send .*uri (\S+)", HAPROXY.read_text())


def test_every_path_of_a_probe_is_served() -> None:
    app = build_health(lambda: lambda: b"", "text/plain", lambda: None)
    assert isinstance(app, Starlette)
    served = {route.path for route in app.routes if isinstance(route, Route)}
    assert set(probes()) == served


def test_queries_are_limited_to_the_namespace() -> None:
    namespace = named("Namespace", "speech-to-text")["metadata"]["name"]
    for each in manifests():
        if each["kind"] == "ScaledObject":
            for trigger in each["spec"].get("triggers", []):
                assert f'{{namespace="{namespace}"' in trigger["metadata"]["query"]


def test_the_server_decodes_with_as_many_threads_as_it_has_cores() -> None:
    cores = SERVER["resources"]["limits"]["cpu"]
    assert read_settings([], BASE).settings.cpu_threads == int(cores)


_UNITS = {"Mi": 2**20, "Gi": 2**30, "g": 2**30, "G": 2**30}


def _bytes(size: str) -> int:
    [(number, unit)] = re.findall(r"(\d+)(\D+)", size)
    return int(number) * _UNITS[unit]


def test_the_server_refuses_work_before_the_limit_of_its_memory() -> None:
    """A fifth or more is left for what the kernel counts besides, and for libraries of a GPU."""
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.read(DEPLOY / "wyoming-faster-whisper.service")
    [own] = re.findall(r"WYO_WHISPER_MAX_MEMORY=(\d+)", unit["Service"]["Environment"])
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]["whisper"]
    gpu = KUBERNETES / "overlays" / "gpu"
    patch = yaml.safe_load((gpu / "deployment.yaml").read_text())
    [graphics] = patch["spec"]["template"]["spec"]["containers"]
    name = "WYO_WHISPER_MAX_MEMORY"
    for most, limit in (
        (own, unit["Service"]["MemoryMax"]),
        (compose["environment"][name], compose["mem_limit"]),
        (BASE[name], SERVER["resources"]["limits"]["memory"]),
        (environment(gpu / "options.env")[name], graphics["resources"]["limits"]["memory"]),
    ):
        assert 0.7 <= int(most) * 1e6 / _bytes(limit) <= 0.8, (most, limit)


def test_running_utterances_end_before_the_process_is_killed() -> None:
    before = SERVER["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert STT["terminationGracePeriodSeconds"] >= before + DRAIN_SECONDS + MARGIN
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]["whisper"]
    assert _seconds(compose["stop_grace_period"]) >= DRAIN_SECONDS + MARGIN
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.read(DEPLOY / "wyoming-faster-whisper.service")
    assert unit.getfloat("Service", "TimeoutStopSec") >= DRAIN_SECONDS + MARGIN


def _seconds(duration: str) -> float:
    assert duration.endswith("s")
    return float(duration.removesuffix("s"))


def test_the_ray_service_has_the_application_of_the_ray_cluster() -> None:
    path = KUBERNETES / "overlays" / "remote-ray" / "ray-service.yaml"
    [service] = yaml.safe_load_all(path.read_text())
    application = yaml.safe_load(service["spec"]["serveConfigV2"])
    assert application == yaml.safe_load((DEPLOY / "ray" / "serve.yaml").read_text())


def test_haproxy_ends_before_it_is_killed() -> None:
    path = KUBERNETES / "overlays" / "haproxy" / "haproxy.yaml"
    [pod] = [
        each["spec"]["template"]["spec"]
        for each in yaml.safe_load_all(path.read_text())
        if each["kind"] == "Deployment"
    ]
    before = pod["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    [stop] = re.findall(r"hard-stop-after (\d+)s", HAPROXY.read_text())
    assert pod["terminationGracePeriodSeconds"] >= before + int(stop) + MARGIN
