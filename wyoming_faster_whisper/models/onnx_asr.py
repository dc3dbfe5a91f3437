"""Models of the library onnx-asr: names, families, languages, and where their files are.

Names are onnx-asr's own, which the reference server takes too. The tables are copied from
onnx-asr 0.12 (loader.py, resolver.py), because importing it takes longer than everything else
before the server listens.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import partial
from pathlib import Path

from ..errors import ModelError
from .folders import UNREADABLE, expanded, find_folder, refreshed
from .hub import download
from .languages import ENGLISH, MULTILINGUAL, MULTILINGUAL_V3
from .names import Model

_RUSSIAN = ("ru",)
_GIGAAM = ("ru", "kk", "uz", "en")
# Parakeet v3 and Canary v2 (NVIDIA's model cards); English first because it is the default.
_EUROPEAN = tuple(
    "en bg cs da de el es et fi fr hr hu it lt lv mt nl pl pt ro ru sk sl sv uk".split()
)


class Decoding(Enum):
    """Decoding method of a family; it decides what the model can do."""

    CTC = "ctc"
    TRANSDUCER = "transducer"
    ATTENTION = "attention"  # an autoregressive decoder, NeMo's Canary
    WHISPER = "whisper"


@dataclass(frozen=True, slots=True)
class Family:
    """Models that the same class of onnx-asr runs."""

    type: str  # the name for onnx_asr.load_model()
    decoding: Decoding
    graphs: tuple[str, ...]  # patterns; {q} stands for the quantisation
    others: tuple[str, ...] = ()  # patterns of the other files


_VOCABULARY = ("vocab.txt",)
_TOKENS = ("vocab.json", "added_tokens.json")
_FAMILIES = {
    family.type: family
    for family in (
        Family("nemo-conformer-ctc", Decoding.CTC, ("model{q}.onnx",), _VOCABULARY),
        *(
            Family(
                f"nemo-conformer-{kind}",
                Decoding.TRANSDUCER,
                ("encoder-model{q}.onnx", "decoder_joint-model{q}.onnx"),
                _VOCABULARY,
            )
            for kind in ("rnnt", "tdt")
        ),
        Family(
            "nemo-conformer-aed",
            Decoding.ATTENTION,
            ("encoder-model{q}.onnx", "decoder-model{q}.onnx"),
            _VOCABULARY,
        ),
        *(
            Family(
                kind,
                Decoding.TRANSDUCER,
                ("*/encoder{q}.onnx", "*/decoder{q}.onnx", "*/joiner{q}.onnx"),
                ("*/tokens.txt",),
            )
            for kind in ("kaldi-rnnt", "vosk")
        ),
        Family("t-one-ctc", Decoding.CTC, ("model{q}.onnx",), ("config.json",)),
        Family("whisper-ort", Decoding.WHISPER, ("whisper-*_beamsearch{q}.onnx",), _TOKENS),
        Family(
            "whisper",
            Decoding.WHISPER,
            ("**/encoder_model{q}.onnx", "**/decoder_model_merged{q}.onnx"),
            _TOKENS,
        ),
        *(
            Family(name, Decoding.CTC, (f"{stem}{{q}}.onnx",), (vocabulary,))
            for name, stem, vocabulary in (
                ("gigaam-v2-ctc", "v?_ctc", "v?_vocab.txt"),
                ("gigaam-v3-ctc", "v?_ctc", "v?_vocab.txt"),
                ("gigaam-v3-e2e-ctc", "v3_e2e_ctc", "v3_e2e_ctc_vocab.txt"),
                ("gigaam-multilingual-ctc", "multilingual*_ctc", "multilingual_vocab.txt"),
                ("gigaam-multilingual-large-ctc", "multilingual*_ctc", "multilingual_vocab.txt"),
            )
        ),
        *(
            Family(
                name,
                Decoding.TRANSDUCER,
                tuple(f"{stem}_{part}{{q}}.onnx" for part in ("encoder", "decoder", "joint")),
                (vocabulary,),
            )
            for name, stem, vocabulary in (
                ("gigaam-v2-rnnt", "v?_rnnt", "v?_vocab.txt"),
                ("gigaam-v3-rnnt", "v?_rnnt", "v?_vocab.txt"),
                ("gigaam-v3-e2e-rnnt", "v3_e2e_rnnt", "v3_e2e_rnnt_vocab.txt"),
            )
        ),
    )
}

# Name, repository, family, languages.
_NAMED: dict[str, tuple[str, str, tuple[str, ...]]] = {
    **{
        f"gigaam-v{version}-{kind}": (
            f"istupakov/gigaam-v{version}-onnx",
            f"gigaam-v{version}-{kind}",
            _RUSSIAN,
        )
        for version, kinds in (("2", "ctc rnnt"), ("3", "ctc rnnt e2e-ctc e2e-rnnt"))
        for kind in kinds.split()
    },
    **{
        f"gigaam-multilingual-{kind}": (
            f"istupakov/gigaam-multilingual-{kind}-onnx",
            f"gigaam-multilingual-{kind}",
            _GIGAAM,
        )
        for kind in ("ctc", "large-ctc")
    },
    **{
        f"nemo-fastconformer-ru-{kind}": (
            "istupakov/stt_ru_fastconformer_hybrid_large_pc_onnx",
            f"nemo-conformer-{kind}",
            _RUSSIAN,
        )
        for kind in ("ctc", "rnnt")
    },
    **{
        f"nemo-parakeet-{kind}-0.6b{version}": (
            f"istupakov/parakeet-{kind}-0.6b{version}-onnx",
            f"nemo-conformer-{kind}",
            languages,
        )
        for kind, version, languages in (
            ("ctc", "", ENGLISH),
            ("rnnt", "", ENGLISH),
            ("tdt", "-v2", ENGLISH),
            ("tdt", "-v3", _EUROPEAN),
        )
    },
    "nemo-canary-1b-v2": ("istupakov/canary-1b-v2-onnx", "nemo-conformer-aed", _EUROPEAN),
    "alphacep/vosk-model-ru": ("alphacep/vosk-model-ru", "vosk", _RUSSIAN),
    "alphacep/vosk-model-small-ru": ("alphacep/vosk-model-small-ru", "vosk", _RUSSIAN),
    "t-tech/t-one": ("t-tech/T-one", "t-one-ctc", _RUSSIAN),
    # In onnx-asr the name is whisper-base. --model whisper-base without --stt-library is not it.
    "whisper-base": ("istupakov/whisper-base-onnx", "whisper-ort", MULTILINGUAL),
}
NAMES = tuple(_NAMED)

_INT8 = "?int8"  # a glob: the files are called model.int8.onnx or model_int8.onnx
_QUANTISED = {"none": "", "int8": _INT8}


@dataclass(frozen=True, slots=True)
class OnnxAsrModel:
    """A model for onnx-asr."""

    model: Model
    family: Family


@dataclass(frozen=True, slots=True)
class OnnxAsrFiles:
    """The files of a model on this machine."""

    directory: Path
    quantisation: str | None  # as in onnx_asr.load_model()


def choose_onnx_asr(name: str, folders: Sequence[Path]) -> OnnxAsrModel | None:
    """Resolve a name to a model of onnx-asr; None if it names none. Never uses the network.

    Args:
        name: a name in NAMES in any case, a hub id of one of these models or of a Whisper in
            onnx-community, or a directory with files of a family.
        folders: data folders to search for the model.

    Raises:
        SettingError: the name begins with a home directory that does not exist.
    """
    path = expanded(name)
    if os.path.isdir(path):
        called = path.name or path.resolve().name
        family = _family_in(path, called)
        if family is None:
            return None
        languages = _languages_of(called, family)
        return OnnxAsrModel(Model(called, languages, directory=path), family)
    known = name.lower()
    for each, (repository, kind, languages) in _NAMED.items():
        if known in (each, repository.lower()) and _is_first_of(each, repository, known):
            return _named(each, repository, _FAMILIES[kind], languages, folders)
    if known.startswith("onnx-community/") and "whisper" in known:
        family = _FAMILIES["whisper"]
        return _named(name, name, family, _languages_of(name, family), folders)
    return None


def refreshed_onnx_asr(chosen: OnnxAsrModel, folders: Sequence[Path]) -> Model:
    """See refreshed()."""
    return refreshed(chosen.model, folders, partial(_is_complete, chosen.family))


def locate_onnx_asr(
    chosen: OnnxAsrModel,
    download_dir: Path,
    *,
    quantisation: str,
    gpu: bool,
    local_files_only: bool = False,
) -> OnnxAsrFiles:
    """Return the files of a model; download them if necessary. Blocking.

    Args:
        chosen: from choose_onnx_asr().
        download_dir: folder to download into.
        quantisation: value of --onnx-quantization: "auto", "none", or a name like "int8". Auto
            takes what is on this machine; of both forms, int8 on a CPU. A download on a CPU is
            int8 if the hub has it.
        gpu: the model will run on a GPU.
        local_files_only: never download.

    Raises:
        ModelError: the model is not available; the message says what is missing.
    """
    model, family = chosen.model, chosen.family
    forms = _forms(quantisation, gpu=gpu)
    if model.directory is not None:
        for form in forms:
            if not _missing(model.directory, family, form):
                return OnnxAsrFiles(model.directory, _plain(form))
        # Of the form that has the most files.
        missing = max(
            (_missing(model.directory, family, form) for form in forms), key=_rank(family)
        )
        if model.repository is None or local_files_only:
            raise ModelError(f"{model.directory} is not a {family.type}: {missing} is missing")
    elif local_files_only:
        raise ModelError(
            f"model {model.name!r} is not in the data folders, and --local-files-only forbids "
            "downloading it"
        )
    return _download(chosen, download_dir, forms)


def _download(chosen: OnnxAsrModel, download_dir: Path, forms: Sequence[str]) -> OnnxAsrFiles:
    """Download the first form that the hub has."""
    for form in forms:

        def lacks(directory: Path, form: str = form) -> str | None:
            missing = _missing(directory, chosen.family, form)
            return f"no {chosen.family.type}: {missing} is missing" if missing else None

        try:
            directory = download(
                chosen.model, download_dir, files=_patterns(chosen.family, form), lacks=lacks
            )
        except ModelError:
            # The repository has no such form: only its small files were downloaded.
            if form == forms[-1] or not find_folder(
                chosen.model.name, chosen.model.repository or "", [download_dir], os.path.isdir
            ):
                raise
            continue
        return OnnxAsrFiles(directory, _plain(form))
    raise AssertionError("there is at least one form")


def _is_first_of(name: str, repository: str, known: str) -> bool:
    """Return whether a hub id or name means this model: a shared hub id means the first."""
    if known == name:
        return True
    return next(each for each, (other, _, _) in _NAMED.items() if other == repository) == name


def _named(
    name: str,
    repository: str,
    family: Family,
    languages: tuple[str, ...],
    folders: Sequence[Path],
) -> OnnxAsrModel:
    directory = find_folder(name, repository, folders, partial(_is_complete, family))
    return OnnxAsrModel(Model(name, languages, repository, directory), family)


def _is_complete(family: Family, directory: Path) -> bool:
    return not all(_missing(directory, family, form) for form in ("", _INT8))


def _family_in(directory: Path, name: str) -> Family | None:
    """Return the family that the config.json of a directory names, or else fits its files."""
    with contextlib.suppress(*UNREADABLE):
        kind = json.loads((directory / "config.json").read_text("utf-8")).get("model_type")
        if kind in _FAMILIES:
            return _FAMILIES[kind]
    fitting = [family for family in _FAMILIES.values() if _is_complete(family, directory)]
    if not fitting:
        return None
    # RNN-T and TDT have the same files, and so have the versions of GigaAM.
    lowered = name.lower()
    parts = [(sum(p in lowered for p in family.type.split("-")), family) for family in fitting]
    return max(parts, key=lambda part: part[0])[1]


def _languages_of(name: str, family: Family) -> tuple[str, ...]:
    """Return the languages of a model that has no name in NAMES."""
    lowered = name.lower()
    for each, (_, _, languages) in _NAMED.items():
        if each.removeprefix("nemo-") in lowered:
            return languages
    if family.decoding is Decoding.WHISPER:
        if lowered.endswith(".en") or ".en-" in lowered or "distil" in lowered:
            return ENGLISH
        return MULTILINGUAL_V3 if "large-v3" in lowered else MULTILINGUAL
    if family.type in ("vosk", "t-one-ctc", "kaldi-rnnt") or "gigaam" in family.type:
        return _RUSSIAN
    for code in MULTILINGUAL:  # stt_de_fastconformer
        if f"_{code}_" in lowered or f"-{code}-" in lowered or lowered.endswith(f"-{code}"):
            return (code,)
    return ENGLISH


def _forms(quantisation: str, *, gpu: bool) -> tuple[str, ...]:
    if quantisation == "auto":
        return ("", _INT8) if gpu else (_INT8, "")
    return (_QUANTISED.get(quantisation, f"?{quantisation}"),)


def _rank(family: Family) -> Callable[[str | None], int]:
    """Return a function that ranks missing files by their place among those of a family."""
    stems = [pattern.partition(".")[0] for pattern in _files(family)]
    return lambda file: stems.index((file or "").partition(".")[0])


def _plain(form: str) -> str | None:
    return form.removeprefix("?") or None


def _missing(directory: Path, family: Family, form: str) -> str | None:
    """Return the first file that a directory lacks, None if it has all."""
    for pattern in _files(family, form):
        if not any(os.path.isfile(path) for path in directory.glob(pattern)):
            return pattern.replace(form, f".{form[1:]}") if form else pattern
    return None


def _files(family: Family, form: str = "") -> list[str]:
    """Return the patterns of the files of a model."""
    return [*(graph.format(q=form) for graph in family.graphs), *family.others]


def _patterns(family: Family, form: str) -> list[str]:
    """Return the patterns of the files to download, with those of large graphs' weights."""
    graphs = [graph.format(q=form) for graph in family.graphs]
    graphs += [graph.removeprefix("**/") for graph in graphs if graph.startswith("**/")]
    weights = [f"{graph}?data" for graph in graphs]
    return ["config.json", "config.yaml", *family.others, *graphs, *weights]
