from __future__ import annotations

import pytest

from wyoming_faster_whisper.errors import SettingError
from wyoming_faster_whisper.transports.mqtt.broker_url import BrokerUrl


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("mqtt://broker", BrokerUrl("mqtt", "broker", 1883)),
        ("mqtt://whisper@broker:1884", BrokerUrl("mqtt", "broker", 1884, "whisper")),
        ("mqtts://a%40b@broker/", BrokerUrl("mqtts", "broker", 8883, "a@b")),
        ("ws://broker", BrokerUrl("ws", "broker", 9001, path="/mqtt")),
        ("wss://broker:443/x?y=1", BrokerUrl("wss", "broker", 443, path="/x?y=1")),
        ("mqtt://[fd00::1]:1883", BrokerUrl("mqtt", "fd00::1", 1883)),
    ],
)
def test_a_url_is_parsed(text: str, url: BrokerUrl) -> None:
    assert BrokerUrl.parse(text) == url


@pytest.mark.parametrize(
    "text",
    ["", "broker", "tcp://broker", "mqtt://", "mqtt://b:x", "mqtt://b:70000", "mqtt://b/topic"],
)
def test_other_urls_are_refused(text: str) -> None:
    with pytest.raises(SettingError, match="--mqtt-url"):
        BrokerUrl.parse(text)


def test_a_password_in_the_url_is_refused_and_not_shown() -> None:
    with pytest.raises(SettingError) as error:
        BrokerUrl.parse("mqtt://whisper:hunter2@broker")
    assert "hunter2" not in str(error.value)
    assert "MQTT_PASSWORD" in str(error.value)


@pytest.mark.parametrize(("scheme", "tls", "websocket"), [
    ("mqtt", False, False), ("mqtts", True, False), ("ws", False, True), ("wss", True, True),
])  # fmt: skip
def test_the_scheme_chooses_tls_and_websocket(scheme: str, tls: bool, websocket: bool) -> None:
    url = BrokerUrl.parse(f"{scheme}://broker")
    assert (url.tls, url.websocket) == (tls, websocket)


def test_the_log_does_not_show_the_user() -> None:
    assert str(BrokerUrl.parse("ws://me@[::1]:9001/mqtt")) == "ws://[::1]:9001/mqtt"
