"""Add-on, images, Compose files and unit agree with the code and with each other."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.dockerfile import ROOT, read
from wyoming_faster_whisper import __version__
from wyoming_faster_whisper.commands.addon import command_line, environment
from wyoming_faster_whisper.config.load import read_settings
from wyoming_faster_whisper.config.options import options
from wyoming_faster_whisper.config.settings import Settings
from wyoming_faster_whisper.errors import SettingError
from wyoming_faster_whisper.models import SttLibrary, choose
from wyoming_faster_whisper.models.languages import MULTILINGUAL_V3

ADDON = ROOT / "addon"
CONFIG: dict[str, Any] = yaml.safe_load((ADDON / "config.yaml").read_text())
SCHEMA: dict[str, str] = CONFIG["schema"]
TRANSLATIONS = sorted((ADDON / "translations").glob("*.yaml"))
UNIT = ROOT / "deploy" / "wyoming-faster-whisper.service"

# Keys of an add-on configuration that the Supervisor reads, with their types. It silently drops
# other keys, so a key of config.yaml that is not listed here is a mistake.
KEYS = {
    **dict.fromkeys(["name", "slug", "description", "version"], str),
    **dict.fromkeys(["arch", "discovery", "services", "map", "backup_exclude"], list),
    **dict.fromkeys(["options", "schema", "ports"], dict),
    **dict.fromkeys(["homeassistant_api", "init", "host_network"], bool),
    **dict.fromkeys(["url", "image", "homeassistant", "stage"], str),
}
REQUIRED = {"name", "slug", "description", "version", "arch"}
TYPE = re.compile(
    r"(?P<kind>bool|str|password|int|float|list|match)"
    r"(\((?P<pattern>\^.*\$)\)|\((?P<least>[\d.]*),(?P<most>[\d.]*)\)|\((?P<choices>[^,]+)\))?"
    r"(?P<optional>\?)?"
)


def fits(value: Any, declared: str) -> bool:
    """Return whether the Supervisor accepts a value for an option with this schema type."""
    found = TYPE.fullmatch(declared)
    assert found is not None, f"{declared} is not a schema type of the Supervisor"
    if choices := found["choices"]:
        return found["kind"] == "list" and value in choices.split("|")
    if pattern := found["pattern"]:
        return re.match(pattern, str(value)) is not None
    kinds: dict[str, Any] = {"bool": bool, "int": int, "float": int | float}
    if not isinstance(value, kinds.get(found["kind"], str)):
        return False
    return not (
        (found["least"] and value < float(found["least"]))
        or (found["most"] and value > float(found["most"]))
    )


def settings(**chosen: Any) -> Settings:
    """Parse the add-on's options as the server does; fails for an option without a flag."""
    return read_settings(command_line({**CONFIG["options"], **chosen}), {}).settings


def test_the_add_on_has_all_required_keys_and_no_unknown_ones() -> None:
    assert set(CONFIG) >= REQUIRED
    for key, value in CONFIG.items():
        assert isinstance(value, KEYS[key]), key
    assert re.fullmatch(r"[-_.A-Za-z0-9]+", CONFIG["slug"])
    assert set(CONFIG["arch"]) <= {"amd64", "aarch64"}
    assert CONFIG["discovery"] == ["wyoming"]


def test_all_version_numbers_are_equal() -> None:
    assert CONFIG["version"] == __version__
    assert f"## {__version__}" in (ROOT / "CHANGELOG.md").read_text()


def test_the_add_ons_defaults_fit_its_schema() -> None:
    for name, declared in SCHEMA.items():
        if name in CONFIG["options"]:
            assert fits(CONFIG["options"][name], declared), name
        else:
            assert declared.endswith("?"), f"{name} has no default and is not optional"
    assert set(CONFIG["options"]) <= set(SCHEMA)


@pytest.mark.parametrize(
    ("value", "declared"),
    [("yes", "bool"), (1.5, "int"), (-1, "int(0,5)"), (6, "int(0,5)"), ("x", "list(a|b)")],
)
def test_a_value_that_does_not_fit_the_schema_is_detected(value: Any, declared: str) -> None:
    assert not fits(value, declared)


