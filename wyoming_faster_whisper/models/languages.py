"""Whisper's language codes, and other tags for the same languages. Pure."""

from __future__ import annotations

ENGLISH = ("en",)

# In the order of Whisper's table (openai/whisper: tokenizer.py, LANGUAGES).
MULTILINGUAL = tuple(
    (
        "en zh de es ru ko fr ja pt tr pl ca nl ar sv it id hi fi vi he uk el ms cs ro da "
        "hu ta no th ur hr bg lt la mi ml cy sk te fa lv bn sr az sl kn et mk br eu is hy "
        "ne mn bs kk sq sw gl mr pa si km sn yo so af oc ka be tg sd gu am yi lo uz fo ht "
        "ps tk nn mt sa lb my bo tl mg as tt haw ln ha ba jw su"
    ).split(" ")
)

# large-v3 added Cantonese.
MULTILINGUAL_V3 = (*MULTILINGUAL, "yue")

UNSPACED = frozenset("zh yue ja th lo my km bo".split())
"""Languages written without spaces between words."""

# Tags from Home Assistant, BCP 47 and older standards, and Whisper's code for each.
_ALIASES = {
    "nb": "no",
    "iw": "he",
    "jv": "jw",
    "fil": "tl",
    "cmn": "zh",
    "in": "id",
    "ji": "yi",
    "mo": "ro",
    "bh": "hi",
    "sh": "sr",
    "zh-yue": "yue",
    "zh-hk": "yue",
}

_DETECT = frozenset({"", "auto", "null", "none", "und"})


def normalise(tag: str, allowed: tuple[str, ...]) -> str | None:
    """Convert a language tag to one of the allowed Whisper codes.

    Ignores case, script and region, and treats "_" like "-": "en-US", "EN_gb" and "en" are the
    same. Aliases are resolved: "nb" is "no".

    Returns:
        The code, or None if the tag is not one of the allowed languages.
    """
    tag = tag.strip().lower().replace("_", "-")
    primary = tag.split("-", 1)[0]
    for name in (tag, primary):
        code = _ALIASES.get(name, name)
        if code in allowed:
            return code
    return None


def means_detect(tag: str | None) -> bool:
    """Return True if a tag asks for language detection, as "auto" or an empty tag does."""
    return tag is None or tag.strip().lower() in _DETECT
