"""The checked syntax tree of an expression, as plain data. Pure.

`at` is where in the text a part begins, in characters; macros are folds already.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

import msgspec


class Const(msgspec.Struct, frozen=True):
    """A literal: null, a boolean, a number or text."""

    at: int
    value: Any


class Ident(msgspec.Struct, frozen=True):
    """A name: of the scope, or bound by a macro."""

    at: int
    name: str


class Select(msgspec.Struct, frozen=True):
    """`operand.field`; `has(operand.field)` when `test`."""

    at: int
    operand: Node
    field: str
    test: bool


class Call(msgspec.Struct, frozen=True):
    """An operator or a function; a method's object is its first argument."""

    at: int
    function: str
    arguments: tuple[Node, ...]


class Items(msgspec.Struct, frozen=True):
    """`[a, b]`."""

    at: int
    items: tuple[Node, ...]


class Pairs(msgspec.Struct, frozen=True):
    """`{a: b}`."""

    at: int
    pairs: tuple[tuple[Node, Node], ...]


class Fold(msgspec.Struct, frozen=True):
    """What `all`, `exists`, `exists_one`, `map` and `filter` mean: a loop that carries `result` on."""

    at: int
    over: Node
    variable: str
    carried: str
    start: Node
    condition: Node
    step: Node
    result: Node


Node: TypeAlias = Const | Ident | Select | Call | Items | Pairs | Fold


def children(node: Node) -> tuple[Node, ...]:
    """Return what a part is made of."""
    match node:
        case Select():
            return (node.operand,)
        case Call():
            return node.arguments
        case Items():
            return node.items
        case Pairs():
            return tuple(part for pair in node.pairs for part in pair)
        case Fold():
            return (node.over, node.start, node.condition, node.step, node.result)
        case _:
            return ()


def walk(node: Node) -> Iterator[Node]:
    """Yield a tree's parts, each before what it is made of."""
    waiting = [node]
    while waiting:
        part = waiting.pop()
        yield part
        waiting.extend(reversed(children(part)))


def size(node: Node) -> int:
    """Return how many parts a tree has: what it costs to evaluate it once."""
    return sum(1 for _ in walk(node))
