"""Makes a failing scenario smaller: leaves out workflows, faults and replicas while it fails for the same reason."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from tests.simulation.run import simulate

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.simulation.scenario import Scenario

T = TypeVar("T")
replace = msgspec.structs.replace


def shrunk(
    scenario: Scenario, *, tell: Callable[[str], Any], fails: Callable[[Scenario], str] | None = None
) -> Scenario:
    """Return the smallest that was found. `fails` names the guarantee that does not hold; empty when all do."""
    fails = fails or (lambda each: simulate(each).guarantee)
    reason = fails(scenario)
    if not reason:
        tell("it does not fail")
        return scenario

    def still(smaller: Scenario) -> bool:
        return fails(smaller) == reason

    before = None
    while before != scenario:
        before = scenario
        scenario = replace(
            scenario, faults=_fewer(scenario.faults, lambda kept, s=scenario: still(replace(s, faults=kept)))
        )
        scenario = replace(
            scenario,
            workflows=_fewer(scenario.workflows, lambda kept, s=scenario: still(replace(s, workflows=kept))),
        )
        scenario = _alone(scenario, still)
        tell(f"{reason}: {len(scenario.workflows)} workflows, {len(scenario.faults)} faults, {scenario.replicas}")
    return scenario


def _fewer(items: tuple[T, ...], still: Callable[[tuple[T, ...]], bool]) -> tuple[T, ...]:
    """Leave out halves, then quarters, then single items (Zeller's ddmin)."""
    size = max(1, len(items) // 2)
    while items:
        place = 0
        while place < len(items):
            kept = items[:place] + items[place + size :]
            if still(kept):
                items = kept
            else:
                place += size
        if size == 1:
            return items
        size //= 2
    return items


def _alone(scenario: Scenario, still: Callable[[Scenario], bool]) -> Scenario:
    """Run one replica of each service where that does."""
    for kind, many in scenario.replicas.items():
        for fewer in range(1, many):
            smaller = replace(scenario, replicas={**scenario.replicas, kind: fewer})
            if still(smaller):
                scenario = smaller
                break
    return scenario
