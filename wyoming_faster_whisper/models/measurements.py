"""How long models took to decode on this machine, in a small file beside the models."""

from __future__ import annotations

import contextlib
import json
import logging
import math
import time
from pathlib import Path

from ..errors import printable
from . import auto
from .folders import UNREADABLE

_LOGGER = logging.getLogger(__name__)

_DAY = 86_400.0  # seconds


class Measurements:
    """How long models took on this machine, in a small file beside the models.

    Args:
        folder: that holds the file.
        device: as in --device; each kind has a file of its own.
    """

    def __init__(self, folder: Path, device: str = "cpu") -> None:
        kind = device.partition(":")[0]
        self._path = folder / f"decode-seconds{'' if kind == 'cpu' else '-' + kind}.json"

    def read(self) -> dict[str, auto.Measurement]:
        """What was measured, by size; empty where nothing is known."""
        try:
            figures = {
                str(size): auto.Measurement(
                    float(figure["seconds"]),
                    int(figure["threads"]),
                    # A clock that was wrong, then or now, must not make it young for ever.
                    age=abs(time.time() - float(figure.get("measured", 0))) / _DAY,
                )
                for size, figure in json.loads(self._path.read_text()).items()
            }
        except FileNotFoundError:
            return {}
        except UNREADABLE as error:
            _LOGGER.warning("%s is not readable, ignored: %s", self._path, printable(error, 200))
            return {}
        return {size: figure for size, figure in figures.items() if _possible(figure)}

    def write(self, size: str, figure: auto.Measurement) -> None:
        """Remember a figure for the next start; a better one of this week stays."""
        figures = self.read()
        last = figures.get(size)
        if not _possible(figure) or (
            last is not None
            and last.threads == figure.threads
            and last.seconds <= figure.seconds
            and last.age <= auto.BELIEVED_DAYS
        ):
            return
        rows = {
            name: {
                "seconds": round(one.seconds, 4),
                "threads": one.threads,
                "measured": round(time.time() - one.age * _DAY),
            }
            for name, one in (figures | {size: figure}).items()
        }
        scratch = self._path.with_suffix(".tmp")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            scratch.write_text(json.dumps(rows, indent=1) + "\n")
            scratch.replace(self._path)
        except OSError as error:
            _LOGGER.debug("cannot remember %s: %s", self._path, error)
            with contextlib.suppress(OSError):
                scratch.unlink(missing_ok=True)


def _possible(figure: auto.Measurement) -> bool:
    finite = math.isfinite(figure.seconds) and math.isfinite(figure.age)
    return finite and figure.seconds > 0 and figure.threads > 0