def test_every_option_of_the_stock_add_on_is_supported() -> None:
    stock = (
        "model custom_model custom_model_type stt_library language beam_size initial_prompt "
        "whisper_task sherpa_streaming vad_clip local_files_only debug_logging hf_token "
        "bias_names vad_endpointing"
    )
    assert set(SCHEMA) >= set(stock.split())


def test_every_option_of_the_add_on_reaches_the_server() -> None:
    """Each option changes the settings of the server; none is ignored."""
    other: dict[str, Any] = {
        **{"bool": True, "int": 3, "float": 3.5, "str": "something", "password": "secret"},
        **{
            "bias_names": False,
            "vad_endpointing": "0.8",
            "languages": "en,fr",
            "custom_model": "small",
            "custom_model_type": "sherpa",
            "mqtt_url": "mqtt://me@broker",
        },
    }
    for name, declared in SCHEMA.items():
        if name == "mqtt":  # needs a Supervisor: tests/e2e/test_images.py
            continue
        found = TYPE.fullmatch(declared)
        assert found is not None
        value = (
            found["choices"].split("|")[-1]
            if found["choices"]
            else other[name if name in other else found["kind"]]
        )
        before = dict(CONFIG["options"])
        if name in ("custom_model", "custom_model_type"):
            before |= {"model": "custom", "custom_model": "base"}
        elif name == "mqtt_password":
            before |= {"mqtt_url": "mqtt://me@broker"}
        elif value == "custom":
            value = "turbo"
        after = {**before, name: value}
        assert (command_line(before), environment(before, "token")) != (
            command_line(after),
            environment(after, "token"),
        ), name
        read_settings(command_line(after), {})


def test_the_add_on_offers_every_language_and_only_known_models() -> None:
    languages = SCHEMA["language"].removeprefix("list(").removesuffix(")").split("|")
    assert set(languages) == {"auto", *MULTILINGUAL_V3}
    for name in SCHEMA["model"].removeprefix("list(").removesuffix(")").split("|"):
        if name not in ("auto", "custom"):
            assert choose(name, []).name == name
    for option in ("stt_library", "custom_model_type"):
        assert SCHEMA[option] == f"list({'|'.join(SttLibrary)})"


def test_a_custom_model_is_used_if_custom_is_chosen() -> None:
    assert settings(model="custom", custom_model="owner/name").model == ("owner/name",)
    assert settings(model="small.en", custom_model="owner/name").model == ("small.en",)


def test_a_custom_model_without_a_name_is_refused() -> None:
    with pytest.raises(SettingError, match="custom_model is not set"):
        settings(model="custom", custom_model="")


def test_a_blank_option_is_not_passed_on() -> None:
    assert settings(initial_prompt="", languages=None) == settings()
    assert settings(initial_prompt="- not a flag").initial_prompt == "- not a flag"


def test_zero_is_not_blank() -> None:
    given = settings(cpu_threads=0, model_budget=0)
    assert (given.cpu_threads, given.model_budget) == (0, 0)


def test_secrets_are_not_on_the_command_line() -> None:
    assert "secret" not in " ".join(command_line({"hf_token": "secret", "bias_names": True}))
    assert environment({"hf_token": "secret"}, "token") == {"HF_TOKEN": "secret"}
    broker = {"mqtt_url": "mqtt://me@broker", "mqtt_password": "secret"}
    assert "secret" not in " ".join(command_line(broker))
    given = read_settings(command_line(broker), environment(broker, None)).settings
    assert (given.mqtt_password, given.mqtt_discovery) == ("secret", "homeassistant")


def test_names_are_fetched_through_the_supervisor() -> None:
    given = environment({"bias_names": True}, "token")
    assert given == {
        "WYO_WHISPER_HASS_API": "http://supervisor/core/api",
        "WYO_WHISPER_HASS_TOKEN": "token",
    }
    assert read_settings([], given).settings.hass_token == "token"
    assert environment({"bias_names": False}, "token") == {}


@pytest.mark.parametrize(("chosen", "seconds"), [("0", None), ("", None), ("0.8", 0.8)])
def test_without_endpointing_seconds_home_assistant_ends_the_turn(
    chosen: str, seconds: float | None
) -> None:
    assert settings(vad_endpointing=chosen).vad_endpointing == seconds


