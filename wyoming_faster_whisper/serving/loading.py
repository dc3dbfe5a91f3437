"""Builds the recognizer of a decode server's model from its options."""

from __future__ import annotations

import logging
import os
from dataclasses import replace
from functools import partial

from ..app.recognizers import choose_recognizer, load_default
from ..config.load import command_line, default_data_dir, read_settings
from ..engine.recognizer import Recognizer
from ..models import data_folders
from .configuration import LOADING, ModelSpec

_LOGGER = logging.getLogger(__name__)


def recognizer_of(spec: ModelSpec) -> Recognizer:
    """Make the recognizer of a model. Blocking: it reads folders.

    Raises:
        ServerError: an option cannot be served, or the model is unknown.
    """
    given = read_settings(spec.options, {})
    for warning in given.warnings:
        _LOGGER.warning("model %s: %s", spec, warning)
    for name in sorted(command_line(spec.options).keys() - LOADING):
        flag = "--" + name.replace("_", "-")
        _LOGGER.warning("model %s: %s is ignored; it does not affect loading", spec, flag)
    settings = given.settings
    folders = list(
        data_folders(
            settings.data_dir or [str(default_data_dir(os.environ))], settings.download_dir
        )
    )
    recognizer = choose_recognizer(settings, folders, loaded=lambda: None)
    return replace(recognizer, load=partial(load_default, recognizer))
