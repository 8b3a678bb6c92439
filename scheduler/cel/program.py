"""Compiles a checked tree into closures, once, so that an evaluation costs little. Pure.

A closure takes the `Run` and gives the value, or raises Failure with the place. Rounds of loops are paid for before
they are made; everything else in an expression is bounded by its length.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from scheduler.cel.functions import FUNCTIONS, is_key
from scheduler.cel.limits import FAILURE_COST, Run
from scheduler.cel.tree import Call, Const, Fold, Ident, Items, Node, Pairs, Select, size
from scheduler.cel.values import Failure, kind_of

Closure = Callable[[Run], Any]

_ABSENT: Final = object()


def build(node: Node) -> Closure:  # noqa: C901, PLR0911 - one flat table, a row a kind of part
    """Return what evaluates a part of a tree. The tree must have passed `scheduler.cel.checks`."""
    match node:
        case Const(value=value):
            return lambda _run: value
        case Ident(name=name):
            return _name(name)
        case Select():
            return _has(node) if node.test else _select(node)
        case Call(function="_&&_" | "_||_"):
            return _logic(node, decides=node.function == "_||_")
        case Call(function="_?_:_"):
            return _choice(node)
        case Call(function="@not_strictly_false"):
            return _not_strictly_false(node)
        case Call():
            return _call(node)
        case Items():
            parts = tuple(build(item) for item in node.items)
            return lambda run: [part(run) for part in parts]
        case Pairs():
            return _pairs(node)
        case Fold():
            return _gather(node) or _fold(node)


def _name(name: str) -> Closure:
    def get(run: Run) -> Any:
        if name not in run.bound:
            return run.names[name]
        value = run.bound[name]
        if isinstance(value, Failure):
            raise Failure(value.message, value.at)  # anew: an exception that is raised again grows by its traceback
        return value

    return get


def _select(node: Select) -> Closure:
    operand, field, at = build(node.operand), node.field, node.at

    def select(run: Run) -> Any:
        value = operand(run)
        if isinstance(value, dict):
            found = value.get(field, _ABSENT)
            if found is not _ABSENT:
                return found
            raise Failure(f"there is no {field[:64]}; ask with has() first", at)
        raise Failure(f"{kind_of(value)} has no field {field[:64]}", at)

    return select


def _has(node: Select) -> Closure:
    operand, field, at = build(node.operand), node.field, node.at

    def has(run: Run) -> bool:
        value = operand(run)
        if isinstance(value, dict):
            return field in value
        raise Failure(f"{kind_of(value)} has no field {field[:64]}", at)

    return has


def _logic(node: Call, *, decides: bool) -> Closure:
    """For && and ||: a side that decides alone does so even when the other fails."""
    left, right = (build(argument) for argument in node.arguments)
    name, at = node.function[1:-1], node.at

    def boolean(side: Closure, run: Run) -> bool:
        value = side(run)
        if isinstance(value, bool):
            return value
        raise Failure(f"{name} does not work on {kind_of(value)}", at)

    def logic(run: Run) -> bool:
        try:
            if boolean(left, run) is decides:
                return decides
        except Failure:
            run.spend(FAILURE_COST)
            if boolean(right, run) is decides:
                return decides
            raise
        return boolean(right, run)

    return logic


def _choice(node: Call) -> Closure:
    condition, yes, no = (build(argument) for argument in node.arguments)
    at = node.at

    def choose(run: Run) -> Any:
        value = condition(run)
        if isinstance(value, bool):
            return yes(run) if value else no(run)
        raise Failure(f"? does not work on {kind_of(value)}", at)

    return choose


def _not_strictly_false(node: Call) -> Closure:
    argument = build(node.arguments[0])

    def go_on(run: Run) -> bool:
        try:
            return argument(run) is not False
        except Failure:
            return True

    return go_on


def _call(node: Call) -> Closure:
    function, at = FUNCTIONS[node.function], node.at
    parts = tuple(build(argument) for argument in node.arguments)
    first, last = parts[0], parts[-1]

    def one(run: Run) -> Any:
        try:
            return function(run, first(run))
        except Failure as failure:
            raise _placed(failure, at) from None

    def two(run: Run) -> Any:
        try:
            return function(run, first(run), last(run))
        except Failure as failure:
            raise _placed(failure, at) from None

    return one if len(parts) == 1 else two


def _placed(failure: Failure, at: int) -> Failure:
    return Failure(failure.message, at) if failure.at is None else failure


def _pairs(node: Pairs) -> Closure:
    parts = tuple((build(key), build(value), key.at) for key, value in node.pairs)

    def make(run: Run) -> dict[Any, Any]:
        made: dict[Any, Any] = {}
        for key_part, value_part, at in parts:
            key = key_part(run)
            if not is_key(key):
                raise Failure(f"{kind_of(key)} cannot be a key of a map; only text and whole numbers can", at)
            if key in made:
                raise Failure("the map has the same key twice", at)
            made[key] = value_part(run)
        return made

    return make


def _elements(over: Closure, at: int) -> Closure:
    def elements(run: Run) -> Any:
        group = over(run)
        if isinstance(group, list | tuple | dict):
            return group  # a map gives its keys, in the order in which it was written
        raise Failure(f"{kind_of(group)} cannot be looped over", at)

    return elements


def _gather(node: Fold) -> Closure | None:
    """For map and filter: what would be put together anew each round is added to one list instead."""
    test: Node | None = None
    match node:
        case Fold(start=Items(), step=Call(function="_+_", arguments=(_, Items(items=(added,))))):
            pass
        case Fold(start=Items(), step=Call(arguments=(test, Call(arguments=(_, Items(items=(added,)))), _))):
            pass
        case _:
            return None
    chosen = build(test) if test is not None else lambda _run: True
    value, elements, variable = build(added), _elements(build(node.over), node.over.at), node.variable
    cost, at = size(node.step), node.at

    def gather(run: Run) -> list[Any]:
        found = []
        before = run.bound.get(variable, _ABSENT)
        for element in elements(run):
            run.spend(cost)
            run.bound[variable] = element
            verdict = chosen(run)
            if not isinstance(verdict, bool):
                raise Failure(f"filter does not work on {kind_of(verdict)}", at)
            if verdict:
                found.append(value(run))
        _restore(run, variable, before)
        return found

    return gather


def _fold(node: Fold) -> Closure:
    """For all, exists and exists_one: a failure is carried on, because a later element may decide all the same."""
    elements, start = _elements(build(node.over), node.over.at), build(node.start)
    condition, step, result = build(node.condition), build(node.step), build(node.result)
    variable, carried = node.variable, node.carried
    cost = size(node.condition) + size(node.step)

    def fold(run: Run) -> Any:
        before, outer = run.bound.get(variable, _ABSENT), run.bound.get(carried, _ABSENT)
        group = elements(run)
        value: Any = start(run)
        for element in group:
            run.spend(cost)
            run.bound[carried] = value
            if not condition(run):
                break
            run.bound[variable] = element
            try:
                value = step(run)
            except Failure as failure:
                run.spend(FAILURE_COST)
                value = failure
        _restore(run, variable, before)
        run.bound[carried] = value
        try:
            return result(run)
        finally:
            _restore(run, carried, outer)

    return fold


def _restore(run: Run, name: str, before: Any) -> None:
    if before is _ABSENT:
        run.bound.pop(name, None)
    else:
        run.bound[name] = before
