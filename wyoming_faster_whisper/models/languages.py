"""Whisper's language codes, and other tags and names of the same languages. Pure."""

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

# Likewise in the order of Whisper's table; "_" stands for a space.
_NAMES = (
    "english chinese german spanish russian korean french japanese portuguese turkish polish "
    "catalan dutch arabic swedish italian indonesian hindi finnish vietnamese hebrew ukrainian "
    "greek malay czech romanian danish hungarian tamil norwegian thai urdu croatian bulgarian "
    "lithuanian latin maori malayalam welsh slovak telugu persian latvian bengali serbian "
    "azerbaijani slovenian kannada estonian macedonian breton basque icelandic armenian nepali "
    "mongolian bosnian kazakh albanian swahili galician marathi punjabi sinhala khmer shona "
    "yoruba somali afrikaans occitan georgian belarusian tajik sindhi gujarati amharic yiddish "
    "lao uzbek faroese haitian_creole pashto turkmen nynorsk maltese sanskrit luxembourgish "
    "myanmar tibetan tagalog malagasy assamese tatar hawaiian lingala hausa bashkir javanese "
    "sundanese cantonese"
).split(" ")

NAMES = {code: name.replace("_", " ") for code, name in zip(MULTILINGUAL_V3, _NAMES, strict=True)}
"""English name of each language, in lower case, by Whisper's code."""

UNSPACED = frozenset("zh yue ja th lo my km bo".split())
"""Languages written without spaces between words."""

# Tags from Home Assistant, BCP 47 and older standards, and names; Whisper's code for each.
_ALIASES = {
    **{name: code for code, name in NAMES.items()},
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
    # More names (openai/whisper: tokenizer.py, TO_LANGUAGE_CODE).
    "burmese": "my",
    "valencian": "ca",
    "flemish": "nl",
    "haitian": "ht",
    "letzeburgesch": "lb",
    "pushto": "ps",
    "panjabi": "pa",
    "moldavian": "ro",
    "moldovan": "ro",
    "sinhalese": "si",
    "castilian": "es",
    "mandarin": "zh",
}

_DETECT = frozenset({"", "auto", "null", "none", "und"})


def normalise(tag: str, allowed: tuple[str, ...]) -> str | None:
    """Convert a language tag, or an English name, to one of the allowed Whisper codes.

    Ignores case, script and region, and treats "_" like "-": "en-US", "EN_gb", "en" and
    "English" are the same. Aliases are resolved: "nb" is "no".

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
