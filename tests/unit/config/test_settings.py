"""Options from the command line, files and variables, and those of the reference server."""

from __future__ import annotations

import argparse
import logging
import re
from pathlib import Path

import pytest

from tests.support.plug_ins import install
from wyoming_faster_whisper import __version__
from wyoming_faster_whisper.config.load import Given, default_data_dir, read_settings
from wyoming_faster_whisper.config.options import Arity, Option, options, page
from wyoming_faster_whisper.config.settings import REFERENCE_FLAGS, Settings
from wyoming_faster_whisper.errors import SettingError

HOME_ASSISTANT = (
    "--uri tcp://0.0.0.0:10300 --zeroconf --model auto --stt-library faster-whisper "
    "--beam-size 0 --language auto --initial-prompt null --whisper-task transcribe "
    "--data-dir /data --download-dir /data"
).split()


def read(line: str = "", **environ: str) -> Settings:
    return given(line, **environ).settings


def given(line: str = "", **environ: str) -> Given:
    return read_settings(line.split(), {f"WYO_WHISPER_{k}": v for k, v in environ.items()})


def refusal(line: str = "", **environ: str) -> str:
    with pytest.raises(SettingError) as caught:
        given(line, **environ)
    return str(caught.value)


def option(flag: str) -> Option:
    return next(opt for opt in options(Settings) if opt.flag == flag)


# The reference server's options (its __main__.py, 3.8.1): arity, type, default.
ONE, FLAG, OPTIONAL, MANY, REPEATED, LIST = Arity
REFERENCE: dict[str, tuple[Arity, type, object]] = {
    "--uri": (ONE, str, None),
    "--zeroconf": (OPTIONAL, str, None),
    "--model": (REPEATED, str, ("auto",)),  # ours can serve several models
    "--data-dir": (REPEATED, str, None),
    "--download-dir": (ONE, str, None),
    "--device": (ONE, str, "cpu"),
    "--language": (ONE, str, "auto"),
    "--compute-type": (ONE, str, "default"),
    "--beam-size": (ONE, int, 0),
    "--cpu-threads": (ONE, int, 4),
    "--initial-prompt": (ONE, str, None),
    "--whisper-task": (ONE, str, "transcribe"),
    "--vad-filter": (FLAG, str, False),
    "--vad-threshold": (ONE, float, 0.5),
    "--vad-min-speech-ms": (ONE, int, 250),
    "--vad-min-silence-ms": (ONE, int, 2000),
    "--vad-endpointing": (ONE, float, None),
    "--vad-clip": (MANY, str, None),
    "--vad-clip-threshold": (ONE, float, 0.5),
    "--vad-clip-pad-ms": (ONE, int, 400),
    "--stt-library": (ONE, str, "auto"),
    "--sherpa-streaming": (FLAG, str, False),
    "--local-files-only": (FLAG, str, False),
    "--hass-token": (ONE, str, None),
    "--hass-api": (ONE, str, "http://homeassistant.local:8123/api"),
    "--hass-refresh-seconds": (ONE, float, 0.0),
    "--hass-prompt-max-tokens": (ONE, int, 200),
    "--hass-prompt-timeout": (ONE, float, 1.0),
    "--debug": (FLAG, str, False),
    "--log-format": (ONE, str, logging.BASIC_FORMAT),
}

# Options whose default differs from the reference; docs/migrating.md gives the reasons.
OTHER_DEFAULTS: dict[str, object] = {
    "--uri": "tcp://0.0.0.0:10300",  # required by the reference
    "--data-dir": (),  # required by the reference
    "--vad-min-speech-ms": 64,
}


@pytest.mark.parametrize("flag", REFERENCE)
def test_every_option_of_the_reference_server_is_supported(flag: str) -> None:
    arity, type_, default = REFERENCE[flag]
    ours = option(flag)
    assert (ours.arity, ours.type) == (arity, type_)
    assert ours.default == OTHER_DEFAULTS.get(flag, default)


def meaning_there(abbreviation: str) -> str | None:
    """Expand an abbreviation as the reference server does; None if no flag or several match."""
    parser = argparse.ArgumentParser(exit_on_error=False)
    for flag in (*REFERENCE, "--version"):
        parser.add_argument(flag, action="store_const", const=flag, dest="flag")
    if "--help".startswith(abbreviation) and abbreviation != "--h":
        return "--help"
    try:
        return str(parser.parse_args([abbreviation]).flag)
    except (SystemExit, argparse.ArgumentError):
        return None


