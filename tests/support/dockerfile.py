"""Dockerfile parser, to check and execute a Dockerfile without Docker."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent


@dataclass(frozen=True)
class Instruction:
    """One instruction, with continuation lines joined and comments removed."""

    name: str  # upper case
    text: str

    @property
    def flags(self) -> dict[str, str]:
        """Flags before the arguments, written as --name=value."""
        return dict(re.findall(r"--([\w-]+)=(\S+)\s", self._split()[0]))

    @property
    def arguments(self) -> list[str]:
        """Arguments of the exec form (a JSON list) or the words of the shell form."""
        text = self._split()[1]
        return json.loads(text) if text.startswith("[") else shlex.split(text)

    def _split(self) -> tuple[str, str]:
        found = re.fullmatch(r"((?:--[\w-]+=\S+\s+)*)(.*)", self.text, re.DOTALL)
        assert found is not None
        return found[1], found[2]


@dataclass
class Stage:
    """A build stage: the instructions from one FROM to the next."""

    base: str
    name: str
    instructions: list[Instruction] = field(default_factory=list)

    def last(self, name: str) -> Instruction:
        return [one for one in self.instructions if one.name == name][-1]

    @property
    def environment(self) -> dict[str, str]:
        """Variables set by ENV; references in their values are not expanded."""
        words = [w for one in self.instructions if one.name == "ENV" for w in one.arguments]
        return dict(word.split("=", 1) for word in words)

    @property
    def health_check(self) -> list[str]:
        """Command of HEALTHCHECK, which must be in exec form."""
        word, _, command = self.last("HEALTHCHECK")._split()[1].partition(" ")
        assert word == "CMD"
        arguments: Any = json.loads(command)
        return [str(argument) for argument in arguments]


def read(path: Path) -> list[Stage]:
    """Parse a Dockerfile; supports only the syntax that our Dockerfiles use."""
    text = re.sub(r"^\s*#.*\n", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    stages: list[Stage] = []
    for line in re.sub(r"\\\n\s*", "", text).splitlines():
        if not line.strip():
            continue
        name, _, rest = line.partition(" ")
        if name == "FROM":
            base, _, stage = rest.partition(" AS ")
            stages.append(Stage(base, stage))
        else:
            stages[-1].instructions.append(Instruction(name, rest.strip()))
    return stages
