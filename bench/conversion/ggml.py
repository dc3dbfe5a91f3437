"""Converts a CTranslate2 Whisper model for whisper.cpp.

Both formats are flat lists of named arrays. CTranslate2 has its own names and stores query, key
and value in one array. whisper.cpp uses OpenAI's names, and also needs the mel filters and the
bytes of each token. The layouts are defined by CTranslate2's `model_spec._serialize`, and by
whisper.cpp's `models/convert-pt-to-ggml.py` and `examples/common-ggml.cpp`.
"""

import argparse
import json
import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
from faster_whisper.feature_extractor import FeatureExtractor

from wyoming_faster_whisper.engine.onnx.whisper.weights import Array, Weights, read_weights

from ..support.clips import SAMPLE_RATE
from ..support.models import cache_directory, model_directory

MAGIC = 0x67676D6C  # "ggml"
TYPES = ("f16", "q8_0")
_F32, _F16, _Q8_0 = 0, 1, 8  # ggml_type
_FILE_TYPES = {"f16": 1, "q8_0": 2007}  # ggml_ftype; 2000 = version 2 of the quantised layout
_BLOCK = 32  # weights of a Q8_0 block, which share a scale


def ggml_file(model: str, kind: str) -> Path:
    """Return the ggml file of a local model; convert it on first use.

    Args:
        model: name or directory, as for model_directory().
        kind: data type of the matrices, one of TYPES.
    """
    directory = model_directory(model)
    path = cache_directory() / f"ggml-{Path(model).name}-{kind}.bin"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        with partial.open("wb") as file:
            write(file, directory, kind)
        partial.replace(path)
    return path


def openai_names(weights: Weights) -> Iterator[tuple[str, Array]]:
    """Yield the weights under OpenAI's names, with query, key and value separated."""
    for name, array in weights.items():
        place, _, part = name.rpartition("/")
        side, _, rest = place.partition("/")
        part = {"gamma": "weight", "beta": "bias"}.get(part, part)
        if part == "encodings":
            yield f"{side}.positional_embedding", array
        elif rest == "embeddings":
            yield f"{side}.token_embedding.weight", array
        elif rest == "layer_norm":
            yield f"{side}.{'ln_post' if side == 'encoder' else 'ln'}.{part}", array
        elif rest in ("conv1", "conv2"):
            # whisper.cpp adds the bias to rows of frames, so it needs a second dimension.
            yield f"{side}.{rest}.{part}", array[:, None] if part == "bias" else array
        elif match := re.fullmatch(r"layer_(\d+)/(\w+)/(\w+)", rest):
            layer, block, module = match.groups()
            for new, piece in _of_block(block, module, part, array):
                yield f"{side}.blocks.{layer}.{new}.{part}", piece


def _of_block(block: str, module: str, part: str, array: Array) -> Iterator[tuple[str, Array]]:
    names = {"self_attention": "attn", "attention": "cross_attn", "ffn": "mlp"}
    new = names[block]
    if module == "layer_norm":
        yield f"{new}_ln", array
    elif block == "ffn":
        yield f"{new}.{0 if module == 'linear_0' else 2}", array
    else:
        parts = {
            "self_attention": {"linear_0": ["query", "key", "value"], "linear_1": ["out"]},
            "attention": {
                "linear_0": ["query"],
                "linear_1": ["key", "value"],
                "linear_2": ["out"],
            },
        }[block][module]
        for each, piece in zip(parts, np.split(array, len(parts)), strict=True):
            if (each, part) != ("key", "bias"):  # zeros in CTranslate2; Whisper has no key bias
                yield f"{new}.{each}", piece


def write(file: BinaryIO, directory: Path, kind: str) -> None:
    """Convert a CTranslate2 model and write it as a ggml model."""
    weights = read_weights(directory / "model.bin")
    tensors = dict(openai_names(weights))
    filters = FeatureExtractor.get_mel_filters(
        SAMPLE_RATE, 400, n_mels=tensors["encoder.conv1.weight"].shape[1]
    ).astype("<f4")
    tokens = token_bytes(directory / "tokenizer.json")

    header = [MAGIC, *_parameters(weights, tensors), _FILE_TYPES[kind]]
    file.write(struct.pack(f"<{len(header)}i", *header))
    file.write(struct.pack("<2i", *filters.shape) + filters.tobytes())
    file.write(struct.pack("<i", len(tokens)))
    for token in tokens:
        file.write(struct.pack("<i", len(token)) + token)
    for name, array in tensors.items():
        number, data = _data(name, array, kind)
        label = name.encode()
        shape = array.shape[::-1]
        file.write(struct.pack(f"<{3 + len(shape)}i", len(shape), len(label), number, *shape))
        file.write(label + data)


def _parameters(weights: Weights, tensors: Weights) -> list[int]:
    """Return whisper.cpp's whisper_hparams, in order, without the file type."""
    sizes: list[int] = []
    for side in ("encoder", "decoder"):
        positions, width = tensors[f"{side}.positional_embedding"].shape
        heads = int(weights[f"{side}/num_heads"])
        layers = sum(name.startswith(f"{side}.") and ".mlp_ln.weight" in name for name in tensors)
        sizes += [positions, width, heads, layers]
    vocabulary = tensors["decoder.token_embedding.weight"].shape[0]
    return [vocabulary, *sizes, tensors["encoder.conv1.weight"].shape[1]]


def _data(name: str, array: Array, kind: str) -> tuple[int, bytes]:
    """Return the ggml_type and the bytes that whisper.cpp expects for a tensor."""
    if array.ndim < 2 or name.endswith(("conv1.bias", "conv2.bias", "positional_embedding")):
        return _F32, array.astype("<f4").tobytes()
    if kind == "f16" or array.ndim > 2:
        return _F16, array.astype("<f2").tobytes()
    return _Q8_0, _quantised(array)


def _quantised(array: Array) -> bytes:
    """Quantise to blocks of a float16 scale and 32 bytes, like ggml's quantize_row_q8_0."""
    blocks = array.astype(np.float32).reshape(-1, _BLOCK)
    scales = np.abs(blocks).max(axis=1, keepdims=True) / 127
    whole = np.rint(np.divide(blocks, scales, out=np.zeros_like(blocks), where=scales > 0))
    packed = np.empty(len(blocks), [("scale", "<f2"), ("weights", "i1", _BLOCK)])
    packed["scale"] = scales[:, 0]
    packed["weights"] = whole
    return packed.tobytes()


def token_bytes(tokenizer: Path) -> list[bytes]:
    """Return the bytes of each text token; whisper.cpp adds the special tokens itself."""
    vocabulary: dict[str, int] = json.loads(tokenizer.read_text())["model"]["vocab"]
    characters = _byte_characters()
    special = re.compile(r"<\|.*\|>")
    found = sorted((i, token) for token, i in vocabulary.items() if not special.fullmatch(token))
    return [bytes(characters[character] for character in token) for _, token in found]


def _byte_characters() -> dict[str, int]:
    """Return GPT-2's mapping of a printable character to each byte."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    characters = {chr(byte): byte for byte in printable}
    return characters | {chr(256 + number): byte for number, byte in enumerate(others)}


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.conversion.ggml", description=__doc__)
    parser.add_argument("--model", default="base", help="name or directory; never downloaded")
    parser.add_argument("--type", choices=TYPES, default="q8_0", help="data type of the matrices")
    arguments = parser.parse_args()
    print(ggml_file(arguments.model, arguments.type))


if __name__ == "__main__":
    main()