ABBREVIATIONS = sorted(
    {
        flag[:end]
        for flag in (*REFERENCE, "--help", "--version")
        for end in range(3, len(flag) + 1)
    }
)


@pytest.mark.parametrize("abbreviation", ABBREVIATIONS)
def test_abbreviations_are_resolved_as_by_the_reference_server(
    abbreviation: str, capsys: pytest.CaptureFixture[str]
) -> None:
    flag = meaning_there(abbreviation)
    capsys.readouterr()
    if flag in ("--help", "--version"):
        with pytest.raises(SystemExit) as caught:
            given(abbreviation)
        assert caught.value.code == 0
        assert (__version__ in capsys.readouterr().out) == (flag == "--version")
        return
    if flag is None:
        assert f"ambiguous option: {abbreviation} could match " in refusal(abbreviation)
        return
    value = {
        "--device": "cuda",
        "--language": "de",
        "--whisper-task": "translate",
        "--stt-library": "sherpa",
        "--vad-clip": "sherpa",
        "--compute-type": "int8",
        "--log-format": "%(message)s",
    }.get(flag, "0.75" if option(flag).type is float else "1")
    line = "" if option(flag).arity is FLAG else f" {value}"
    assert read(abbreviation + line) == read(flag + line) != Settings()
    if line:
        assert read(f"{abbreviation}={value}") == read(flag + line)


def test_the_flags_of_the_reference_server_are_all_known() -> None:
    assert {*REFERENCE, "--help", "--version"} == REFERENCE_FLAGS


def test_an_abbreviation_of_a_new_option_must_be_unambiguous() -> None:
    assert read("--upstream tcp://gpu:1 --upstream-t 3").upstream_timeout == 3
    assert "ambiguous option: --tls could match" in refusal("--tls x")


@pytest.mark.parametrize(
    ("flag", "choices"),
    [
        ("--whisper-task", "transcribe translate"),
        ("--vad-clip", "faster-whisper transformers sherpa onnx-asr funasr qwen3-asr"),
    ],
)
def test_the_choices_are_those_of_the_reference_server(flag: str, choices: str) -> None:
    assert list(option(flag).choices) == choices.split()


def test_the_migration_page_lists_every_option_of_the_reference_server() -> None:
    text = (Path(__file__).parents[3] / "docs" / "migrating.md").read_text(encoding="utf-8")
    table = text.split("## Every flag")[1].split("\n## ")[0]
    cells = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    assert {*REFERENCE, "--version"} == set(re.findall("--[a-z-]+", "".join(cells)))


def test_every_option_has_a_default() -> None:
    assert given() == Given(Settings(), ())


# Precedence.


def test_the_command_line_overrides_the_file_and_the_file_the_variable(
    tmp_path: Path,
) -> None:
    file = tmp_path / "model"
    file.write_text("from-file\n")
    variable = {"MODEL": "from-variable"}
    both = {**variable, "MODEL_FILE": str(file)}
    assert read("--model from-line", **both).model == ("from-line",)
    assert read(**both).model == ("from-file",)
    assert read(**variable).model == ("from-variable",)
    assert read().model == ("auto",)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    reasons = {"missing": "cannot be read: No such file or directory", "binary": "is not UTF-8"}
    for name, why in reasons.items():
        assert refusal(HASS_TOKEN_FILE=str(tmp_path / name)) == (
            f"WYO_WHISPER_HASS_TOKEN_FILE names {tmp_path / name}, which {why}"
        )


def test_a_wrong_value_in_a_file_names_the_variable_not_the_flag(tmp_path: Path) -> None:
    (tmp_path / "beam").write_text("wide")
    assert refusal(BEAM_SIZE_FILE=str(tmp_path / "beam")) == (
        "WYO_WHISPER_BEAM_SIZE_FILE is 'wide'; it must be a whole number"
    )


def test_variables_without_our_prefix_are_ignored() -> None:
    assert read_settings([], {"WYO_PIPER_MODEL": "x", "MODEL": "y"}) == Given(Settings(), ())


