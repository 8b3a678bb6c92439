"""Where nothing but the workflow and the executor decides, a run ends as the naive model says, in any order."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.messages import RunCheck
from tests.scheduler import guarantees
from tests.scheduler.any_workflow import models, workflows
from tests.scheduler.fake_cluster import Made
from tests.scheduler.model import Model, Word
from tests.scheduler.profiles import LONG, TIMEOUT_SECONDS, quick
from tests.scheduler.world import ROUNDS, Choose, World

pytestmark = pytest.mark.timeout(TIMEOUT_SECONDS)


@quick(120)
@given(models(most=10 if LONG else 6), st.data(), st.lists(st.integers(0, 5), max_size=60))
def test_a_run_that_nobody_disturbs_ends_as_the_model_says(model: Model, data: st.DataObject, order: list[int]) -> None:
    """Whatever the order in which the cluster, the bridge and the line do their part."""
    world = World(data.draw(workflows(model, hurried=False)))

    _run(world, model, lambda count: order.pop() % count if order else 0)

    _ended_as_expected(world, model)
    world.settle()
    guarantees.check_end(world)


def _run(world: World, model: Model, choose: Choose) -> None:
    """Let everything happen, one thing at a time, until the run is over; time passes only when nothing else can."""
    world.watch()
    for _ in range(ROUNDS):
        acts = world.acts(choose, lambda made: _fate(model, made), lambda check: _passes(model, check))
        if acts:
            acts[choose(len(acts))]()
        elif world.ended:
            return
        else:
            world.pass_time(max(world.due() - world.clock, 1))
    raise AssertionError(f"not over after {ROUNDS} rounds: {world.state}")


def _passes(model: Model, check: RunCheck) -> bool:
    return model.checks[int(check.check.removeprefix("check-")) - 1][1] if check.check.startswith("check-") else True


def _fate(model: Model, made: Made) -> Word:
    """What the executor makes of it; nothing where it never ends."""
    step, attempt = model.steps[made.create.step], made.create.attempt
    if made.create.purpose == "dry_run":
        word = (model.dry_runs or {}).get(step.number, "ok 1")
    else:
        fates = step.fates if made.create.purpose == "execute" else step.undo_fates
        word = fates[attempt - 1] if attempt <= len(fates) else "ok 1"
    return "" if word == "never ends" else word


def _ended_as_expected(world: World, model: Model) -> None:
    state = world.state
    phases = {step.number: step.phase for step in state.steps}
    if refused := model.refused():
        assert ("failed", set(phases.values())) == (state.phase, {"cancelled"})
        assert refused in {each.reason for decision in world.chain for each in decision.transitions}
    elif not model.closers():
        ends = {number: model.end_of(number) for number in model.steps}
        assert {number: end.phase for number, end in ends.items()} == phases
        assert {number: end.retries for number, end in ends.items()} == {s.number: s.retries for s in state.steps}
        outcome = "partial_success" if "failed" in phases.values() else "success"
        assert ("completed", outcome) == (state.phase, state.outcome)
    else:
        assert ("failed", "failed") == (state.phase, state.outcome)
        assert any(phases[step.number] == "failed" for step in model.closers())
        for number, phase in phases.items():
            assert phase in _may_end(model, number), number
        rolls_back = model.rolls_back()
        assert rolls_back is None or rolls_back == bool(state.rollbacks)
        _undone_as_expected(world, model)


def _may_end(model: Model, number: int) -> set[str]:
    """How a step may end in a run that ends early: not at all, or as it would have, maybe without its last retries."""
    end = model.end_of(number)
    return (
        {end.phase, "cancelled"}
        | ({"failed"} if end.troubled else set())
        | ({"rolled_back"} if end.phase == "completed" else set())
    )


def _undone_as_expected(world: World, model: Model) -> None:
    """Every completed step that can be undone was, if its rollback may succeed."""
    state = world.state
    if not state.rollbacks:
        assert "rolled_back" not in {step.phase for step in state.steps}
        return
    failed = False
    for step, side in zip(state.steps, state.rollbacks, strict=True):
        planned = model.steps[step.number]
        if step.phase not in {"completed", "rolled_back"}:
            assert "not_done" == side.reason
        elif not model.undo_of(planned):
            assert ("completed", "no_rollback_spec") == (step.phase, side.reason)
        else:
            assert ("rolled_back" if model.undone(planned) else "completed") == step.phase
            failed = failed or step.phase == "completed"
    assert failed == state.rollback_failed
