"""Entry point of `python -m wyoming_faster_whisper`: runs the server."""

import sys

from .process import exit_on_stop_signals

if __name__ == "__main__":
    exit_on_stop_signals()  # before the imports, which are slow

    from .commands.cli import serve

    sys.exit(serve())
