"""Other tasks of the event loop."""

from __future__ import annotations

import asyncio


async def settled() -> None:
    """Let every task run until it waits; no chain of wake-ups in these tests is longer."""
    for _ in range(20):
        await asyncio.sleep(0)
