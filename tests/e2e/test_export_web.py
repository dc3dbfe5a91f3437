"""export-web: the options that it shares with the server."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.processes import NO_HUB
from wyoming_faster_whisper.commands.export_web import main
from wyoming_faster_whisper.errors import ModelError, SettingError


def test_the_folders_of_models_are_read_from_the_servers_variables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", NO_HUB)
    arguments = [str(tmp_path / "web"), "--model", "small"]
    for variable in ("WYO_WHISPER_DATA_DIR", "WYO_WHISPER_DOWNLOAD_DIR"):
        with pytest.raises(ModelError, match=f"copy a model into {tmp_path}/models,"):
            main(arguments, {variable: f"{tmp_path}/models"})
    with pytest.raises(ModelError, match="--local-files-only forbids"):
        main(arguments, {"WYO_WHISPER_LOCAL_FILES_ONLY": "true"})


def test_it_needs_the_name_of_a_model(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="--model is auto; export-web needs the name"):
        main([str(tmp_path / "web"), "--model", "auto"], {})
