"""How the program calls itself, and commands whose help has examples. Must stay cheap to import: help is fast."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Final

import click

PROGRAM: Final = "kubernaut"
PLUGIN: Final = "kubectl-kubernaut"
"""A link of this name on the PATH makes the program a plugin of kubectl."""
PLUGIN_COMPLETION: Final = "kubectl_complete-kubernaut"
"""kubectl asks a program of this name for the completions of its plugin (1.26 and newer)."""


def called_as(argument: str) -> str:
    """Return how a person calls the program that was started as `argument` (sys.argv[0])."""
    return "kubectl kubernaut" if Path(argument).stem.startswith(PLUGIN) else PROGRAM


def completes_for_kubectl(argument: str) -> bool:
    """Whether the program that was started as `argument` is to answer kubectl's question for completions."""
    return Path(argument).stem == PLUGIN_COMPLETION


def this_program() -> str:
    """Return how this process was called."""
    return called_as(sys.argv[0])


class Exemplary(click.Command):
    """A command with examples: each a line to type, without the name of the program, and what it does."""

    def __init__(self, *args: Any, examples: tuple[tuple[str, str], ...] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.examples = examples

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples as the program is called."""
        if self.examples:
            program = ctx.find_root().info_name or PROGRAM
            with formatter.section("Examples"):
                for words, meaning in self.examples:
                    formatter.write_text(f"{program} {words}")
                    with formatter.indentation():
                        formatter.write_text(meaning)
        super().format_epilog(ctx, formatter)
