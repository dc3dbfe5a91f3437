"""Uses the classes of rhasspy-hermes. Runs in .venv-hermes: see tests/e2e/test_mqtt_hermes.py.

Without arguments, prints messages as a satellite sends them, a topic and the payload on each
line. With arguments, reads such lines and prints the fields of each message, as the class with
that name understands them.
"""

import dataclasses
import json
import sys
from typing import Any

from rhasspyhermes import asr

SENT: tuple[Any, ...] = (
    asr.AsrToggleOff(site_id="hall", reason=asr.AsrToggleReason.TTS_SAY),
    asr.AsrToggleOn(site_id="hall", reason=asr.AsrToggleReason.TTS_SAY),
    asr.AsrStartListening(
        site_id="hall",
        session_id="7",
        lang="en",
        stop_on_silence=False,
        send_audio_captured=True,
        wakeword_id="porcupine",
        intent_filter=["TurnOn"],
    ),
    asr.AsrStopListening(site_id="hall", session_id="7"),
)
RECEIVED = {
    each.topic(): each for each in (asr.AsrTextCaptured, asr.AsrError, asr.AsrRecordingFinished)
}


def main() -> None:
    if len(sys.argv) == 1:
        for message in SENT:
            print(message.topic(), message.payload())
        return
    for line in sys.stdin:
        topic, _, payload = line.partition(" ")
        message = RECEIVED[topic].from_dict(json.loads(payload))
        print(json.dumps(dataclasses.asdict(message)))


if __name__ == "__main__":
    main()
