"""Whisper's languages, and what other people call them. Pure."""

from __future__ import annotations

ENGLISH = ("en",)

# The order of Whisper's own table (openai/whisper: tokenizer.py, LANGUAGES).
MULTILINGUAL = tuple(
    (
        "en zh de es ru ko fr ja pt tr pl ca nl ar sv it id hi fi vi he uk el ms cs ro da "
        "hu ta no th ur hr bg lt la mi ml cy sk te fa lv bn sr az sl kn et mk br eu is hy "
        "ne mn bs kk sq sw gl mr pa si km sn yo so af oc ka be tg sd gu am yi lo uz fo ht "
        "ps tk nn mt sa lb my bo tl mg as tt haw ln ha ba jw su"
    ).split(" ")
)

# Cantonese came with large-v3.
MULTILINGUAL_V3 = (*MULTILINGUAL, "yue")

# What Home Assistant, BCP 47 or older lists say, and Whisper's code for it.
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
    """Turn a language tag into one of the allowed Whisper codes.

    Case, underscores, scripts and regions do not matter: "en-US", "EN_gb" and
    "en" are the same; "nb" is "no".

    Returns:
        The code, or None where none of the allowed languages is meant.
    """
    tag = tag.strip().lower().replace("_", "-")
    primary = tag.split("-", 1)[0]
    for name in (tag, primary):
        code = _ALIASES.get(name, name)
        if code in allowed:
            return code
    return None


def means_detect(tag: str | None) -> bool:
    """True where a tag asks us to find out, or says nothing at all."""
    return tag is None or tag.strip().lower() in _DETECT
