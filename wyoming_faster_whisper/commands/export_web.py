"""export-web: writes the files with which the web page works without the server."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..app.web_export import export
from ..config.load import default_data_dir
from ..models import choose, data_folders


def main(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    """Write the files of one model into a folder; return the exit status.

    Raises:
        ServerError: the model cannot be converted, or the folder cannot be written.
    """
    parser = argparse.ArgumentParser(
        prog="wyoming-faster-whisper export-web",
        description="Write the files with which the web page works without the server: a model "
        "as ONNX graphs, onnxruntime-web, and a manifest.",
    )
    parser.add_argument("folder", metavar="DIR", help="a new folder, or one of an older export")
    parser.add_argument("--model", required=True, help="tiny, base or another model's name")
    parser.add_argument(
        "--data-dir", action="append", default=[], help="folder with models; can be repeated"
    )
    parser.add_argument("--local-files-only", action="store_true", help="never download a model")
    given = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    folders = list(data_folders(given.data_dir or [str(default_data_dir(environ))], None))
    model = choose(given.model, folders)
    export(model, Path(given.folder), folders, local_files_only=given.local_files_only)
    return 0
