"""Opens connections with bad tokens at a fixed rate, whatever the server answers.

    python -m bench.support.token_flood PORT RATE KID

Ends with its standard input, and prints what became of the requests, as JSON. It runs as a
process of its own, because it takes most of a core. KID is the id of a key of the issuer, whose
signature is forged.
"""

import json
import os
import resource
import select
import socket
import sys
import time
from base64 import urlsafe_b64encode
from collections import Counter, deque

_ANSWER_TIMEOUT = 0.25  # seconds until a connection without an answer is closed
_TICK = 0.001  # seconds


def main() -> None:
    port, rate, kid = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3]
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    flood = Flood(port, kid)
    flood.run(rate)
    print(json.dumps(flood.counts | {"seconds": flood.seconds}))


class Flood:
    """Connections that each send one request with a bad token.

    Args:
        port: of the server, on this machine.
        kid: id of a key of the issuer.
    """

    def __init__(self, port: int, kid: str) -> None:
        self.counts: Counter[str] = Counter()
        self.seconds = 0.0
        self._address = ("127.0.0.1", port)
        self._kid = kid
        self._poll = select.epoll()
        self._open: dict[int, socket.socket] = {}
        self._order: deque[tuple[float, int, socket.socket]] = deque()

    def run(self, rate: float) -> None:
        """Begin requests at a rate a second until standard input ends."""
        os.set_blocking(0, False)
        started = time.monotonic()
        while True:
            now = time.monotonic()
            for _ in range(min(200, int((now - started) * rate) - self.counts["offered"])):
                self._begin(now)
            self._answer()
            self._expire(now)
            if self._ended():
                self.seconds = now - started
                return

    def _ended(self) -> bool:
        try:
            return os.read(0, 1) == b""
        except BlockingIOError:
            return False

    def _begin(self, now: float) -> None:
        self.counts["offered"] += 1
        connection = socket.socket()
        connection.setblocking(False)
        if connection.connect_ex(self._address) not in (0, 115):  # EINPROGRESS
            self.counts["not connected"] += 1
            connection.close()
            return
        self._open[connection.fileno()] = connection
        self._order.append((now, connection.fileno(), connection))
        self._poll.register(connection, select.EPOLLOUT)

    def _answer(self) -> None:
        for number, event in self._poll.poll(_TICK, 512):
            connection = self._open[number]
            try:
                if event & select.EPOLLIN:
                    answer = connection.recv(200)
                    self.counts[answer[9:12].decode("latin-1") or "closed"] += 1
                    self._close(number)
                elif event & select.EPOLLOUT:
                    connection.send(self._request())
                    self._poll.modify(connection, select.EPOLLIN)
                else:
                    raise ConnectionResetError
            except OSError:
                self.counts["reset"] += 1
                self._close(number)

    def _expire(self, now: float) -> None:
        while self._order and now - self._order[0][0] > _ANSWER_TIMEOUT:
            _, number, connection = self._order.popleft()
            if self._open.get(number) is connection:
                self.counts["no answer"] += 1
                self._close(number)

    def _close(self, number: int) -> None:
        self._open.pop(number).close()

    def _request(self) -> bytes:
        token = self._tokens[self.counts["offered"] % 3](self)
        lines = ("GET /v1/models HTTP/1.1", "Host: localhost", f"Authorization: Bearer {token}")
        return "\r\n".join((*lines, "", "")).encode()

    def _wrong_key(self) -> str:
        return os.urandom(16).hex()

    def _unknown_kid(self) -> str:
        return _token(os.urandom(8).hex())

    def _forged(self) -> str:
        return _token(self._kid)

    _tokens = (_wrong_key, _unknown_kid, _forged)


def _token(kid: str) -> str:
    claims = {"iss": "bench", "aud": "stt", "sub": "mallory", "exp": 4_000_000_000}
    parts = [json.dumps({"alg": "RS256", "kid": kid}).encode(), json.dumps(claims).encode()]
    encoded = [urlsafe_b64encode(each).rstrip(b"=") for each in (*parts, os.urandom(256))]
    return b".".join(encoded).decode()


if __name__ == "__main__":
    main()
