"""Find the tokenizer of a model, in the model's directory or from a model of equal vocabulary.

Some converted models come without a tokenizer.json. Whisper has three vocabularies: English-only,
multilingual, and multilingual with Cantonese (large-v3). Models with the same vocabulary have the
same tokenizer. Installed packages are searched before the hub.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..errors import ModelError
from .folders import UNREADABLE, VOCABULARIES, fault
from .hub import download_tokenizer
from .packages import packaged_everywhere

_LOGGER = logging.getLogger(__name__)

_FILE = "tokenizer.json"
# Decoding needs these tokens, and their ids differ between the vocabularies. They are in order
# of their ids, so a vocabulary that was cut off lacks at least the last of them.
_SPECIAL = (
    *("<|endoftext|>", "<|startoftranscript|>", "<|transcribe|>"),
    *("<|startofprev|>", "<|notimestamps|>"),
)


def locate_tokenizer(
    directory: Path,
    download_dir: Path,
    *,
    local_files_only: bool = False,
    hub: str | None = None,
) -> Path:
    """Return the path of a model's tokenizer; download it if necessary. Blocking.

    Args:
        directory: directory of the model.
        download_dir, local_files_only, hub: as for locate().

    Raises:
        ModelError: the tokenizer is damaged, belongs to another model, or is not available.
    """
    path = directory / _FILE
    vocabulary = _vocabulary(directory)
    if path.exists():
        if what := _misfit(path, vocabulary):
            raise ModelError(
                f"{what}; replace it with the tokenizer.json of this model, or remove it to use "
                "that of an installed package or of the hub"
            )
        return path
    for packaged in packaged_everywhere(_FILE):
        if _misfit(packaged, vocabulary) is None:
            _LOGGER.info("%s has no tokenizer.json; using %s", directory, packaged)
            return packaged
    if local_files_only:
        raise ModelError(
            f"{path} is missing, no installed package contains one for this vocabulary, and "
            "--local-files-only forbids downloading it; put the file there"
        )
    fetched = download_tokenizer(path, _repository(vocabulary), download_dir, hub)
    if what := _misfit(fetched, vocabulary):
        raise ModelError(
            f"{path} is missing, and {what}; put the tokenizer.json of this model there"
        )
    return fetched


def _vocabulary(directory: Path) -> list[str]:
    """Return the tokens of a model in the order of their ids, from CTranslate2's vocabulary file.

    Raises:
        ModelError: the vocabulary file is missing, damaged or cut off.
    """
    for name in VOCABULARIES:
        path = directory / name
        if not path.exists():
            continue
        if what := fault(path):
            raise ModelError(what)
        try:
            text = path.read_text(encoding="utf-8")
            if name.endswith(".json"):
                tokens = [str(token) for token in json.loads(text)]
            else:
                tokens = text.removesuffix("\n").split("\n")
            if _SPECIAL[-1] not in tokens:
                raise ValueError(f"{_SPECIAL[-1]} is missing")
        except UNREADABLE as error:
            raise ModelError(f"{path} is damaged ({error}); copy or download it again") from None
        return tokens
    raise ModelError(
        f"the model in {directory} is incomplete: it has no vocabulary.json or vocabulary.txt"
    )


def _misfit(path: Path, vocabulary: Sequence[str]) -> str | None:
    """Describe why a tokenizer does not match a vocabulary; None if it does."""
    if what := fault(path):
        return what
    try:
        tokens = _tokens(path)
    except UNREADABLE as error:
        return f"{path} is damaged ({error})"
    for token in _SPECIAL:
        if token in vocabulary and tokens.get(token) != vocabulary.index(token):
            return (
                f"{path} belongs to another model: {token} is {tokens.get(token, 'missing')} "
                f"there and {vocabulary.index(token)} in the vocabulary"
            )
    return None


def _tokens(path: Path) -> Mapping[str, int]:
    content = json.loads(path.read_text(encoding="utf-8"))
    added = {token["content"]: int(token["id"]) for token in content.get("added_tokens", ())}
    return {**content["model"]["vocab"], **added}


def _repository(vocabulary: Sequence[str]) -> str:
    """Return the hub id of OpenAI's smallest model with a vocabulary."""
    if "<|yue|>" in vocabulary:
        return "openai/whisper-large-v3"
    # Before the special tokens the multilingual vocabulary has one token more than GPT-2's.
    multilingual = "<|endoftext|>" in vocabulary[50_257:]
    return "openai/whisper-tiny" if multilingual else "openai/whisper-tiny.en"
