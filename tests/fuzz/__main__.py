"""Coverage-guided fuzzing, by libFuzzer through atheris.

    python -m tests.fuzz frames|session [FOLDER ...] [-max_total_time=SECONDS ...]

Folders and flags are libFuzzer's; the first folder keeps the inputs that reached new code.
An input that breaks something is written to a file and can be given again in place of a
folder.
"""

from __future__ import annotations

import importlib
import sys
import tempfile
from pathlib import Path


def main() -> None:
    if len(sys.argv) < 2 or sys.argv[1] not in ("frames", "session"):
        sys.exit("usage: python -m tests.fuzz frames|session [FOLDER ...] [libFuzzer's flags]")
    try:
        import atheris
    except ImportError:
        sys.exit("atheris is missing; it is for Linux on x86-64: pip install '.[fuzz]'")
    # Only ours: what libraries do with an input is not what is sought.
    with atheris.instrument_imports(include=["wyoming_faster_whisper"]):
        target = importlib.import_module(f"tests.fuzz.{sys.argv[1]}")
        seeds = importlib.import_module("tests.fuzz.conversation").seeds()
    with tempfile.TemporaryDirectory() as folder:
        for name, seed in seeds.items():
            (Path(folder) / name).write_bytes(seed)
        given = sys.argv[2:]
        one_input = any(Path(each).is_file() for each in given)
        atheris.Setup(["fuzz", *given, *([] if one_input else [folder])], target.start())
        atheris.Fuzz()  # does not return


if __name__ == "__main__":
    main()
