"""Entry point of `python -m wyoming_faster_whisper.health_check`, for containers."""

import sys

from .commands.health_check import check, default_uri, main

__all__ = ["check", "default_uri", "main"]

if __name__ == "__main__":
    sys.exit(main())
