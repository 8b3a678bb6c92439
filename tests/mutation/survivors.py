"""The mutants of the pure core that no test kills, each with the reason: what the files in survivors/ hold, as values.

`make mutants` fails for any other that survives, and for any of these that does not. Left out are mutants of mere
wording (`is_wording`).

A mutant is known by what it does to which function, not by a number, so that an edit elsewhere does not rename it.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Final

import msgspec

FOLDER: Final = Path(__file__).with_name("survivors")
"""A file for each module that has some."""
_TEXT: Final = re.compile(r'"(?:[^"\\]|\\.)*"|' r"'(?:[^'\\]|\\.)*'")


class Mutant(msgspec.Struct, frozen=True, order=True):
    """One change: the lines of a function (`waves`, `Run.spend`) that it takes out and those that it puts there.

    Both are without line breaks and indentation; `becomes` is empty when lines are only left out.
    """

    module: str
    function: str
    was: str
    becomes: str


class Survivor(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An entry: one line of a function, what it may become unnoticed, and why that is right."""

    function: str
    was: str
    becomes: list[str]
    reason: str
    module: str = ""
    """Said once in its file."""

    def mutants(self) -> set[Mutant]:
        """Return the mutants that the reason speaks of."""
        return {Mutant(self.module, self.function, self.was, each) for each in self.becomes}


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    module: str
    survivor: list[Survivor]


def survivors() -> list[Survivor]:
    """Return all entries. Raises msgspec.ValidationError when one lacks something."""
    files = [msgspec.convert(tomllib.loads(file.read_text()), _File) for file in sorted(FOLDER.glob("*.toml"))]
    return [msgspec.structs.replace(each, module=file.module) for file in files for each in file.survivor]


def on_one_line(text: str) -> str:
    """Return code without its line breaks and indentation."""
    return " ".join(text.split())


def is_wording(mutant: Mutant) -> bool:
    """Whether only sentences differ: texts with a space in them (mutmut puts XX round them).

    One reason stands for all of these: a test that held every word of a message would only restate it. What a message
    must name (the thing, the way out) is in an f-string or tested by name.
    """
    return _without_sentences(mutant.was) == _without_sentences(mutant.becomes)


def _without_sentences(code: str) -> str:
    return _TEXT.sub(lambda text: '""' if " " in text[0] else text[0], code)
