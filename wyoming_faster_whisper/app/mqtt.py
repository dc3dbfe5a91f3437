"""Make the MQTT transport from the settings. Its dependency is an optional extra."""

from __future__ import annotations

import secrets
import ssl
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from ..config.settings import Settings
from ..errors import ProtocolError, SettingError, install_command
from ..transports.tls import client_context

if TYPE_CHECKING:
    from ..transports.mqtt.server import MqttOptions


def mqtt_options(settings: Settings) -> MqttOptions | None:
    """Return the options of the MQTT transport; None without --mqtt-url.

    Blocking: it imports modules and reads files.

    Raises:
        SettingError: a setting is not usable, or the extra is not installed.
    """
    if settings.mqtt_url is None:
        return None
    try:
        from ..transports.mqtt.broker_url import BrokerUrl
        from ..transports.mqtt.connection import BrokerOptions
        from ..transports.mqtt.server import MqttOptions
        from ..transports.mqtt.topics import check_id, check_prefix
    except ImportError as error:
        raise SettingError(f"--mqtt-url needs {error.name}: {install_command('mqtt')}") from None
    url = BrokerUrl.parse(settings.mqtt_url)
    check_prefix(settings.mqtt_prefix)
    if settings.mqtt_discovery is not None:
        check_prefix(settings.mqtt_discovery, "--mqtt-discovery")
    for site in settings.mqtt_sites:
        try:
            check_id(site, "a site of --mqtt-sites")
        except ProtocolError as error:
            raise SettingError(str(error)) from None
    if settings.mqtt_password is not None and url.user is None:
        raise SettingError("--mqtt-password needs a user in --mqtt-url: mqtt://USER@HOST")
    return MqttOptions(
        # A broker closes the connection of an earlier client with the same id.
        BrokerOptions(
            url,
            client_id=f"wyoming-faster-whisper-{secrets.token_hex(4)}",
            password=settings.mqtt_password,
            tls=_tls(settings, encrypted=url.tls),
        ),
        prefix=settings.mqtt_prefix,
        sites=settings.mqtt_sites,
        discovery=settings.mqtt_discovery,
    )


def _tls(settings: Settings, *, encrypted: bool) -> Callable[[], ssl.SSLContext] | None:
    if encrypted:
        make = partial(
            client_context,
            settings.mqtt_ca,
            settings.mqtt_cert,
            settings.mqtt_key,
            option="mqtt",
        )
        make()  # so that a wrong file is an error at the start
        return make
    for name in ("ca", "cert"):
        if getattr(settings, f"mqtt_{name}"):
            raise SettingError(f"--mqtt-{name} works with mqtts:// and wss:// only")
    return None
