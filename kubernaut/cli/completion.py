"""Completions in the form in which kubectl asks for those of a plugin: one a line, then a directive."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import click
from click.shell_completion import ShellComplete

from kubernaut.cli.help_texts import PROGRAM

_FILES: Final = ":0"
_NO_FILES: Final = ":4"
"""Directives of cobra, which kubectl is made with: what the shell may add by itself."""


def completions_for_kubectl(group: click.Command, words: Sequence[str]) -> str:
    """Return the answer for a command line; `words` come after the name of the plugin, the last one is unfinished."""
    *before, unfinished = words or [""]
    found = ShellComplete(group, {}, PROGRAM, "").get_completions(list(before), unfinished)
    lines = [f"{one.value}\t{one.help}" if one.help else str(one.value) for one in found if one.type == "plain"]
    files = any(one.type in {"file", "dir"} for one in found)
    return "\n".join([*lines, _FILES if files else _NO_FILES])
