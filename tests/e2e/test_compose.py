"""What deploy/compose.mqtt.yaml starts, without Docker: a broker and the server beside it.

Both run with the commands, users, variables and read-only mounts of the Compose files, in one
container, because both use the host's network.
"""

from __future__ import annotations

import os
import shutil
import ssl
from pathlib import Path
from typing import Any

import pytest
import trustme
import yaml

from tests.support.broker import PASSWORDS, mosquitto, write_passwords
from tests.support.clips import CLIPS
from tests.support.container import UNPRIVILEGED
from tests.support.dockerfile import ROOT, read
from tests.support.processes import Process
from tests.support.satellite import satellite
from tests.support.scenarios import in_container, put_tiny_en_in_volume, run_scenario, started

pytestmark = pytest.mark.model

DEPLOY = ROOT / "deploy"
BROKER = 1883  # user id of the broker, in the Compose file
# The command of the image eclipse-mosquitto:2 is mosquitto with these arguments.
ARGUMENTS = ("-c", "/mosquitto/config/mosquitto.conf")
CA = Path("/mosquitto/config/tls/ca.pem")


def merged(*names: str) -> dict[str, Any]:
    """Return what Compose files say together, as far as these files overlap."""
    services: dict[str, dict[str, Any]] = {}
    secrets: dict[str, Any] = {}
    for name in names:
        file = yaml.safe_load((DEPLOY / name).read_text())
        secrets |= file.get("secrets", {})
        for service, keys in file["services"].items():
            known = services.get(service, {})
            environment = {**known.get("environment", {}), **keys.get("environment", {})}
            services[service] = {**known, **keys, "environment": environment}
    return {"services": services, "secrets": secrets}


COMPOSE = merged("compose.yaml", "compose.mqtt.yaml")
SERVICES = COMPOSE["services"]


def prepare(folder: Path) -> None:
    """Do what docs/mqtt.md asks the operator to do first."""
    if mosquitto() is None:
        pytest.skip("mosquitto is not installed; script/setup --dev unpacks it")
    if os.geteuid() != 0:
        pytest.skip("only root can run each service as a user of its own")
    put_tiny_en_in_volume(folder)
    shutil.chown(folder / "data", UNPRIVILEGED, UNPRIVILEGED)
    config = folder / "deploy" / "mosquitto"
    shutil.copytree(DEPLOY / "mosquitto", config)
    write_passwords(config / "passwords", PASSWORDS)
    (config / "server-password").write_text(f"{PASSWORDS['whisper']}\n")
    (config / "tls").mkdir()
    authority = trustme.CA()
    made = authority.issue_cert("127.0.0.1")
    authority.cert_pem.write_to_path(str(config / "tls" / "ca.pem"))
    made.private_key_pem.write_to_path(str(config / "tls" / "server.key"))
    made.cert_chain_pems[0].write_to_path(str(config / "tls" / "server.pem"))
    for name, owner in (
        ("passwords", BROKER),
        ("tls/server.key", BROKER),
        ("server-password", UNPRIVILEGED),
    ):
        (config / name).chmod(0o400)
        shutil.chown(config / name, owner, owner)


def mounts(folder: Path) -> dict[str, Path]:
    """Return the mounts of both services, except the volume."""
    found: dict[str, Path] = {}
    for volume in SERVICES["mosquitto"]["volumes"]:
        source, target, mode = volume.split(":")
        assert mode == "ro"
        found[target] = folder / "deploy" / source
    for name in SERVICES["whisper"]["secrets"]:
        found[f"/run/secrets/{name}"] = folder / "deploy" / COMPOSE["secrets"][name]["file"]
    return found


def restricted(user: str) -> tuple[str, ...]:
    """Return the beginning of a command that runs as a user, without capabilities."""
    uid, _, gid = user.partition(":")
    return (
        *("setpriv", "--reuid", uid, "--regid", gid, "--clear-groups", "--no-new-privs"),
        "--bounding-set=-all",
    )


@in_container(user=0, prepare=prepare, mounts=mounts)
async def test_a_satellite_speaks_through_the_broker_of_the_compose_file() -> None:
    image = read(ROOT / "Dockerfile")[-1]
    broker, whisper = SERVICES["mosquitto"], SERVICES["whisper"]
    assert broker["network_mode"] == whisper["network_mode"] == "host"
    program = mosquitto()
    assert program is not None
    serve = [
        *restricted(image.last("USER").text),
        *image.last("ENTRYPOINT").arguments,
        *whisper["command"],
    ]
    # "auto" would choose a model that is not on this machine.
    variables = {**whisper["environment"], "WYO_WHISPER_MODEL": "tiny.en"}
    async with (
        Process.started(
            command=(*restricted(broker["user"]), program, *ARGUMENTS), folder=Path("/nowhere")
        ) as mosquitto_process,
        started(image, serve, **variables) as process,
    ):
        await process.logged("Connected to the MQTT broker at mqtt://127.0.0.1:1883")
        async with satellite(
            "mqtts://kitchen@127.0.0.1:8883",
            "kitchen",
            password=PASSWORDS["kitchen"],
            tls=ssl.create_default_context(cafile=CA),
            own_topics=True,
        ) as kitchen:
            await kitchen.say(CLIPS["kitchen"].samples)
            assert CLIPS["kitchen"].heard_in(await kitchen.text())
    assert "Error" not in mosquitto_process.log
    assert PASSWORDS["whisper"] not in process.log


if __name__ == "__main__":
    run_scenario()
