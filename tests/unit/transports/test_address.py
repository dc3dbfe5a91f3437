"""Addresses on which the server listens and clients connect."""

from __future__ import annotations

import pytest

from wyoming_faster_whisper.transports.address import Address


@pytest.mark.parametrize("path", ["/run/stt#1", "/run/stt?a=b", "/run/a b", "run/stt", "/[x"])
def test_the_path_of_a_unix_socket_is_kept_as_it_is(path: str) -> None:
    assert Address.parse(f"unix://{path}") == Address("unix", path=path)
