"""Errors whose class depends on what the system call reported."""

from __future__ import annotations

import errno
import os

import pytest

from wyoming_faster_whisper.errors import ServerError, SettingError, not_listening

_UNNUMBERED = OSError("could not bind on any address out of [('192.0.2.1', 10300)]")


@pytest.mark.parametrize(
    ("error", "kind", "why"),
    [
        (OSError(errno.EADDRINUSE, "text of asyncio"), SettingError, errno.EADDRINUSE),
        (OSError(errno.EADDRNOTAVAIL, "text of asyncio"), ServerError, errno.EADDRNOTAVAIL),
        (_UNNUMBERED, ServerError, errno.EADDRNOTAVAIL),  # asyncio of Python 3.13
    ],
)
def test_only_an_address_that_the_machine_lacks_may_be_tried_again(
    error: OSError, kind: type[ServerError], why: int
) -> None:
    raised = not_listening("tcp://192.0.2.1:10300", error, "--uri")
    assert type(raised) is kind
    assert str(raised) == (
        f"cannot listen on tcp://192.0.2.1:10300: {os.strerror(why)}; see --uri"
    )