def test_a_misspelt_variable_causes_a_warning() -> None:
    assert given(MODLE="tiny", MODEL_FILE_FILE="x", MODEL="tiny").warnings == (
        "WYO_WHISPER_MODEL_FILE_FILE is not an option of this server; it is ignored",
        "WYO_WHISPER_MODLE is not an option of this server; it is ignored",
    )


# Unset.


@pytest.mark.parametrize("blank", ["null", ""])
@pytest.mark.parametrize("opt", [opt for opt in options(Settings) if opt.arity is Arity.ONE])
def test_a_blank_option_is_unset(opt: Option, blank: str, tmp_path: Path) -> None:
    assert read_settings([opt.flag, blank], {}) == Given(Settings(), ())
    assert read_settings([], {opt.variable: blank}) == Given(Settings(), ())
    assert read_settings([], {opt.variable + "_FILE": blank}) == Given(Settings(), ())
    (tmp_path / "blank").write_text(blank + "\n")
    from_file = read_settings([], {opt.variable + "_FILE": str(tmp_path / "blank")})
    assert from_file == Given(Settings(), ())


def test_a_blank_option_on_the_command_line_does_not_override_the_variable() -> None:
    assert read("--initial-prompt null", INITIAL_PROMPT="Küche").initial_prompt == "Küche"


# Arities.


@pytest.mark.parametrize("word", ["1", "true", "YES", "on", "y"])
def test_a_variable_can_set_a_flag(word: str) -> None:
    assert read(DEBUG=word).debug


@pytest.mark.parametrize("word", ["0", "false", "No", "off", "n", "", "null"])
def test_a_variable_can_leave_a_flag_unset(word: str) -> None:
    assert not read(DEBUG=word).debug
    assert read("--debug", DEBUG=word).debug


def test_a_flag_variable_must_be_true_or_false() -> None:
    assert refusal(DEBUG="maybe") == "WYO_WHISPER_DEBUG is 'maybe'; it must be true or false"


def test_zeroconf_takes_a_name_or_none() -> None:
    assert read().zeroconf is None
    assert read("--zeroconf").zeroconf == "faster-whisper"
    assert read("--zeroconf --debug").zeroconf == "faster-whisper"
    assert read("--zeroconf kitchen").zeroconf == "kitchen"
    assert read("--zeroconf=kitchen").zeroconf == "kitchen"
    assert read(ZEROCONF="kitchen").zeroconf == "kitchen"
    assert read(ZEROCONF="").zeroconf == "faster-whisper"
    assert read("--zeroconf null").zeroconf is None


def test_vad_clip_takes_any_number_of_libraries() -> None:
    assert read().vad_clip is None
    assert read("--vad-clip").vad_clip == ()
    assert read("--vad-clip --debug").vad_clip == ()
    assert read("--vad-clip sherpa faster-whisper").vad_clip == ("sherpa", "faster-whisper")
    assert read(VAD_CLIP="sherpa, funasr qwen3-asr").vad_clip == ("sherpa", "funasr", "qwen3-asr")
    assert read(VAD_CLIP="").vad_clip == ()
    assert read(VAD_CLIP="null").vad_clip is None
    assert read("--vad-clip null").vad_clip is None
    assert read("--vad-clip null", VAD_CLIP="sherpa").vad_clip == ("sherpa",)
    assert refusal("--vad-clip auto").startswith("--vad-clip is 'auto'; it must be ")


def test_data_dir_can_be_given_several_times() -> None:
    assert read("--data-dir /a --data-dir /b").data_dir == ("/a", "/b")
    assert read("--data-dir /a:/b").data_dir == ("/a:/b",)


def test_a_variable_separates_data_dirs_with_colons() -> None:
    assert read(DATA_DIR="/a:/b").data_dir == ("/a", "/b")
    assert read(DATA_DIR="/a::null:").data_dir == ("/a",)
    assert read(DATA_DIR="").data_dir == ()
    assert read("--data-dir /c", DATA_DIR="/a:/b").data_dir == ("/c",)


