"""The plot of a benchmark. The client's only file that imports matplotlib (extra "bench")."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..errors import SettingError, install_command


def check_plotting() -> None:
    """Check that matplotlib is installed, before an hour of measuring rather than after it.

    Raises:
        SettingError: the extra is not installed.
    """
    if importlib.util.find_spec("matplotlib") is None:
        raise SettingError(f"--plot needs the extra bench: {install_command('bench')}")


def draw(
    waits: Mapping[str, Sequence[float]], wrong: Mapping[str, float | None], path: Path
) -> None:
    """Draw the distribution of response times and the word error rates into one PNG. Blocking.

    Args:
        waits: seconds from audio-stop to the text for every answer, by server.
        wrong: word error rate by server, 0 to 1 or more; None = not known.
    """
    # Not pyplot, which keeps every figure in memory and looks for a display.
    from matplotlib.figure import Figure

    known = {name: share for name, share in wrong.items() if share is not None}
    panels = 2 if known else 1
    figure = Figure(figsize=(6.5 * panels, 4.0), layout="constrained")
    left = figure.add_subplot(1, panels, 1)
    for name, seconds in waits.items():
        ordered = sorted(seconds)
        shares = [100 * (at + 1) / len(ordered) for at in range(len(ordered))]
        left.step([0.0, *ordered], [0.0, *shares], where="post", label=name)
    left.set_xlabel("seconds from audio-stop to text")
    left.set_ylabel("% of answers received")
    left.set_xlim(left=0)
    left.set_ylim(0, 102)
    left.grid(alpha=0.3)
    left.legend(fontsize="small")
    if known:
        right = figure.add_subplot(1, panels, 2)
        right.bar(range(len(known)), [100 * share for share in known.values()], 0.5)
        right.set_xticks(range(len(known)), list(known))
        right.set_xlim(-1, len(known))
        right.set_ylabel("word error rate in %")
        right.grid(axis="y", alpha=0.3)
        right.set_axisbelow(True)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120, format="png")
