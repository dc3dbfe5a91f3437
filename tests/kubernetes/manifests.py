"""Manifests of an overlay, as kubectl or kustomize renders them."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

Manifest = dict[str, Any]

KUBERNETES = Path(__file__).parents[2] / "deploy" / "kubernetes"
OVERLAYS = sorted(path.name for path in (KUBERNETES / "overlays").iterdir())


@cache
def rendered(overlay: str) -> tuple[Manifest, ...]:
    """Return the manifests of an overlay; skips the test if neither program is installed."""
    if shutil.which("kubectl"):
        command = ["kubectl", "kustomize"]
    elif shutil.which("kustomize"):
        command = ["kustomize", "build"]
    else:
        pytest.skip("neither kubectl nor kustomize is installed (Debian: kubernetes-client)")
    run = subprocess.run(
        [*command, KUBERNETES / "overlays" / overlay], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    return tuple(yaml.safe_load_all(run.stdout))


def of_kind(overlay: str, kind: str) -> list[Manifest]:
    return [each for each in rendered(overlay) if each["kind"] == kind]


def the_scaled_object(overlay: str) -> Manifest:
    """Return the ScaledObject of the server's pods."""
    found = of_kind(overlay, "ScaledObject")
    return next(each for each in found if each["metadata"]["name"] == "stt")


def pod_templates(manifest: Manifest) -> Iterator[tuple[str, Manifest]]:
    """Yield each pod template of a manifest, with a name for messages."""
    name, spec = f"{manifest['kind']} {manifest['metadata']['name']}", manifest.get("spec", {})
    if manifest["kind"] in ("Deployment", "Job"):
        yield name, spec["template"]
    elif manifest["kind"] == "RayService":
        cluster = spec["rayClusterConfig"]
        yield f"{name}, head", cluster["headGroupSpec"]["template"]
        for group in cluster["workerGroupSpecs"]:
            yield f"{name}, {group['groupName']}", group["template"]


def matches(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Return whether a selector, of a Service or with matchLabels, selects these labels."""
    assert "matchExpressions" not in selector
    wanted = selector.get("matchLabels", selector)
    return all(labels.get(key) == value for key, value in wanted.items())
