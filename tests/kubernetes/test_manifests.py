"""What the API server, the operators and the pod security admission would check."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jsonschema
import kubernetes_validate
import pytest
import yaml

from .manifests import KUBERNETES, OVERLAYS, Manifest, matches, of_kind, pod_templates, rendered

SCHEMAS = {path.stem: path for path in (Path(__file__).parent / "schemas").glob("*.yaml")}
# preStop's sleep needs 1.30; the first version in which it is enabled by default.
VERSIONS = ("1.30", kubernetes_validate.latest_version())

overlays = pytest.mark.parametrize("overlay", OVERLAYS)


def check_core(manifest: Manifest) -> None:
    _check_core(yaml.safe_dump(manifest))


@cache  # overlays share most of their manifests
def _check_core(text: str) -> None:
    for version in VERSIONS:
        kubernetes_validate.validate(yaml.safe_load(text), version, strict=True)


def check_custom(manifest: Manifest) -> None:
    schema = yaml.safe_load(SCHEMAS[manifest["kind"]].read_text())
    jsonschema.validate(manifest, schema)


@overlays
def test_every_manifest_fits_its_schema(overlay: str) -> None:
    for manifest in rendered(overlay):
        if manifest["kind"] in SCHEMAS:
            check_custom(manifest)
        else:
            check_core(manifest)


@overlays
def test_core_types_inside_custom_resources_fit_their_schemas(overlay: str) -> None:
    for manifest in of_kind(overlay, "RayService"):
        for _, template in pod_templates(manifest):
            check_core({"apiVersion": "v1", "kind": "Pod", "metadata": {}, **template})
    for manifest in of_kind(overlay, "ScaledObject"):
        config = manifest["spec"]["advanced"]["horizontalPodAutoscalerConfig"]
        target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "stt"}
        check_core(
            {
                "apiVersion": "autoscaling/v2",
                "kind": "HorizontalPodAutoscaler",
                "metadata": {"name": "stt"},
                "spec": {"maxReplicas": 1, "scaleTargetRef": target, **config},
            }
        )


@pytest.mark.parametrize(
    ("kind", "path", "value"),
    [
        ("Deployment", "spec.template.spec.containers.0.readynessProbe", {}),
        ("Deployment", "spec.template.spec.terminationGracePeriodSeconds", "30 s"),
        ("NetworkPolicy", "spec.ingres", []),
        ("ScaledObject", "spec.maxReplicas", 5),
        ("ScaledObject", "spec.triggers.0.metadata.threshold", 0.6),
        ("PodMonitor", "spec.podMetricsEndpoints.0.paths", "/metrics"),
    ],
)
def test_a_mistake_is_detected(kind: str, path: str, value: Any) -> None:
    manifest = yaml.safe_load(yaml.safe_dump(of_kind("haproxy", kind)[0]))
    *parents, last = path.split(".")
    inner = manifest
    for key in parents:
        inner = inner[int(key)] if isinstance(inner, list) else inner[key]
    inner[last] = value
    check = check_custom if kind in SCHEMAS else check_core
    with pytest.raises((jsonschema.ValidationError, kubernetes_validate.ValidationError)):
        check(manifest)


@overlays
def test_every_pod_is_admitted_by_the_restricted_pod_security_standard(overlay: str) -> None:
    """https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted"""
    for manifest in rendered(overlay):
        for name, template in pod_templates(manifest):
            pod = template["spec"]
            assert pod["securityContext"]["runAsNonRoot"] is True, name
            assert pod["securityContext"]["runAsUser"] > 0, name
            assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
            assert not pod.get("hostNetwork"), name
            assert not [volume for volume in pod.get("volumes", []) if "hostPath" in volume], name
            for container in pod["containers"] + pod.get("initContainers", []):
                context = container["securityContext"]
                assert context["allowPrivilegeEscalation"] is False, name
                assert context["capabilities"] == {"drop": ["ALL"]}, name
                assert not context.get("privileged"), name


@overlays
def test_every_pod_has_resources_and_no_token_of_the_api(overlay: str) -> None:
    for manifest in rendered(overlay):
        for name, template in pod_templates(manifest):
            pod = template["spec"]
            if manifest["kind"] != "RayService":  # the operator makes the accounts of Ray's pods
                assert pod["automountServiceAccountToken"] is False, name
                assert pod["serviceAccountName"] == "stt", name
            for container in pod["containers"]:
                assert container["resources"]["requests"].keys() >= {"cpu", "memory"}, name
                assert "memory" in container["resources"]["limits"], name


def selectors(manifest: Manifest) -> Iterator[dict[str, Any]]:
    """Yield what selects pods of the namespace; an empty selector selects all."""
    spec = manifest.get("spec", {})
    if manifest["kind"] in ("Service", "PodMonitor", "PodDisruptionBudget"):
        yield spec["selector"]
    elif manifest["kind"] == "NetworkPolicy":
        yield spec["podSelector"]
        for rule in spec.get("ingress", []) + spec.get("egress", []):
            for peer in rule.get("from", []) + rule.get("to", []):
                if "podSelector" in peer and "namespaceSelector" not in peer:
                    yield peer["podSelector"]


@overlays
def test_every_selector_selects_a_pod(overlay: str) -> None:
    pods = [
        template["metadata"]["labels"]
        for manifest in rendered(overlay)
        for _, template in pod_templates(manifest)
    ]
    for manifest in rendered(overlay):
        for selector in selectors(manifest):
            found = [labels for labels in pods if matches(selector, labels)]
            assert found, f"{manifest['kind']} {manifest['metadata']['name']}: {selector}"


@overlays
def test_every_named_port_exists_in_the_pods_that_are_selected(overlay: str) -> None:
    pods = [template for manifest in rendered(overlay) for _, template in pod_templates(manifest)]
    for manifest in rendered(overlay):
        spec = manifest.get("spec", {})
        if manifest["kind"] == "Service":
            named = [port["targetPort"] for port in spec["ports"]]
        elif manifest["kind"] == "PodMonitor":
            named = [endpoint["port"] for endpoint in spec["podMetricsEndpoints"]]
        else:
            continue
        chosen = [pod for pod in pods if matches(spec["selector"], pod["metadata"]["labels"])]
        for pod in chosen:
            names = {port["name"] for c in pod["spec"]["containers"] for port in c["ports"]}
            assert set(named) <= names, manifest["metadata"]["name"]


@overlays
def test_what_pods_refer_to_exists(overlay: str) -> None:
    names = {(each["kind"], each["metadata"]["name"]) for each in rendered(overlay)}
    for manifest in rendered(overlay):
        for _, template in pod_templates(manifest):
            pod = template["spec"]
            wanted = set()
            for container in pod["containers"]:
                for source in container.get("envFrom", []):
                    for key, kind in (("configMapRef", "ConfigMap"), ("secretRef", "Secret")):
                        if key in source:
                            wanted.add((kind, source[key]["name"]))
                mounted = {mount["name"] for mount in container.get("volumeMounts", [])}
                assert mounted <= {volume["name"] for volume in pod.get("volumes", [])}
            for volume in pod.get("volumes", []):
                if "configMap" in volume:
                    wanted.add(("ConfigMap", volume["configMap"]["name"]))
                if "persistentVolumeClaim" in volume:
                    claim = volume["persistentVolumeClaim"]["claimName"]
                    wanted.add(("PersistentVolumeClaim", claim))
            assert wanted <= names


@pytest.mark.parametrize("overlay", ["remote-ray", "remote-triton"])
def test_the_decode_servers_have_a_service_and_may_be_reached(overlay: str) -> None:
    [options] = [each for each in of_kind(overlay, "ConfigMap") if "options" in str(each)]
    url = urlsplit(options["data"]["WYO_WHISPER_REMOTE_URL"])
    services = {
        each["metadata"]["name"]: {port["port"] for port in each["spec"]["ports"]}
        for each in of_kind(overlay, "Service")
    }
    # KubeRay makes this one.
    services |= {
        f"{each['metadata']['name']}-serve-svc": {8000} for each in of_kind(overlay, "RayService")
    }
    assert url.port in services[url.hostname or ""]
    egress = [
        each
        for each in of_kind(overlay, "NetworkPolicy")
        if each["spec"]["policyTypes"] == ["Egress"] and "stt-to" in each["metadata"]["name"]
    ]
    assert egress


def test_servers_and_replicas_share_a_token_and_wait_for_it() -> None:
    [service] = of_kind("remote-ray", "RayService")
    [application] = yaml.safe_load(service["spec"]["serveConfigV2"])["applications"]
    [deployment] = application["deployments"]
    file = Path(deployment["user_config"]["token_file"])
    [(_, workers)] = [each for each in pod_templates(service) if each[0].endswith("gpu")]
    [mount] = [
        each
        for each in workers["spec"]["containers"][0]["volumeMounts"]
        if each["mountPath"] == str(file.parent)
    ]
    [volume] = [each for each in workers["spec"]["volumes"] if each["name"] == mount["name"]]
    variable = "WYO_WHISPER_REMOTE_TOKEN"
    secret = volume["secret"]
    assert secret["items"] == [{"key": variable, "path": file.name}]
    assert not secret.get("optional")
    [server] = [
        each for each in of_kind("remote-ray", "Deployment") if each["metadata"]["name"] == "stt"
    ]
    [token] = server["spec"]["template"]["spec"]["containers"][0]["env"]
    key = {"name": secret["secretName"], "key": variable}
    assert token == {"name": variable, "valueFrom": {"secretKeyRef": key}}
    assert secret["secretName"] in {
        each["metadata"]["name"] for each in of_kind("remote-ray", "Secret")
    }


def test_only_rays_nodes_servers_and_operator_reach_ray() -> None:
    policies = {each["metadata"]["name"]: each for each in of_kind("remote-ray", "NetworkPolicy")}
    nodes, servers, operator = policies["ray"]["spec"]["ingress"]
    ray = {"podSelector": {"matchLabels": {"app.kubernetes.io/name": "ray"}}}
    assert nodes == {"from": [ray]}
    assert servers == {
        "from": [{"podSelector": {"matchLabels": {"app.kubernetes.io/name": "stt"}}}],
        "ports": [{"protocol": "TCP", "port": "serve"}],
    }
    [source] = operator["from"]
    assert source["namespaceSelector"]["matchLabels"] == {
        "kubernetes.io/metadata.name": "ray-system"
    }
    [service] = of_kind("remote-ray", "RayService")
    labels = [template["metadata"]["labels"] for _, template in pod_templates(service)]
    for name, policy in policies.items():
        if "Ingress" in policy["spec"]["policyTypes"] and name not in ("ray", "default-deny"):
            assert not any(matches(policy["spec"]["podSelector"], each) for each in labels), name


@overlays
def test_the_scaled_object_scales_a_deployment_that_sets_no_number_itself(overlay: str) -> None:
    deployments = {each["metadata"]["name"]: each for each in of_kind(overlay, "Deployment")}
    for manifest in of_kind(overlay, "ScaledObject"):
        target = deployments[manifest["spec"]["scaleTargetRef"]["name"]]
        assert "replicas" not in target["spec"]


@overlays
def test_nothing_is_reachable_that_no_policy_allows(overlay: str) -> None:
    [deny] = [
        each
        for each in of_kind(overlay, "NetworkPolicy")
        if each["metadata"]["name"] == "default-deny"
    ]
    assert deny["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


@pytest.mark.skipif(
    shutil.which("haproxy") is None, reason="haproxy is not installed (Debian: haproxy)"
)
def test_haproxy_accepts_its_configuration() -> None:
    config = KUBERNETES / "overlays" / "haproxy" / "haproxy.cfg"
    run = subprocess.run(
        ["haproxy", "-c", "-f", config], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    assert "[WARNING]" not in run.stderr


def test_the_ray_service_fits_kuberays_own_definition() -> None:
    path = os.environ.get("RAYSERVICE_CRD")
    if not path:
        pytest.skip("RAYSERVICE_CRD does not name KubeRay's ray.io_rayservices.yaml")
    versions = yaml.safe_load(Path(path).read_text())["spec"]["versions"]
    [schema] = [each["schema"]["openAPIV3Schema"] for each in versions if each["name"] == "v1"]
    [manifest] = of_kind("remote-ray", "RayService")
    jsonschema.validate(manifest, schema)
