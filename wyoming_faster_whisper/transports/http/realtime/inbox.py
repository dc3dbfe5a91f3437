"""Messages of a realtime client that its session has not processed yet.

The server reads ahead of the session. A client that sends a whole file at once would otherwise
get no pong while the model decodes, and would close the connection.
"""

from __future__ import annotations

import asyncio
from collections import deque

from ....session.audio_memory import Budget
from .client_messages import Message


class Inbox:
    """Queue of messages, bounded by their size. Lives on the event loop.

    Args:
        memory: budget for waiting audio, from which the messages are taken.
        limit: bytes that may wait; beyond it, put() waits.
    """

    def __init__(self, memory: Budget, limit: int) -> None:
        self._memory = memory
        self._limit = limit
        self._waiting: deque[Message] = deque()
        self._bytes = 0  # of the messages that wait
        self._changed = asyncio.Condition()
        self._taking = False  # the session is taking a message

    @property
    def busy(self) -> bool:
        """True while messages wait, and while the session takes one."""
        return self._taking or bool(self._waiting)

    async def put(self, message: Message) -> None:
        """Add a message, once there is room: a message over the limit needs an empty queue.

        Raises:
            Busy: the memory for audio is used up.
        """
        async with self._changed:
            await self._changed.wait_for(lambda: self._has_room(message))
            self._memory.reserve(_samples(message))
            self._bytes += message.size
            self._waiting.append(message)
            self._changed.notify_all()

    async def take(self) -> Message:
        """Wait for the next message. Call taken() once the session has taken it."""
        async with self._changed:
            await self._changed.wait_for(lambda: bool(self._waiting))
            self._taking = True
            message = self._waiting.popleft()
            self._free(message)
            self._changed.notify_all()
            return message

    def taken(self) -> None:
        """End the work on the last message."""
        self._taking = False

    def close(self) -> None:
        """Drop all messages."""
        while self._waiting:
            self._free(self._waiting.popleft())
        self._taking = False

    def _has_room(self, message: Message) -> bool:
        return not self._waiting or self._bytes + message.size <= self._limit

    def _free(self, message: Message) -> None:
        self._bytes -= message.size
        self._memory.release(_samples(message))


def _samples(message: Message) -> int:
    """Return the number of 16-bit samples that take as much memory."""
    return -(-message.size // 2)
