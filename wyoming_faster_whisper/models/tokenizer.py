"""The tokenizer of a model: the file beside it, or one of the same vocabulary from elsewhere.

Some conversions come without. Whisper has three vocabularies: that of the English-only models,
the multilingual one, and the multilingual one with Cantonese (large-v3). Models with the same
vocabulary have the same tokenizer. As for models, an installed package goes before the network.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..errors import ModelError
from .folders import UNREADABLE, fault
from .hub import STALL_SECONDS, download_tokenizer
from .packages import packaged_everywhere

_LOGGER = logging.getLogger(__name__)

_FILE = "tokenizer.json"
# Their numbers differ between the vocabularies, and decoding needs them.
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
    stall: float = STALL_SECONDS,
) -> Path:
    """Return the file with a model's tokenizer, downloading it if need be.

    Args:
        directory: of the model.
        hub, stall: as for locate().

    Raises:
        ModelError: it is damaged, of another model, or not to be had.
    """
    path = directory / _FILE
    vocabulary = _vocabulary(directory)
    if path.exists():
        if what := _misfit(path, vocabulary):
            raise ModelError(
                f"{what}; put the tokenizer.json of this model there, or remove it to have "
                "that of an installed package or of the hub"
            )
        return path
    for packaged in packaged_everywhere(_FILE):
        if _misfit(packaged, vocabulary) is None:
            _LOGGER.info("The tokenizer of %s comes from %s", directory, packaged)
            return packaged
    if local_files_only:
        raise ModelError(
            f"{path} is missing and no installed package carries one of this vocabulary; "
            "--local-files-only forbids to download it: put it there"
        )
    fetched = download_tokenizer(path, _repository(vocabulary), download_dir, hub, stall)
    if what := _misfit(fetched, vocabulary):
        raise ModelError(f"{path} is missing, and {what}; put that of this model there")
    return fetched


def _vocabulary(directory: Path) -> list[str]:
    """The tokens of a model, as CTranslate2 reads them.

    Raises:
        ModelError: there is no list of them.
    """
    for name in ("vocabulary.json", "vocabulary.txt"):
        path = directory / name
        if not path.exists():
            continue
        if what := fault(path):
            raise ModelError(what)
        try:
            text = path.read_text(encoding="utf-8")
            if name.endswith(".json"):
                return [str(token) for token in json.loads(text)]
        except UNREADABLE as error:
            raise ModelError(f"{path} is damaged ({error}); copy or download it again") from None
        return text.removesuffix("\n").split("\n")
    raise ModelError(
        f"{directory} holds no whole model: vocabulary.json or vocabulary.txt is missing"
    )


def _misfit(path: Path, vocabulary: Sequence[str]) -> str | None:
    """Say why a tokenizer does not belong to a vocabulary; None if it does."""
    if what := fault(path):
        return what
    try:
        tokens = _tokens(path)
    except UNREADABLE as error:
        return f"{path} is damaged ({error})"
    for token in _SPECIAL:
        if token in vocabulary and tokens.get(token) != vocabulary.index(token):
            return (
                f"{path} is of another model: {token} is {tokens.get(token, 'missing')} there "
                f"and {vocabulary.index(token)} in the vocabulary"
            )
    return None


def _tokens(path: Path) -> Mapping[str, int]:
    content = json.loads(path.read_text(encoding="utf-8"))
    added = {token["content"]: int(token["id"]) for token in content.get("added_tokens", ())}
    return {**content["model"]["vocab"], **added}


def _repository(vocabulary: Sequence[str]) -> str:
    """The smallest of OpenAI's models with a vocabulary."""
    if "<|yue|>" in vocabulary:
        return "openai/whisper-large-v3"
    # The multilingual vocabulary has one token more than GPT-2's before the special ones.
    multilingual = "<|endoftext|>" in vocabulary[50_257:]
    return "openai/whisper-tiny" if multilingual else "openai/whisper-tiny.en"