# Values.


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("--beam-size wide", "--beam-size is 'wide'; it must be a whole number"),
        ("--beam-size 2.5", "--beam-size is '2.5'; it must be a whole number"),
        ("--beam-size 101", "--beam-size is 101; it must be at most 100"),
        (
            "--compute-type int4",
            "--compute-type is 'int4'; it must be default, auto, int8, int8_float32, "
            "int8_float16, int8_bfloat16, int16, float16, bfloat16 or float32",
        ),
        ("--cpu-threads all", "--cpu-threads is 'all'; it must be auto or a whole number"),
        ("--cpu-threads=-1", "--cpu-threads is -1; it must be at least 0"),
        ("--vad-threshold loud", "--vad-threshold is 'loud'; it must be a number"),
        ("--vad-threshold 1.5", "--vad-threshold is 1.5; it must be at most 1"),
        ("--vad-threshold=-0.1", "--vad-threshold is -0.1; it must be at least 0"),
        ("--vad-threshold nan", "--vad-threshold is nan; it must be at least 0"),
        ("--vad-min-speech-ms=-1", "--vad-min-speech-ms is -1; it must be at least 0"),
        ("--vad-clip-pad-ms 5001", "--vad-clip-pad-ms is 5001; it must be at most 5000"),
        ("--cpu-threads 1025", "--cpu-threads is 1025; it must be at most 1024"),
        ("--max-audio-seconds inf", "--max-audio-seconds is inf; it must be at most 14400"),
        ("--log-format {", "--log-format is '{', which Python's logging rejects: Invalid format"),
        (
            "--log-format %(foo)s",
            "--log-format is '%(foo)s', which Python's logging rejects: Format",
        ),
        (
            "--log-format %(message)d",
            "--log-format is '%(message)d', which Python's logging rejects: ",
        ),
        ("--vad-clip-pad-ms=-1", "--vad-clip-pad-ms is -1; it must be at least 0"),
        ("--vad-endpointing 0", "--vad-endpointing is 0; it must be more than 0"),
        ("--advertise-port 65536", "--advertise-port is 65536; it must be at most 65535"),
        ("--max-waiting 0", "--max-waiting is 0; it must be at least 1"),
        ("--max-connections 0", "--max-connections is 0; it must be at least 1"),
        ("--max-audio-seconds 0", "--max-audio-seconds is 0; it must be more than 0"),
        (
            "--whisper-task sing",
            "--whisper-task is 'sing'; it must be transcribe or translate",
        ),
        ("--device gpu", "--device is 'gpu'; it must be cpu, cuda, cuda:N or auto"),
        (
            "--language tlh",
            "--language is 'tlh'; it must be auto or a language that Whisper knows, like en",
        ),
        ("--no-such-flag", "unrecognized arguments: --no-such-flag; --help lists all options"),
        ("--model", "argument --model: expected one argument; --help lists all options"),
        ("--beam-size " + "9" * 5000, "--beam-size is '999"),
    ],
)
def test_an_unusable_value_is_refused(line: str, sentence: str) -> None:
    assert refusal(line).startswith(sentence)


@pytest.mark.parametrize("opt", [opt for opt in options(Settings) if opt.type in (int, float)])
def test_every_number_has_an_upper_limit(opt: Option) -> None:
    assert opt.most is not None


@pytest.mark.parametrize("beam", ["-1", "-5"])
def test_a_beam_below_zero_means_auto_as_in_the_reference_server(beam: str) -> None:
    assert read(f"--beam-size {beam}").beam_size < 0
    assert read(BEAM_SIZE=beam).beam_size < 0


@pytest.mark.parametrize("device", ["cpu", "cuda", "cuda:1", "auto"])
def test_supported_devices_are_accepted(device: str) -> None:
    assert read(f"--device {device}").device == device


@pytest.mark.parametrize("language", ["auto", "en", "en-US", "NB", "yue", "haw"])
def test_supported_languages_are_accepted(language: str) -> None:
    assert read(f"--language {language}").language == language


def test_an_unsupported_option_of_the_reference_server_causes_a_warning() -> None:
    line = "--stt-library sherpa --sherpa-streaming --vad-filter --vad-clip"
    assert given(line).warnings == (
        "--stt-library sherpa is not installed; using faster-whisper",
        "--vad-filter is always on; the option can be removed",
        "--vad-clip is always on; the option can be removed",
        "--sherpa-streaming is ignored; --partials sends text early",
    )


