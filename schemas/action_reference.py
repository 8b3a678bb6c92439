"""The reference of all actions for people, as Markdown, made from `schemas.actions`. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import inspect

from schemas import durations
from schemas.actions import ACTIONS, Action
from schemas.docs import field_docs
from schemas.parameter_check import Field, fields_of

if TYPE_CHECKING:
    from collections.abc import Iterator

_HEAD = """\
# Actions

<!-- Made by `python -m schemas.generate` from schemas/actions.py; do not edit. -->

What a step's `action` may be, and its `parameters`. An action that is idempotent may be tried again even after it was
carried out.

| action | what it does | typical duration | idempotent |
| --- | --- | --- | --- |
"""


def action_reference() -> str:
    """Return the whole page."""
    rows = "".join(
        f"| [{action.name}](#{action.name}) | {action.summary} | {durations.render(action.typical_seconds)} | "
        f"{'yes' if action.idempotent else 'no'} |\n"
        for action in ACTIONS.values()
    )
    return _HEAD + rows + "".join(_section(action) for action in ACTIONS.values())


def _section(action: Action) -> str:
    docs = {name.replace("_", ""): text for name, text in field_docs(action.parameters).items()}
    lines = [f"\n## {action.name}\n", f"{action.summary}\n", "| parameter | what | must be |", "| --- | --- | --- |"]
    for name, field in fields_of(action.parameters).items():
        optional = "" if field.required else " (optional)"
        lines.append(f"| `{name}`{optional} | {docs.get(name.lower(), '')} | {'; '.join(_must(field))} |")
    rules = [" ".join((rule.__doc__ or "").split()) for rule in action.rules]
    return "\n".join(lines) + "\n" + "".join(f"\n{text}\n" for text in rules)


def _must(field: Field) -> Iterator[str]:
    kind = field.type
    if field.words:
        yield field.words
    elif isinstance(kind, inspect.LiteralType):
        yield "one of " + ", ".join(f"`{value}`" for value in kind.values)
    elif isinstance(kind, inspect.IntType):
        yield f"a whole number from {kind.ge}" + (f" to {kind.le}" if kind.le is not None else "")
    elif isinstance(kind, inspect.DictType):
        yield "an object of text values"
