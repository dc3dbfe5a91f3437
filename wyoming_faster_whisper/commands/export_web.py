"""export-web: writes the files with which the web page works without the server."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..app.web_export import export
from ..config.load import default_data_dir
from ..config.options import options, read_values
from ..config.settings import Settings
from ..errors import SettingError
from ..models import AUTO, canonical, choose, data_folders

_SHARED = ("data_dir", "download_dir", "local_files_only")  # the server's options that count here


def main(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    """Write the files of one model into a folder; return the exit status.

    Raises:
        ServerError: the model cannot be converted, or the folder cannot be written.
    """
    parser = argparse.ArgumentParser(
        prog="wyoming-faster-whisper export-web",
        description="Write the files with which the web page works without the server: a model "
        "as ONNX graphs, onnxruntime-web, and a manifest.",
        epilog="The server's variables WYO_WHISPER_DATA_DIR, WYO_WHISPER_DOWNLOAD_DIR and "
        "WYO_WHISPER_LOCAL_FILES_ONLY are read as well.",
    )
    parser.add_argument("folder", metavar="DIR", help="a new folder, or one of an older export")
    parser.add_argument("--model", required=True, help="tiny, base or another model's name")
    parser.add_argument(
        "--data-dir", action="append", default=[], help="folder with models; can be repeated"
    )
    parser.add_argument("--local-files-only", action="store_true", help="never download a model")
    given = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    if canonical(given.model) == AUTO:
        raise SettingError("--model is auto; export-web needs the name of a model")
    known = [opt for opt in options(Settings) if opt.name in _SHARED]
    flags = {"data_dir": given.data_dir} if given.data_dir else {}
    values = read_values(known, flags, environ)
    folders = list(
        data_folders(
            values.get("data_dir") or [str(default_data_dir(environ))],
            values.get("download_dir"),
        )
    )
    only_local = given.local_files_only or values.get("local_files_only", False)
    model = choose(given.model, folders)
    export(model, Path(given.folder), folders, local_files_only=only_local)
    return 0
