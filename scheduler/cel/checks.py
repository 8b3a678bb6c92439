"""What planning finds in an expression: what it names, how it loops, what would fail at every evaluation. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from scheduler.cel.functions import FUNCTIONS
from scheduler.cel.limits import DEEPEST_LOOPS, MOST_LOOPS, Run
from scheduler.cel.tree import Call, Const, Fold, Ident, Node, Select, children, walk
from scheduler.cel.values import Failure, Instant, TooCostlyError

NAMES: Final = frozenset({"variables", "steps", "workflow", "now"})
STEP_FIELDS: Final = ("status", "result", "error", "attempts", "name")
WORKFLOW_FIELDS: Final = ("name", "namespace", "uid", "phase", "startedAt")
_CONTROL: Final = frozenset({"_&&_", "_||_", "_?_:_", "@not_strictly_false"})

Finding = tuple[int, str]
"""Where, in characters, and what is wrong."""


def structure(root: Node) -> Iterator[Finding]:
    """What cannot be evaluated here at all, or not within the limits."""
    loops = [part for part in walk(root) if isinstance(part, Fold)]
    if len(loops) > MOST_LOOPS:
        yield (
            loops[MOST_LOOPS].at,
            f"it has {len(loops)} loops (all, exists, map, filter …); the limit is {MOST_LOOPS}",
        )
    yield from _nested(root)
    for part, bound in _with_bound(root):
        if isinstance(part, Ident) and part.name not in bound and part.name not in NAMES:
            yield part.at, f"{part.name} is a type; types are not values here"
        if isinstance(part, Call) and part.function not in FUNCTIONS and part.function not in _CONTROL:
            yield part.at, f"the function {part.function} is not known here"


def _nested(root: Node) -> Iterator[Finding]:
    waiting = [(root, 0)]
    while waiting:
        part, depth = waiting.pop()
        inside = depth + 1 if isinstance(part, Fold) else depth
        if inside > DEEPEST_LOOPS:
            yield part.at, f"a loop within {depth} others; at most {DEEPEST_LOOPS} may be within each other"
            return
        over = part.over if isinstance(part, Fold) else None
        waiting.extend((child, depth if child is over else inside) for child in children(part))


def _with_bound(root: Node) -> Iterator[tuple[Node, frozenset[str]]]:
    """Yield each part with the names that macros around it bind."""
    waiting: list[tuple[Node, frozenset[str]]] = [(root, frozenset())]
    while waiting:
        part, bound = waiting.pop()
        yield part, bound
        inside = bound | {part.variable, part.carried} if isinstance(part, Fold) else bound
        over = part.over if isinstance(part, Fold) else None
        waiting.extend((child, bound if child is over else inside) for child in children(part))


def names(root: Node, steps: frozenset[int] | None, variables: frozenset[str] | None) -> Iterator[Finding]:
    """Steps, variables and fields that are named and do not exist."""
    for part, bound in _with_bound(root):
        match part:
            case Call(function="_[_]", arguments=(Ident(name="steps"), Const(value=number))) if "steps" not in bound:
                if steps is not None and number not in steps:
                    yield part.at, f"there is no step {number}; {_some('the steps are', sorted(steps))}"
            case Select(operand=Call(function="_[_]", arguments=(Ident(name="steps"), _))) if "steps" not in bound:
                if part.field not in STEP_FIELDS:
                    yield part.at, f"a step has no {part.field[:64]}; it has {', '.join(STEP_FIELDS)}"
            case Select(operand=Ident(name="workflow")) if "workflow" not in bound:
                if part.field not in WORKFLOW_FIELDS:
                    yield part.at, f"workflow has no {part.field[:64]}; it has {', '.join(WORKFLOW_FIELDS)}"
            case Select(operand=Ident(name="variables"), test=False) if "variables" not in bound:
                if variables is not None and part.field not in variables:
                    known = _some("the variables are", sorted(variables)) if variables else "there are none"
                    yield part.at, f"there is no variable {part.field[:64]}; {known}"


def steps_in(root: Node) -> frozenset[int] | None:
    """Return the numbers of the steps that an expression can look at; None when it may look at any."""
    found, seen = set(), 0
    for part in walk(root):
        if isinstance(part, Ident) and part.name == "steps":
            seen += 1
        match part:
            case Call(function="_[_]", arguments=(Ident(name="steps"), Const(value=int() as number))):
                found.add(number)
                seen -= 1
    return None if seen else frozenset(found)


def constants(root: Node) -> Iterator[Finding]:
    """Calls on literals that fail whenever they are evaluated, such as duration('5 minutes')."""
    for part in walk(root):
        if not isinstance(part, Call) or part.function not in FUNCTIONS:
            continue
        values = [_literal(part.function, place, each) for place, each in enumerate(part.arguments)]
        if not any(value is _UNKNOWN for value in values):
            try:
                FUNCTIONS[part.function](Run({}), *values)
            except Failure as failure:
                yield part.at, failure.message
            except TooCostlyError as error:
                yield part.at, str(error)


_UNKNOWN: Final = object()


def _literal(function: str, place: int, node: Node) -> Any:
    if isinstance(node, Const):
        return node.value
    if place == 0 and function == "matches":
        return ""  # any text tells whether the pattern is one
    return Instant(0) if place == 0 and function.startswith("get") else _UNKNOWN


def _some(words: str, known: list[Any]) -> str:
    shown = ", ".join(str(each)[:32] for each in known[:12])
    return f"{words} {shown}{' …' if len(known) > 12 else ''}"  # noqa: PLR2004 - what a person can still read
