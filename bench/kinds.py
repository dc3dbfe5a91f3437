"""Kinds of imperfect sound and speech, to this server and to the reference server."""

import argparse
import wave
from collections.abc import Iterable
from pathlib import Path

from .arguments import listed, parser
from .clips import SAMPLE_RATE, WIDTH
from .servers import ROOT
from .utterances import ROWS, Utterance, utterances


def main() -> None:
    arguments = parse_arguments()
    chosen = [u for row in arguments.rows for u in utterances(row, arguments.speech)]
    if arguments.write:
        write(chosen, arguments.write)


def parse_arguments() -> argparse.Namespace:
    flags = parser("kinds", __doc__)
    flags.add_argument("--rows", type=listed(ROWS), default=ROWS)
    flags.add_argument("--speech", type=Path, default=ROOT.parent / "shared" / "speech")
    flags.add_argument("--write", type=Path, metavar="DIR")
    return flags.parse_args()


def write(chosen: Iterable[Utterance], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    lines = ["row\tfile\tlanguage\ttruth"]
    for each in chosen:
        file = f"{each.row}-{each.name}.wav"
        with wave.open(str(folder / file), "wb") as out:
            out.setparams((each.channels, WIDTH, SAMPLE_RATE, 0, "NONE", "not compressed"))
            out.writeframes(each.audio)
        truth = " | ".join(each.phrases) if each.text is None else each.text
        lines.append("\t".join((each.row, file, "auto" if each.auto else "en", truth)))
    (folder / "kinds.tsv").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
