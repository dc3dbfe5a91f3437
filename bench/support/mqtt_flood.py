"""A satellite that floods: python -m bench.support.mqtt_flood PORT.

It runs in a process of its own and sends packets that are prepared once, so that it takes little
time from the server and from the satellites that are measured.
"""

import socket
import sys
import time

from wyoming_faster_whisper.audio.pcm import PcmFormat, write_wav

SITE = "flooder"
RATE = 2000  # frames a second, 32 times as many as a microphone
BETWEEN_STARTS = 1000  # frames
_AT_ONCE = 20  # frames
_SILENCE = bytes(512)  # PCM of a frame of 16 ms


def main() -> None:
    topic = f"wyoming-faster-whisper/{SITE}"
    start = _publish(f"{topic}/startListening", b'{"stopOnSilence": false}')
    frames = _publish(f"{topic}/audioFrame", write_wav(PcmFormat(), _SILENCE)) * _AT_ONCE
    with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as broker:
        broker.sendall(_connect(SITE))
        broker.recv(64)  # CONNACK
        began, sent = time.perf_counter(), 0
        while True:
            if sent % BETWEEN_STARTS == 0:
                broker.sendall(start)
            broker.sendall(frames)
            sent += _AT_ONCE
            time.sleep(max(0.0, began + sent / RATE - time.perf_counter()))


def _connect(client_id: str) -> bytes:
    """Return a CONNECT packet of MQTT 3.1.1: clean session, no keep-alive."""
    return _packet(0x10, b"\x00\x04MQTT\x04\x02\x00\x00" + _text(client_id))


def _publish(topic: str, payload: bytes) -> bytes:
    """Return a PUBLISH packet with QoS 0."""
    return _packet(0x30, _text(topic) + payload)


def _packet(kind: int, body: bytes) -> bytes:
    length, head = len(body), bytearray([kind])
    while length > 127:
        head.append(length % 128 | 128)
        length //= 128
    head.append(length)
    return bytes(head) + body


def _text(text: str) -> bytes:
    return len(text).to_bytes(2, "big") + text.encode()


if __name__ == "__main__":
    main()
