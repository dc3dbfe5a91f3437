"""Rule-based grapheme-to-phoneme conversion into strings of phonetic features. Pure.

Rules map a spelling to about twenty sounds. Each consonant is written as three features
(place, manner, voicing; "h" has one), each vowel as two (backness, height). The edit distance
of two such strings is then small for sounds that are easily confused: b and p share two of
three features, e and i one of two. A missing vowel costs less than a missing consonant.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

_CONSONANTS = {
    "p": "Bs-", "b": "Bs+", "t": "Ds-", "d": "Ds+", "k": "Gs-", "g": "Gs+",
    "f": "Bf-", "v": "Bf+", "T": "Tf-", "s": "Df-", "z": "Df+", "S": "Jf-",
    "C": "Js-", "J": "Js+", "m": "Bn+", "n": "Dn+", "N": "Gn+",
    "l": "Dl+", "r": "Rl+", "w": "Bl+", "y": "Jl+", "h": "h",
}  # fmt: skip
_VOWELS = {"i": "FH", "e": "FM", "a": "CM", "o": "KM", "u": "KH"}
_TO_FEATURES = str.maketrans(_CONSONANTS | _VOWELS)
FEATURES_PER_SOUND = 3  # those of a consonant; a vowel counts as two thirds of a sound

_DIGITS = dict(
    zip("0123456789", "zero one two three four five six seven eight nine".split(), strict=True)
)
_LETTERS = dict(
    zip(
        "abcdefghijklmnopqrstuvwxyz",
        "ay bee see dee ee eff jee aitch eye jay kay ell em en oh pee cue ar ess tee you vee "
        "doubleyou ex why zee".split(),
        strict=True,
    )
)  # fmt: skip

# Spelling=sounds; the first rule that matches applies. (?<=...) and (?=...) match the context.
_ENGLISH = r"""
    ^kn|^gn|^pn=n  ^ps=s  ^wr=r  ^x=z  ^mc=mak  ^wh=w  ^y=y  ^qu=kw
    tch=C  sch(?=oo|e)=sk  sch=S  ch(?=r|l)=k  ch=C  sh=S  ph=f  th=T  ck|kk|cq=k
    eigh=e  igh=ai  augh|ough=o  ght=t  gh$=  gh=g
    dge|dg(?=[eiy])=J  gg=g  ng(?=[aeiouy])=Ng  ng=N  n(?=[kgcqx])=N
    qu=kw  q=k  x=ks  cc(?=[eiy])=ks  sc(?=[eiy])=s  c(?=[eiy])=s  c+=k
    g(?=e$|es$|i|y)=J  g=g  tion|sion|cian=San  ti(?=[ao])|ci(?=[ao])|si(?=on)=S
    tu(?=re)=Cu  j=J  zz?=z  ss?=s  mb$=m  bb?=b  dd?=d  ff?=f  ll?=l  mm?=m  nn?=n
    pp?=p  rr?=r  tt?=t  v+=v  k=k
    ai|ay|ei(?=[gnlr])|ey(?=.)=e  ee|ea|ie|ei|ey=i  oa|oe=o  oo|ou|ew|ue|eu|ui=u
    au|aw|ow=o  oi|oy=oi
    a(?=[^aeiouwxy]e$)=e  i(?=[^aeiouwxy]e$)=ai  o(?=[^aeiouwxy]e$)=o  u(?=[^aeiouwxy]e$)=u
    (?<=[^aeiou].)e$|(?<=[aeiou][^aeiouy])e(?=s?$)=  le$=al
    (?<=[aeiou])y=y  y(?=[aeiou])=y  y=i  w(?=[aeiouyh])=w  w=  h(?=[aeiouy])=h  h=
    a=a  e=e  i=i  o=o  u=u
"""
# Continental European pronunciation, for brand and personal names that are not English.
_CONTINENTAL = r"""
    sch|sh=S  tsch|tch=C  ch=k  ph=f  th=t  ck|kk=k  tz=ts  ng=N  n(?=[kg])=N
    qu=kw  q=k  x=ks  c(?=[eiy])=s  c+=k  g+=g  j=y  w=v  v+=v  zz?=z  ss?=s  sz=S  k=k
    bb?=b  dd?=d  ff?=f  ll?=l  mm?=m  nn?=n  pp?=p  rr?=r  tt?=t
    ei|ey|ai|ay=ai  ie|ee|ea=i  eu=oi  au=au  ou|oo=u  oa|oe=o  h(?=[aeiouy])=h  h=
    y=i  a+=a  e=e  i=i  o=o  u=u
"""


def _rules(table: str) -> tuple[re.Pattern[str], list[str]]:
    """Compile a rule table: one pattern with a group per rule, and the sounds of each group."""
    rules = [rule.rpartition("=") for rule in table.split()]
    # "(?=" and "(?<=" contain "=" too; the last "=" separates the sounds.
    pattern = "|".join(f"({spelling})" for spelling, _, _ in rules)
    return re.compile(pattern), [sounds for _, _, sounds in rules]


_TABLES = (_rules(_ENGLISH), _rules(_CONTINENTAL))
READINGS = len(_TABLES)


def letters(text: str) -> str:
    """Normalise a text for comparison: lower-case letters and digits, without accents."""
    plain = unicodedata.normalize("NFKD", text.casefold().replace("ß", "ss"))
    return "".join(c for c in plain if c.isalnum())


@lru_cache(maxsize=8192)
def sounds(word: str, reading: int = 0) -> str:
    """Return the sounds of one word, one character per sound.

    Args:
        word: normalised by letters().
        reading: 0 = English, 1 = continental European.
    """
    if len(word) == 1:
        word = _LETTERS.get(word, word)
    word = "".join(_DIGITS.get(c, c) for c in word)
    pattern, becomes = _TABLES[reading]
    found = "".join(
        becomes[match.lastindex - 1] for match in pattern.finditer(word) if match.lastindex
    )
    return re.sub(r"(.)\1+", r"\1", found)


@lru_cache(maxsize=8192)
def phonetic_features(word: str, reading: int = 0) -> str:
    """Return the phonetic features of one word, concatenated."""
    return sounds(word, reading).translate(_TO_FEATURES)
