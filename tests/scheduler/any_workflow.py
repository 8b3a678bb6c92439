"""Hypothesis strategies: any workflow, as a model and as the object that a user writes."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from tests.scheduler.builders import a_workflow
from tests.scheduler.model import FATES, IDEMPOTENT, Asked, Model, ModelStep, Term, written

ACTIONS = st.sampled_from(list(IDEMPOTENT))
WORDS = st.sampled_from(list(FATES))
TRUE_OR_FALSE = st.sampled_from([False, True])


def _terms(number: int, after: frozenset[int], *, own: bool) -> st.SearchStrategy[Term]:
    plain = [Term("yes"), Term("no"), Term("variable")]
    named = [Term(kind, step) for step in sorted(after) for kind in ("completed", "failed", "result")]
    return st.sampled_from([*plain, *named, *([Term("result", number)] * 2 if own else [])])


def _seldom(of: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Mostly nothing: a workflow in which every step has every setting hardly ever gets far."""
    return st.one_of(st.none(), st.none(), st.none(), of)


@st.composite
def _a_step(pick: st.DrawFn, number: int, earlier: list[int], *, can_roll_back: bool, may_end_it: bool) -> ModelStep:
    after = frozenset(pick(st.sets(st.sampled_from(earlier), max_size=3))) if earlier else frozenset[int]()
    failures = ["fail", "retry", "skip", *(["rollback"] if can_roll_back else [])]

    def conditions(*, own: bool) -> tuple[Asked, ...]:
        one = st.builds(Asked, _terms(number, after, own=own), st.sampled_from(failures))
        return tuple(pick(_seldom(st.lists(one, min_size=1, max_size=2))) or ())

    action = pick(ACTIONS)
    takes = pick(_seldom(st.sampled_from(sorted(after)))) if after and action == "scale_deployment" else None
    return ModelStep(
        number=number,
        after=after,
        action=action,
        takes=takes or 0,
        critical=may_end_it and pick(TRUE_OR_FALSE),
        retries=pick(st.integers(0, 2)),
        run_if=pick(_seldom(_terms(number, after, own=False))),
        skip_if=pick(_seldom(_terms(number, after, own=False))),
        before=conditions(own=False),
        behind=conditions(own=True),
        undo=pick(st.one_of(st.just(""), ACTIONS)),
        fates=tuple(pick(_seldom(st.lists(WORDS, max_size=3))) or ()),
        undo_fates=tuple(pick(_seldom(st.lists(WORDS, max_size=3))) or ()),
    )


@st.composite
def models(pick: st.DrawFn, *, most: int = 8) -> Model:
    """Any acyclic graph of steps with any settings; numbers rise along it or fall.

    In half of them no step may end the run, so that all are settled in the end.
    """
    count = pick(st.integers(1, most))
    numbers = list(range(1, count + 1))
    if pick(TRUE_OR_FALSE):
        numbers.reverse()
    strategy = pick(st.sampled_from(["manual", "automatic", "none"]))
    may_end_it = pick(TRUE_OR_FALSE)
    kinds = {"can_roll_back": strategy != "none" and may_end_it, "may_end_it": may_end_it}
    steps = {number: pick(_a_step(number, numbers[:place], **kinds)) for place, number in enumerate(numbers)}
    checks = pick(_seldom(st.lists(st.tuples(TRUE_OR_FALSE, TRUE_OR_FALSE), max_size=2)))
    dry = st.dictionaries(st.sampled_from(sorted(steps)), WORDS, max_size=1)
    return Model(
        steps=steps,
        variables={"go": pick(st.sampled_from(["yes", "no"]))},
        strategy=strategy,
        checks=tuple(checks or ()),
        dry_runs=pick(_seldom(dry)),
    )


CHECK_TYPES = ("rbac", "capacity", "health", "network")


@st.composite
def workflows(pick: st.DrawFn, model: Model, *, hurried: bool) -> dict[str, Any]:
    """The object of a model. `hurried`: its timeouts may end the run before its steps do."""
    steps = []
    for step in model.steps.values():
        more: dict[str, Any] = {"timeout": pick(st.sampled_from(["10s", "2m"]))}
        policy = pick(st.sampled_from([None, {"initialDelay": "0s"}, {"initialDelay": "1m"}]))
        steps.append(written(step, **more | ({"retryPolicy": policy} if policy else {})))
    strategy: dict[str, Any] = {
        "rollbackStrategy": model.strategy,
        "parallelismLimit": pick(st.integers(1, 5)),
        "dryRunFirst": model.dry_runs is not None,
        "safetyChecks": [
            {"type": CHECK_TYPES[place], "required": required} for place, (required, _) in enumerate(model.checks)
        ],
        "workflowTimeout": pick(st.sampled_from(["30s", "5m", "20m"])) if hurried else "4h",
        "approvalRequired": hurried and bool(pick(_seldom(st.just(True)))),
        "monitoring": pick(
            st.sampled_from([{"window": "0s"}, {"window": "5s", "timeout": "1m"}, {"window": "1m", "timeout": "1m"}])
        )
        if hurried
        else {"window": "0s"},
        "ttlAfterFinished": pick(st.sampled_from(["24h", "24h", "0s"])),
    }
    adaptive = {"optimizationEnabled": pick(TRUE_OR_FALSE)}
    definition = {"variables": model.variables}
    return a_workflow(*steps, executionStrategy=strategy, adaptiveOrchestration=adaptive, definition=definition)
