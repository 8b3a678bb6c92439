"""Which steps the expressions of a workflow speak of, each with the way to the expression. Pure.

Reads words, not meaning: whether an expression compiles is the scheduler's planning to say.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from kubernaut.cli.linting.located import Located, node_at
from scheduler.plan import Plan

Way = tuple[str | int, ...]

_TEMPLATE: Final = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_STEP: Final = re.compile(r"\bsteps\s*\[\s*([0-9]{1,7})\s*\]")
_TEXT: Final = re.compile(r"\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'")


def about_others(root: Located, plan: Plan, ways: Mapping[int, Way]) -> Iterator[tuple[int, Way, int, bool]]:
    """Return each reference of an expression to a step that its own step does not wait for.

    As (step, way to the expression, number it refers to, whether that step comes later in any case).
    """
    before = _ancestors(plan)
    for number, step in ways.items():
        for way, text, afterwards in _expressions(root, step):
            allowed = before[number] | ({number} if afterwards else set())
            found = {int(each[1]) for each in _STEP.finditer(_TEXT.sub("''", text))}
            for other in sorted(found & before.keys() - allowed):
                yield number, way, other, other == number or number in before[other]


def _ancestors(plan: Plan) -> dict[int, set[int]]:
    """All steps that have ended before each step is considered."""
    found: dict[int, set[int]] = {}
    for wave in plan.state.waves if plan.state else ():
        for number in wave:
            before = plan.before[number]
            found[number] = set(before).union(*(found[other] for other in before))
    return found


def _expressions(root: Located, step: Way) -> Iterator[tuple[Way, str, bool]]:
    """Return every expression of a step, with whether the step's own result is there when it is looked at.

    Not those that undo it: when a run rolls back, all of its steps have ended.
    """
    ways: list[tuple[Way, bool]] = [((*step, field), False) for field in ("runIf", "skipIf")]
    for field, afterwards in (("preConditions", False), ("postConditions", True)):
        conditions = node_at(root, *step, field)
        ways += [((*step, field, each, "expression"), afterwards) for each in (conditions.inner if conditions else ())]
    for way, afterwards in ways:
        node = node_at(root, *way)
        if node is not None and isinstance(node.value, str):
            yield way, node.value, afterwards
    yield from _templates(root, (*step, "parameters"))


def _templates(root: Located, way: Way) -> Iterator[tuple[Way, str, bool]]:
    start = node_at(root, *way)
    waiting = [] if start is None else [(way, start)]
    while waiting:
        where, node = waiting.pop()
        waiting += [((*where, key), inner) for key, inner in reversed(node.inner.items())]
        if isinstance(node.value, str):
            for found in _TEMPLATE.finditer(node.value):
                yield where, found[1], False
