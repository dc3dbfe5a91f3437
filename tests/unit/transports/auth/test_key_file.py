"""The file of API keys: its syntax, and who may read it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from wyoming_faster_whisper.errors import SettingError
from wyoming_faster_whisper.transports.auth.key_file import digest_of, parse_keys, read_key_file
from wyoming_faster_whisper.transports.auth.scopes import USUAL, Scope

KEY = "0123456789abcdef0123456789abcdef"
OTHER = "fedcba9876543210fedcba9876543210"


def test_a_line_is_a_name_and_a_key() -> None:
    alice, bob = parse_keys(f"# for the tablets\n\nalice {KEY}\n  bob\t{OTHER}  \r\n")
    assert (alice.name, alice.digest, alice.scopes) == ("alice", digest_of(KEY), USUAL)
    assert (bob.name, bob.digest) == ("bob", digest_of(OTHER))


def test_a_key_has_all_scopes_but_admin_unless_its_line_says_otherwise() -> None:
    usual, files, boss = parse_keys(
        f"usual {KEY}\nfiles {KEY}1 stt:transcribe\nboss {KEY}2 stt:realtime,stt:admin"
    )
    assert usual.scopes == {Scope.TRANSCRIBE, Scope.REALTIME}
    assert files.scopes == {Scope.TRANSCRIBE}
    assert boss.scopes == {Scope.REALTIME, Scope.ADMIN}


def test_a_client_may_have_several_keys_so_that_they_can_be_rotated() -> None:
    assert [key.name for key in parse_keys(f"alice {KEY}\nalice {OTHER}")] == ["alice", "alice"]


def test_keys_are_not_kept() -> None:
    assert KEY not in repr(parse_keys(f"alice {KEY}"))


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("alice", "line 2: 1 words"),
        (f"alice {KEY} stt:transcribe more", "line 2: 4 words"),
        (f"al/ice {KEY}", "line 2: the name must have 1 to 64 letters"),
        (f"{'a' * 65} {KEY}", "line 2: the name must have 1 to 64 letters"),
        ("alice s3cret", "line 2: the key of alice has 6 characters; it must have at least 16"),
        (f"alice {KEY}ü", "line 2: the key of alice must be 512 ASCII characters at most"),
        (f"alice {'a' * 513}", "line 2: the key of alice must be 512 ASCII characters at most"),
        (f"alice ek_{KEY}", "line 2: the key of alice looks like a token"),
        (f"alice eyJhbGciOi.{KEY}.{KEY}", "line 2: the key of alice looks like a token"),
        (f"alice {KEY} stt:everything", "line 2: the scopes must be among stt:transcribe"),
        (f"alice {KEY} stt:admin,", "line 2: the scopes must be among stt:transcribe"),
        (f"alice {OTHER}", "line 2: bob has the same key"),
    ],
)
def test_a_wrong_line_is_named_without_its_key(line: str, why: str) -> None:
    with pytest.raises(ValueError, match="line 2") as raised:
        parse_keys(f"bob {OTHER}\n{line}")
    assert str(raised.value).startswith(why)
    for secret in (KEY, OTHER, "s3cret"):
        assert secret not in str(raised.value)


def written(folder: Path, text: str, mode: int = 0o600) -> Path:
    path = folder / "keys"
    path.write_text(text)
    path.chmod(mode)
    return path


def test_a_file_that_only_its_owner_can_read_is_accepted(tmp_path: Path) -> None:
    assert [key.name for key in read_key_file(written(tmp_path, f"alice {KEY}"))] == ["alice"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_a_file_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = written(tmp_path, f"alice {KEY}", mode)
    with pytest.raises(SettingError, match=f"has mode {mode:04o}.* run chmod 600 {path}"):
        read_key_file(path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_mounted_secret_of_another_owner_is_accepted(tmp_path: Path) -> None:
    path = written(tmp_path, f"alice {KEY}", 0o444)
    os.chown(path, 12345, 12345)
    assert len(read_key_file(path)) == 1


def test_a_file_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    [key] = read_key_file(written(tmp_path, f"\ufeffalice {KEY}"))
    assert key.name == "alice"


def test_a_file_that_cannot_be_used_is_a_setting_error(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="cannot be read: No such file"):
        read_key_file(tmp_path / "missing")
    path = written(tmp_path, "")
    path.write_bytes(b"alice \xff\xfe")
    with pytest.raises(SettingError, match="is not UTF-8 text"):
        read_key_file(path)
    path.write_bytes(b"#" * (1024 * 1024 + 1))
    with pytest.raises(SettingError, match="is larger than"):
        read_key_file(path)
    path.write_text("alice short")
    with pytest.raises(SettingError, match=r"keys, line 1: the key of alice has 5 characters"):
        read_key_file(path)
