"""Coverage-guided fuzzing, by libFuzzer through atheris.

    python -m tests.fuzz frames|session [FOLDER ...] [-max_total_time=SECONDS ...]

Folders and flags are those of libFuzzer. Inputs that reach new code are kept in the first folder.
An input that causes a failure is written to a file, which can be given instead of a folder.
"""

from __future__ import annotations

import importlib
import io
import sys
import tempfile
from contextlib import redirect_stderr
from pathlib import Path


def main() -> None:
    if len(sys.argv) < 2 or sys.argv[1] not in ("frames", "session"):
        sys.exit("usage: python -m tests.fuzz frames|session [FOLDER ...] [libFuzzer's flags]")
    try:
        import atheris
    except ImportError:
        sys.exit("atheris is missing; it is for Linux on x86-64: pip install '.[fuzz]'")
    # Only our own code is instrumented; coverage of libraries would misguide the fuzzer.
    # Its line for each module would hide what the fuzzer prints.
    instrumented = atheris.instrument_imports(include=["wyoming_faster_whisper"])
    with instrumented, redirect_stderr(io.StringIO()):
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
