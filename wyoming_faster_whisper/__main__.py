"""python -m wyoming_faster_whisper: the server."""

import sys

from .process import exit_on_stop_signals

if __name__ == "__main__":
    exit_on_stop_signals()  # before the imports, which take time

    from .commands.cli import serve

    sys.exit(serve())