@pytest.mark.parametrize("library", ["auto", "faster-whisper", "moonshine"])
def test_the_supported_library_causes_no_warning_and_no_lookup(
    library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def look_up(**_: str) -> None:
        raise AssertionError("the metadata of installed packages was read")

    monkeypatch.setattr("wyoming_faster_whisper.config.libraries.entry_points", look_up)
    assert given(f"--stt-library {library}").warnings == ()


@pytest.mark.parametrize("library", ["sherpa", "funasr", "shrepa"])
def test_a_library_that_is_not_installed_is_faster_whisper(library: str) -> None:
    assert read(f"--stt-library {library}").stt_library == "faster-whisper"
    assert given(f"--stt-library {library}").warnings == (
        f"--stt-library {library} is not installed; using faster-whisper",
    )


def test_a_library_of_an_installed_package_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Only its metadata is read: the module need not be there.
    monkeypatch.syspath_prepend(install(tmp_path, sherpa="a_package_that_is_not_there:make"))
    assert given("--stt-library sherpa") == Given(Settings(stt_library="sherpa"), ())


def test_a_token_on_the_command_line_causes_no_warning() -> None:
    assert given("--hass-token s3cret").warnings == ()


# Start commands in use.


@pytest.mark.parametrize(
    "flags",
    ["", "--sherpa-streaming --vad-clip --local-files-only --debug"],
    ids=["plain", "everything switched on"],
)
def test_the_command_line_of_the_stock_add_on_is_understood(flags: str) -> None:
    settings = read_settings([*HOME_ASSISTANT, *flags.split()], {}).settings
    assert settings.uri == "tcp://0.0.0.0:10300"
    assert settings.zeroconf == "faster-whisper"
    assert settings.initial_prompt is None
    assert settings.data_dir == ("/data",)
    assert settings.download_dir == "/data"
    assert settings.debug == settings.local_files_only == bool(flags)


def test_the_stock_add_on_without_a_custom_model_means_auto() -> None:
    assert read("--model null --stt-library faster-whisper").model == ("auto",)


def test_the_default_options_of_the_stock_add_on_cause_no_warning() -> None:
    assert read_settings(HOME_ASSISTANT, {}).warnings == ()


def test_the_command_line_of_the_linuxserver_container_is_understood() -> None:
    line = (
        "--uri tcp://0.0.0.0:10300 --model tiny-int8 --beam-size 1 --language en "
        "--data-dir /config --download-dir /config --debug --local-files-only"
    )
    settings = read(line)
    assert (settings.model, settings.beam_size, settings.language) == (("tiny-int8",), 1, "en")


@pytest.mark.parametrize(
    "origin",
    [
        "notes.example.org",
        "*",
        "https://notes.example.org/app",
        "https://Notes.example.org",
        "https://notes.example.org:443",
        "http://notes.example.org:80/",
        "://",
    ],
)
def test_what_no_browser_sends_as_an_origin_is_refused(origin: str) -> None:
    assert refusal(f"--http-port 0 --http-origins app://obsidian.md,{origin}") == (
        f"--http-origins contains {origin!r}; an origin is like https://notes.example.org, in "
        "lower case, without a path and without the default port"
    )


@pytest.mark.parametrize(
    "origin",
    ["app://obsidian.md", "http://[::1]:8080", "http://a.org:443", "https://notes.example.org/"],
)
def test_origins_of_pages_and_apps_are_accepted(origin: str) -> None:
    assert read(f"--http-port 0 --http-origins {origin}").http_origins == (origin,)


# Help.


def test_help_shows_every_option_in_its_group(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        given("--help")
    assert caught.value.code == 0
    text = capsys.readouterr().out
    for opt in options(Settings):
        assert opt.flag in text.split(f"\n{opt.group}:\n")[1].split("\n\n")[0]
    assert "%(levelname)s:%(name)s:%(message)s" in "".join(text.split())
    assert {"export-web", "export-triton"} <= set(text.split())


def test_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        given("--version")
    assert caught.value.code == 0
    assert capsys.readouterr().out.strip() == __version__


def test_the_default_data_dir_is_in_the_users_home() -> None:
    assert default_data_dir({"XDG_DATA_HOME": "/x"}) == Path("/x/wyoming-faster-whisper")
    assert default_data_dir({}).parts[-3:] == (".local", "share", "wyoming-faster-whisper")


# Options of our own.


def test_several_models_are_repeated_or_separated_by_commas() -> None:
    assert read("--model base --model tiny.en").model == ("base", "tiny.en")
    assert read(MODEL="base,tiny.en").model == ("base", "tiny.en")


def test_candidate_languages_are_normalised() -> None:
    assert read("--languages en-US,de").languages == ("en", "de")
    assert read(LANGUAGES="fr").languages == ("fr",)
    assert "klingon" in refusal("--languages en,klingon")


def test_the_page_of_options_is_up_to_date() -> None:
    written = Path(__file__).parents[3] / "docs" / "options.md"
    assert written.read_text() == page(options(Settings)), "run script/options"


def test_a_row_of_the_page_has_three_cells() -> None:
    rows = [line for line in page(options(Settings)).splitlines() if line.startswith("| `")]
    assert len(rows) == len(options(Settings))
    assert all(len(re.findall(r"(?<!\\)\|", row)) == 4 for row in rows)


def test_a_decode_server_is_the_library() -> None:
    assert read("--remote-url http://gpu-box:8000").stt_library == "remote"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.2", "box.lan", "fe80::1"])
def test_other_machines_reach_the_api_only_with_a_key_or_by_choice(host: str) -> None:
    open_to_all = f"--http-port 1 --http-host {host}"
    assert "there is no authentication; give --api-keys" in refusal(open_to_all)
    assert "or --jwt-issuer, or --http-open" in refusal(open_to_all)
    assert read(f"{open_to_all} --api-keys keys").http_host == host
    assert read(f"{open_to_all} --tls-cert a --tls-ca b").http_host == host
    given = read_settings(f"{open_to_all} --http-open".split(), {})
    assert any("every client that reaches" in warning for warning in given.warnings)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1", "localhost"])
def test_this_machine_reaches_the_api_without_a_key(host: str) -> None:
    for more in ("", "--http-open"):
        given = read_settings(f"--http-port 1 --http-host {host} {more}".split(), {})
        assert not any("http-open" in warning for warning in given.warnings)


def test_an_open_api_contradicts_keys() -> None:
    assert (
        refusal("--http-port 1 --http-open --api-keys keys")
        == "--http-open contradicts --api-keys"
    )


TOKENS = "--http-port 1 --jwt-issuer https://id.example --jwt-audience stt"
SECRET = "0123456789abcdef0123456789abcdef"


def test_tokens_need_an_issuer_and_an_audience() -> None:
    settings = read(TOKENS)
    assert (settings.jwt_issuer, settings.jwt_audience) == ("https://id.example", ("stt",))
    assert refusal("--http-port 1 --jwt-issuer https://id.example") == (
        "--jwt-issuer requires --jwt-audience"
    )


def test_an_issuer_signs_in_one_way_only() -> None:
    assert "contradicts --jwt-jwks" in refusal(f"{TOKENS} --jwt-jwks a --jwt-secret {SECRET}")


def test_a_short_secret_is_refused_and_not_shown() -> None:
    told = refusal(f"{TOKENS} --jwt-secret {SECRET[1:]}")
    assert told == "--jwt-secret has 31 bytes; it must have at least 32"
    assert read(f"{TOKENS} --jwt-secret {SECRET}").jwt_secret == SECRET


def test_the_secret_can_be_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(f"{SECRET}\n")
    assert read(TOKENS, JWT_SECRET_FILE=str(tmp_path / "secret")).jwt_secret == SECRET


def test_keys_can_be_discovered_only_at_a_url() -> None:
    named = TOKENS.replace("https://id.example", "home")
    assert "'home', which is not a URL; give --jwt-jwks or --jwt-secret" in refusal(named)
    assert read(f"{named} --jwt-jwks keys.json").jwt_jwks == "keys.json"


def test_keys_that_come_without_tls_cause_a_warning() -> None:
    for more, warns in (
        ("", False),
        ("--jwt-jwks http://id.lan/keys", True),
        ("--jwt-jwks http://127.0.0.1/keys", False),
        ("--jwt-jwks keys.json", False),
    ):
        given = read_settings(f"{TOKENS} {more}".split(), {})
        assert any("without TLS" in warning for warning in given.warnings) is warns
    plain = TOKENS.replace("https:", "http:")
    assert any("without TLS" in one for one in read_settings(plain.split(), {}).warnings)
    secret = read_settings(f"{plain} --jwt-secret {SECRET}".split(), {})
    assert not any("without TLS" in one for one in secret.warnings)
