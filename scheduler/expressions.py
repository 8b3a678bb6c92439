"""Expressions of users: CEL over variables, steps, workflow and now. Pure, total, bounded, the same on any machine.

Bounds, none of which is a clock: 4096 characters, 32 levels of nesting (the parser's own), 16 loops, 2 of them within
each other, 20,000 units of work, texts of 32 KiB, results of 32 KiB as JSON. What is past one is an ExpressionError,
never a crash or a hang. Maps are gone through in the order in which they were written. The worst that was found within
the bounds takes 15 ms on one core; what people write takes 2 to 6 us once it is compiled, which takes 0.1 to 0.4 ms.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final

import msgspec

from scheduler.cel import checks, syntax
from scheduler.cel.limits import DEEPEST_VALUE, MOST_CHARACTERS, MOST_COST, MOST_TEXT, Run
from scheduler.cel.program import Closure, build
from scheduler.cel.tree import Node
from scheduler.cel.values import Failure, Instant, Span, TooCostlyError, kind_of, text_of
from schemas.redaction import redact

SHOWN_CHARACTERS: Final = 80
REMEMBERED_CHARACTERS: Final = 128 * 1024
"""Of expressions kept compiled, the last used ones; about 300 bytes of memory for each."""


class ExpressionError(ValueError):
    """An expression is wrong or gave no value; the text names it, the place and what is wrong."""


class Scope(msgspec.Struct, frozen=True, kw_only=True):
    """What the names in an expression mean."""

    variables: dict[str, str]
    steps: dict[int, dict[str, Any]]
    """By number: status, result (a map), error, attempts, name."""
    workflow: dict[str, Any]
    """name, namespace, uid, phase, startedAt (in ms since 1970; a point in time in the expression)."""
    now: int
    """Milliseconds since 1970; a point in time in the expression."""


class Budget:
    """What several evaluations together may cost; one of its own is made for an evaluation that is given none."""

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = MOST_COST


class _Compiled(msgspec.Struct, frozen=True):
    """An expression ready to be evaluated, or what is wrong with it."""

    wrong: str = ""
    root: Node | None = None
    gives: str = ""
    closure: Closure | None = None
    steps: frozenset[int] | None = None
    """Those that it can look at; None for any."""


_remembered: OrderedDict[str, _Compiled] = OrderedDict()
_remembered_characters = 0


def problem(
    text: str, *, steps: frozenset[int] | None = None, boolean: bool, variables: frozenset[str] | None = None
) -> str | None:
    """Return what is wrong with an expression, as far as planning can know; None when nothing is.

    `steps` and `variables` are those that exist, when they are to be looked up. `boolean`: it must give true or false.
    """
    compiled = _compiled(text)
    if compiled.root is None:
        return compiled.wrong
    found = [*checks.names(compiled.root, steps, variables), *checks.constants(compiled.root)]
    if found:
        return _told(text, *min(found))
    if boolean and compiled.gives not in {"BOOL", "DYN"}:
        return _told(text, 0, f"it must give true or false, but gives {compiled.gives.lower()}")
    return None


def steps_in(text: str) -> frozenset[int] | None:
    """Return the numbers of the steps that an expression can look at; None when it may look at any."""
    return _compiled(text).steps


def evaluate(text: str, scope: Scope, budget: Budget | None = None) -> Any:
    """Return the value of an expression as JSON has it: points in time and durations are text, keys of maps are text.

    Raises ExpressionError.
    """
    return _run(text, scope, _as_json, budget or Budget())


def holds(text: str, scope: Scope) -> bool:
    """Whether an expression is true. Raises ExpressionError, also when it gives anything but true or false."""
    return bool(_run(text, scope, _as_boolean, Budget()))


def _run(text: str, scope: Scope, finish: Callable[[Run, Any], Any], budget: Budget) -> Any:
    compiled = _compiled(text)
    if compiled.closure is None:
        raise ExpressionError(compiled.wrong)
    run = Run(_names(scope), budget.left)
    try:
        return finish(run, compiled.closure(run))
    except Failure as failure:
        raise ExpressionError(_told(text, failure.at, failure.message)) from None
    except TooCostlyError as error:
        raise ExpressionError(_told(text, None, str(error))) from None
    finally:
        budget.left = run.left


def _names(scope: Scope) -> dict[str, Any]:
    workflow = scope.workflow
    if "startedAt" in workflow:
        workflow = workflow | {"startedAt": Instant(workflow["startedAt"] * 1_000_000)}
    now = Instant(scope.now * 1_000_000)
    return {"variables": scope.variables, "steps": scope.steps, "workflow": workflow, "now": now}


def _compiled(text: str) -> _Compiled:
    global _remembered_characters  # noqa: PLW0603 - a memo: what it holds changes no answer
    known = _remembered.get(text)
    if known is not None:
        _remembered.move_to_end(text)
        return known
    compiled = _compile(text)
    if len(text) <= MOST_CHARACTERS:
        _remembered[text] = compiled
        _remembered_characters += len(text)
        while _remembered_characters > REMEMBERED_CHARACTERS:
            _remembered_characters -= len(_remembered.popitem(last=False)[0])
    return compiled


def _compile(text: str) -> _Compiled:
    if len(text) > MOST_CHARACTERS:
        return _Compiled(wrong=_told(text, None, f"it has {len(text)} characters; the limit is {MOST_CHARACTERS}"))
    try:
        checked = syntax.read(text)
    except syntax.Unreadable as error:
        return _Compiled(wrong=_told(text, (error.line, error.column) if error.line else None, error.message))
    for at, wrong in checks.structure(checked.root):
        return _Compiled(wrong=_told(text, at, wrong))
    return _Compiled(
        root=checked.root, gives=checked.gives, closure=build(checked.root), steps=checks.steps_in(checked.root)
    )


def _told(text: str, where: int | tuple[int, int] | None, wrong: str) -> str:
    """Name the expression and the place: an offset in characters, or line and column."""
    if isinstance(where, int):
        before = text[:where]
        where = (before.count("\n") + 1, where - (before.rfind("\n") + 1) + 1)
    place = f" at {where[0]}:{where[1]}" if where else ""
    cut = text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}…"
    shown = cut.encode("utf-8", "replace").decode().replace("\n", " ")
    return f"expression {redact(shown)!r}{place}: {wrong}"


def _as_boolean(_run: Run, value: Any) -> bool:
    if isinstance(value, bool):
        return value
    raise Failure(f"it must give true or false, but gives {kind_of(value)}", 0)


def _as_json(run: Run, value: Any) -> Any:
    plain = _plain(run, value, 0)
    try:
        size = len(msgspec.json.encode(plain))
    except (UnicodeEncodeError, ValueError, TypeError, OverflowError):
        raise Failure("its value cannot be written as JSON", 0) from None
    if size > MOST_TEXT:
        raise TooCostlyError(f"its value has {size} bytes as JSON; the limit is {MOST_TEXT}")
    return plain


def _plain(run: Run, value: Any, depth: int) -> Any:
    """Return a value without points in time and durations, and nothing that JSON cannot hold; pays for each part."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, str):
        run.spend(len(value) // 64)
        return value
    if isinstance(value, float):
        if value - value == 0:
            return value
        raise Failure("its value is not a number that JSON can hold", 0)
    if isinstance(value, Instant | Span):
        return text_of(value)
    if depth == DEEPEST_VALUE:
        raise TooCostlyError(f"its value is nested deeper than {DEEPEST_VALUE} levels")
    if isinstance(value, dict):
        run.spend(1 + len(value))
        return {str(key): _plain(run, inner, depth + 1) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        run.spend(1 + len(value))
        return [_plain(run, inner, depth + 1) for inner in value]
    raise Failure(f"its value is {kind_of(value)}", 0)
