"""Decode times measured on this machine, stored in a small JSON file next to the models."""

from __future__ import annotations

import contextlib
import json
import logging
import math
import time
from dataclasses import replace
from pathlib import Path

from ..errors import printable
from . import auto
from .folders import UNREADABLE

_LOGGER = logging.getLogger(__name__)

_DAY = 86_400.0  # seconds


class Measurements:
    """Decode times measured on this machine, stored in a file.

    Args:
        folder: folder of the file.
        device: as in --device; each kind of device has its own file.
    """

    def __init__(self, folder: Path, device: str = "cpu") -> None:
        kind = device.partition(":")[0]
        self._path = folder / f"decode-seconds{'' if kind == 'cpu' else '-' + kind}.json"

    def read(self) -> dict[str, auto.Measurement]:
        """Return the measured decode times by model size; empty if there are none."""
        try:
            figures = {
                str(size): auto.Measurement(
                    float(figure["seconds"]),
                    int(figure["threads"]),
                    # A measurement dated in the future (a wrong clock) must age as well.
                    age=abs(time.time() - float(figure.get("measured", 0))) / _DAY,
                    batch=int(figure.get("batch", 0)),
                    long_batch=int(figure.get("long_batch", 0)),
                )
                for size, figure in json.loads(self._path.read_text()).items()
            }
        except FileNotFoundError:
            return {}
        except UNREADABLE as error:
            _LOGGER.warning(
                "%s is ignored because it cannot be read: %s", self._path, printable(error, 200)
            )
            return {}
        return {size: figure for size, figure in figures.items() if _possible(figure)}

    def write(self, size: str, figure: auto.Measurement) -> None:
        """Store a decode time for the next start, unless a faster one of this week is stored.

        The batch sizes are stored in any case, if they were measured.

        Without a warning if the file cannot be written: the server works without it.
        """
        figures = self.read()
        last = figures.get(size)
        if not _possible(figure):
            return
        if (
            last is not None
            and last.threads == figure.threads
            and last.seconds <= figure.seconds
            and last.age <= auto.BELIEVED_DAYS
        ):
            figure = replace(
                last,
                batch=figure.batch or last.batch,
                long_batch=figure.long_batch or last.long_batch,
            )
            if figure == last:
                return
        rows = {
            name: {
                "seconds": round(one.seconds, 4),
                "threads": one.threads,
                "measured": round(time.time() - one.age * _DAY),
                "batch": one.batch,
                "long_batch": one.long_batch,
            }
            for name, one in (figures | {size: figure}).items()
        }
        scratch = self._path.with_suffix(".tmp")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            scratch.write_text(json.dumps(rows, indent=1) + "\n")
            scratch.replace(self._path)
        except OSError as error:
            _LOGGER.debug("cannot write %s: %s", self._path, error)
            with contextlib.suppress(OSError):
                scratch.unlink(missing_ok=True)


def _possible(figure: auto.Measurement) -> bool:
    finite = math.isfinite(figure.seconds) and math.isfinite(figure.age)
    whole = figure.threads > 0 and figure.batch >= 0 and figure.long_batch >= 0
    return finite and figure.seconds > 0 and whole