def test_the_add_on_does_not_announce_itself_by_zeroconf() -> None:
    assert settings().zeroconf is None


@pytest.mark.parametrize("path", TRANSLATIONS, ids=lambda path: path.stem)
def test_a_translation_covers_exactly_the_options(path: Path) -> None:
    page = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert list(page["configuration"]) == [*SCHEMA]
    for name, texts in page["configuration"].items():
        assert set(texts) == {"name", "description"}, name
    assert set(page["network"]) == set(CONFIG["ports"])


def test_the_add_ons_page_describes_every_option() -> None:
    page = (ADDON / "DOCS.md").read_text(encoding="utf-8")
    assert re.findall(r"^### Option: `(\w+)`", page, re.MULTILINE) == list(SCHEMA)


def test_the_supervisor_can_rename_the_apparmor_profile() -> None:
    """The Supervisor replaces the name in the single line that begins with "profile"."""
    lines = (ADDON / "apparmor.txt").read_text().splitlines()
    [line] = [line for line in lines if line.startswith("profile ")]
    assert line.split()[1] == CONFIG["slug"]
    assert line.count(CONFIG["slug"]) == 1


def test_both_images_are_built_alike() -> None:
    server, addon = read(ROOT / "Dockerfile"), read(ADDON / "Dockerfile")
    for one, other in zip(server, addon, strict=True):
        assert one.base == other.base
        assert one.instructions[0] == other.instructions[0] or "useradd" in one.last("RUN").text
    assert server[-1].health_check == addon[-1].health_check


def test_the_image_does_not_run_as_root_and_writes_only_to_its_volume() -> None:
    image = read(ROOT / "Dockerfile")[-1]
    user = image.last("USER").text.split(":")[0]
    assert int(user) > 0, "Kubernetes needs a numeric id to see that it is not root"
    [volume] = image.last("VOLUME").arguments
    given = read_settings([], image.environment).settings
    assert given.data_dir == (volume,)
    assert given.download_dir == volume
    assert image.environment["HOME"] == volume
    assert image.last("EXPOSE").text == given.uri.rsplit(":", 1)[1]


def test_the_variables_of_the_image_are_options() -> None:
    image = read(ROOT / "Dockerfile")[-1]
    assert read_settings([], image.environment).warnings == ()


@pytest.mark.parametrize("name", ["compose.yaml", "compose.gpu.yaml"])
def test_the_settings_in_compose_files_are_options(name: str) -> None:
    [service] = yaml.safe_load((ROOT / "deploy" / name).read_text())["services"].values()
    given = read_settings(service.get("command", []), service["environment"])
    assert given.warnings == ()


def test_the_settings_for_mqtt_in_a_compose_file_are_options(tmp_path: Path) -> None:
    services = yaml.safe_load((ROOT / "deploy" / "compose.mqtt.yaml").read_text())["services"]
    environment = services["whisper"]["environment"]
    assert environment["WYO_WHISPER_MQTT_PASSWORD_FILE"].startswith("/run/secrets/")
    secret = tmp_path / "mqtt"
    secret.write_text("secret\n")
    given = read_settings([], {**environment, "WYO_WHISPER_MQTT_PASSWORD_FILE": str(secret)})
    assert given.warnings == ()
    assert given.settings.mqtt_password == "secret"


@pytest.mark.parametrize(
    ("name", "of"), [("compose.yaml", "whisper"), ("compose.mqtt.yaml", "mosquitto")]
)
def test_compose_drops_all_capabilities(name: str, of: str) -> None:
    services = yaml.safe_load((ROOT / "deploy" / name).read_text())["services"]
    service = services[of]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]


def test_the_build_argument_for_a_gpu_names_an_extra() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    services = yaml.safe_load((ROOT / "deploy" / "compose.gpu.yaml").read_text())["services"]
    extras = services["whisper"]["build"]["args"]["EXTRAS"].split(",")
    assert set(extras) <= set(project["optional-dependencies"])


def test_the_variables_of_the_systemd_unit_are_options() -> None:
    [line] = [x for x in UNIT.read_text().splitlines() if x.startswith("Environment=")]
    known = {option.variable for option in options(Settings)}
    names = {word.split("=")[0] for word in line.removeprefix("Environment=").split()}
    assert names - {"HOME"} <= known
