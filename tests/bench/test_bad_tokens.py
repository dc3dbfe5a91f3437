"""bench.bad_tokens: what is sent, and what is compared."""

from __future__ import annotations

from bench.bad_tokens import BesideTokens, table, targets
from bench.support.token_flood import Flood
from wyoming_faster_whisper.transports.auth.token_header import token_header


def test_the_flood_sends_wrong_keys_tokens_of_unknown_keys_and_forged_ones() -> None:
    flood = Flood(1, "known")
    headers = []
    for _ in range(6):
        flood.counts["offered"] += 1
        *_, line = flood._request().decode().strip().splitlines()
        headers.append(token_header(line.rpartition(" ")[2]))
    assert headers.count(None) == 2
    kids = [header["kid"] for header in headers if header is not None]
    assert kids.count("known") == 2
    assert len(set(kids)) == 3


def test_the_targets_compare_with_the_commands_alone_and_count_fetches() -> None:
    tokens = {"offered": 20_000.0, "401": 200.0, "seconds": 2.0}
    measured = BesideTokens(
        [0.2, 0.4], [0.2, 0.4], [0.3, 0.5], 0, tokens, fetches=3, seconds=50.0
    )
    lines = table(measured).splitlines()
    assert [line.split()[-1] for line in lines if line.startswith("p95")] == ["1.25"]
    assert [line.split()[-1] for line in lines if line.endswith(("10000", "100"))] == [
        "10000",
        "100",
    ]
    verdicts = [line.split()[-1] for line in targets(measured).splitlines()[1:]]
    assert verdicts == ["met", "met", "met", "met"]
    more = BesideTokens([0.2], [0.2], [0.31], 1, tokens, fetches=4, seconds=50.0)
    verdicts = [line.split()[-1] for line in targets(more).splitlines()[1:]]
    assert verdicts == ["missed", "missed", "missed", "missed"]
