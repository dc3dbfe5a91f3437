"""Tokenizer of a Whisper model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ...errors import ModelError

_FIRST_MERGE = ("Ġ", "t")  # first BPE merge of every Whisper: a space and a t


def load_tokenizer(path: Path) -> Any:
    """Load a tokenizer.json.

    Raises:
        ModelError: the file is missing or damaged.
    """
    import tokenizers

    try:
        return tokenizers.Tokenizer.from_str(_mended(path.read_text(encoding="utf-8")))
    except Exception as error:  # tokenizers raises nothing more specific
        raise ModelError(f"no tokenizer: {path} is missing or damaged ({error})") from None


def _mended(tokenizer: str) -> str:
    """Restore the first merge, which the files of some models lack, a base among them.

    Without this merge " the" becomes the tokens " " and "the", which no Whisper was trained on.
    The decoder then gives such words in its prompt, or in a text that it continues, a
    probability near zero.
    """
    content = json.loads(tokenizer)
    model = content["model"]
    merges = model.get("merges", [])
    known = {tuple(merge.split(" ") if isinstance(merge, str) else merge) for merge in merges}
    if not merges or _FIRST_MERGE in known or "".join(_FIRST_MERGE) not in model["vocab"]:
        return tokenizer
    merges.insert(0, " ".join(_FIRST_MERGE) if isinstance(merges[0], str) else [*_FIRST_MERGE])
    return json.dumps(content)
