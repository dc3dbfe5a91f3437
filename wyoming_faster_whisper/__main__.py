"""python -m wyoming_faster_whisper: the server."""

import sys

from .cli import serve

if __name__ == "__main__":
    sys.exit(serve())
