"""What all benchmarks have in common."""

from __future__ import annotations

import subprocess
import sys

import pytest

from bench.support.servers import ROOT

BENCHMARK = """
import asyncio, sys
from bench.support.arguments import parser

async def run():
    try:
        print("measuring", flush=True)
        await asyncio.Event().wait()
    finally:
        print("servers stopped")

parser("sample", "").parse_args()
asyncio.run(run())
"""


@pytest.mark.parametrize("before", ["", "trap '' INT;"])  # as a shell starts it with &
def test_a_benchmark_that_is_terminated_stops_its_servers(before: str) -> None:
    command = ["sh", "-c", f'{before} exec "$0" -c "$1"', sys.executable, BENCHMARK]
    with subprocess.Popen(
        command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "measuring\n"
        process.terminate()
        assert process.stdout.read() == "servers stopped\n"
    assert process.returncode != 0
