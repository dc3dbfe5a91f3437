"""No option is accepted and ignored: it has an effect, or the server says why it has none."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import wyoming_faster_whisper
from wyoming_faster_whisper.client.options import COMMANDS
from wyoming_faster_whisper.config.load import read_settings
from wyoming_faster_whisper.config.options import Arity, Option, options
from wyoming_faster_whisper.config.settings import REFERENCE_FLAGS, Settings
from wyoming_faster_whisper.errors import SettingError

SERVER = {opt.name: opt for opt in options(Settings)}

# Values of options that do not accept any text.
VALUES = {
    "device": "cuda",
    "language": "de",
    "languages": "de,en",
    "allow": "10.0.0.0/8",
    "cpu_affinity": "0",
    "socket_mode": "0660",
    "log_format": "%(message)s",
    "http_host": "127.0.0.2",
    "jwt_issuer": "https://id.example",
    "jwt_secret": "0123456789abcdef0123456789abcdef",
    "vad_clip": "sherpa",
}

# An option, and others with which it has no effect.
SPOILED = {
    "model_budget": "--model base",
    "max_batch_seconds": "--max-batch 1",
    "gpu_memory_pool": "--device cpu",
    "early_answer": "--vad-endpointing 1",
    "log_format": "--log-json",
    "socket_mode": "--uri tcp://0.0.0.0:1",
    "allow": "--uri unix:///run/stt",
    "max_per_address": "--uri stdio://",
    "event_timeout": "--uri stdio://",
    "idle_timeout": "--uri stdio://",
    "remote_ca": "--remote-url http://gpu-box",
}

# Others with which it has one, if it has none with the defaults.
RESCUED = {
    "gpu_memory_pool": "--device cuda",
    "socket_mode": "--uri unix:///run/stt",
    "remote_ca": "--remote-url http://gpu-box --remote-url https://gpu-box",
}

# Groups that one option turns on, and options of the group that also work without it.
SWITCHES = {
    "hass_token": {"hass_prompt_max_tokens"},  # of any prompt
    "upstream": set(),
    "remote_url": set(),
    "http_port": {"metrics_port", "metrics_host"},
    "mqtt_url": set(),
}


def changed(opt: Option) -> list[str]:
    """Return arguments that give an option another value than its default."""
    if opt.arity is Arity.FLAG:
        return [opt.flag]
    if opt.name in VALUES:
        return [opt.flag, VALUES[opt.name]]
    if opt.choices:
        return [opt.flag, next(each for each in opt.choices if each != opt.default)]
    if opt.type in (int, float):
        return [f"{opt.flag}={opt.most:.0f}"]
    return [opt.flag, "x"]


def needed(opt: Option) -> set[str]:
    """Return the names of the options that an option needs, and of those that these need."""
    found: set[str] = set()
    left = set(opt.needs)
    while left:
        found.add(name := left.pop())
        left |= set(SERVER[name].needs) - found
    return found


def warnings(*arguments: str) -> tuple[str, ...]:
    return read_settings(arguments, {"HOME": "/root"}).warnings


@pytest.mark.parametrize("opt", [opt for opt in SERVER.values() if opt.needs])
def test_an_option_without_the_one_that_it_needs_is_refused(opt: Option) -> None:
    sentence = f"{opt.flag} requires {SERVER[opt.needs[0]].flag}"
    if opt.flag in REFERENCE_FLAGS:  # whose command lines keep working
        assert warnings(*changed(opt)) == (f"{sentence}; it is ignored",)
    else:
        with pytest.raises(SettingError, match=f"^{sentence}$"):
            warnings(*changed(opt))


def test_a_scheme_in_capitals_is_the_same_scheme() -> None:
    assert warnings("--uri", "TCP://0.0.0.0:1", "--allow", "10.0.0.0/8") == ()
    assert warnings("--uri", "UNIX:///run/stt", "--socket-mode", "0600") == ()


@pytest.mark.parametrize("name", SPOILED)
def test_an_option_without_effect_causes_a_warning(name: str) -> None:
    opt = SERVER[name]
    [warning] = warnings(*changed(opt), *SPOILED[name].split())
    assert warning.startswith(f"{opt.flag} works with")
    assert warning.endswith(" only; it is ignored")
    assert warnings(*changed(opt), *RESCUED.get(name, "").split()) == ()
    assert warnings(*SPOILED[name].split()) == ()


def test_every_condition_is_tried() -> None:
    assert {name for name, opt in SERVER.items() if opt.only} == SPOILED.keys()


@pytest.mark.parametrize("switch", SWITCHES)
def test_the_options_of_a_part_need_the_one_that_turns_it_on(switch: str) -> None:
    group = {opt.name for opt in SERVER.values() if opt.group == SERVER[switch].group}
    need_it = {name for name in group if switch in needed(SERVER[name])}
    assert group - need_it == {switch} | SWITCHES[switch]


def test_every_option_is_used_or_says_that_it_is_not() -> None:
    package = Path(wyoming_faster_whisper.__file__).parent
    text = "".join(path.read_text("utf-8") for path in package.rglob("*.py"))
    used = set(re.findall(r"settings\.(\w+)", text))
    assert {name for name in SERVER if name not in used} == {
        name for name, opt in SERVER.items() if opt.obsolete
    }


@pytest.mark.parametrize("command", COMMANDS)
def test_options_of_the_client_need_options_of_the_same_command(command: str) -> None:
    known = options(COMMANDS[command])
    assert {name for opt in known for name in opt.needs} <= {opt.name for opt in known}
