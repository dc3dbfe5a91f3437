"""The recognizer of --remote-url: models on decode servers, and perhaps one here as fallback."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial
from urllib.parse import urlsplit

from ..config.settings import Settings
from ..engine.protocol import Engine
from ..engine.recognizer import EVERYTHING, Recognizer, ServedModel
from ..engine.remote.decode_servers import DecodeServer, DecodeServers, DecodeTimeout
from ..engine.remote.fallback import FallbackEngine
from ..engine.remote.inference_client import Access, InferenceClient, RemoteModel
from ..engine.remote.open_inference import PARALLEL, RemoteEngine
from ..errors import SettingError
from ..models.folders import languages_of

_LOGGER = logging.getLogger(__name__)

_BEFORE_HUNG = 0.8  # share of --decode-timeout that a decode may take


def remote(
    settings: Settings, local: ServedModel | None = None, load: Callable[[], Engine] | None = None
) -> Recognizer:
    """Describe the models on the decode servers. Quick; does not use the network.

    Args:
        settings: the server's settings.
        local: model that decodes here while no decode server answers.
        load: loads that model.

    Raises:
        SettingError: an option for decode servers cannot be used.
    """
    models = _models(settings.remote_model)
    served = tuple(
        ServedModel(
            name,
            model.languages,
            f"Whisper {name} on decode servers",
            capabilities=EVERYTHING,
        )
        for name, model in models.items()
    )
    engine = RemoteEngine(_servers(settings, next(iter(models.values()))), models)
    _warn_of_open_token(settings)
    return Recognizer(
        models=served,
        load=partial(_load, engine, local, load),
        close=engine.close,
        outcomes=engine.outcomes.snapshot,
        obstacle=(lambda: engine.obstacle) if local is None else (lambda: None),
        description="Whisper on decode servers",
    )


def _load(
    engine: RemoteEngine, local: ServedModel | None, load: Callable[[], Engine] | None
) -> Engine:
    engine.start()
    return engine if local is None or load is None else FallbackEngine(engine, load(), local)


def _models(given: Sequence[str]) -> dict[str, RemoteModel]:
    """Return the models by the name that clients choose them by.

    Raises:
        SettingError: a name is given twice.
    """
    models: dict[str, RemoteModel] = {}
    for name, _, version in (text.partition(":") for text in given):
        if name in models:
            raise SettingError(f"--remote-model {name} is given twice")
        models[name] = RemoteModel(
            name, version, languages_of(name, None), on_demand=bool(models)
        )
    return models


def _servers(settings: Settings, model: RemoteModel) -> DecodeServers:
    access = Access(settings.remote_token, settings.remote_ca, PARALLEL)
    longest = settings.decode_timeout * _BEFORE_HUNG or float("inf")
    return DecodeServers(
        [DecodeServer(InferenceClient(url, access), model) for url in settings.remote_url],
        DecodeTimeout(settings.remote_timeout, longest),
    )


def _warn_of_open_token(settings: Settings) -> None:
    for url in settings.remote_url:
        parts = urlsplit(url)
        if settings.remote_token and parts.scheme == "http":
            _LOGGER.warning("--remote-token is sent to %s without encryption", parts.netloc)
