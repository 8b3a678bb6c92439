"""What keeps a step waiting is all of it and nothing else, as the real `decide` has it."""

from __future__ import annotations

from hypothesis import given, settings

from executor_bridge import reasons as kinds
from executor_bridge.reasons import Reason
from kubernaut.explain.step_reasons import reasons
from schemas.workflow_status import TERMINAL_PHASES, TERMINAL_STEP_PHASES
from tests.explain.taking_away import ROUNDS, Steered, runs, take_away

ONLY_WORDS = (kinds.Condition, kinds.Doomed, kinds.Skipped)
"""Said, but taken away by no fact of their own."""
NEEDS_NONE = (kinds.Slot, kinds.Resume)
BY_ITS_CONDITION = {"run_if_false", "skip_if_true"}


def open_steps(run: Steered) -> list[int]:
    """The steps that have not ended, or that are to be undone and were not."""
    state = run.state
    if state.phase in TERMINAL_PHASES:
        return []
    if state.phase == "rolling_back":
        return [
            side.number
            for side, step in zip(state.rollbacks, state.steps, strict=True)
            if side.phase not in TERMINAL_STEP_PHASES and step.phase == "completed"
            if run.plan.step(step.number).rollback_spec is not None
        ]
    begun = {step.number for step in state.steps if step.phase in TERMINAL_STEP_PHASES}
    return sorted(run.plan.place.keys() - begun)


def went_on(before: Steered, after: Steered, number: int) -> str:
    """What became of the step that waited: started, undone, decided (by itself) or ended; empty while it waits."""
    fresh = after.decisions[len(before.decisions) :]
    for decision in fresh:
        for change in decision.transitions:
            if change.step == number and change.after in TERMINAL_STEP_PHASES:
                return "decided" if change.reason in BY_ITS_CONDITION else change.reason
        for command in decision.commands:
            if getattr(command, "step", 0) == number and getattr(command, "purpose", "") in {"execute", "rollback"}:
                return "started"
    place = after.plan.place[number]
    if after.state.phase == "rolling_back" or before.state.phase == "rolling_back":
        side = after.state.rollbacks[place]
        return side.reason or side.phase if side.phase in TERMINAL_STEP_PHASES else ""
    return ""


def removable(found: tuple[Reason, ...]) -> list[Reason]:
    """The reasons that a fact takes away."""
    return [each for each in found if not isinstance(each, ONLY_WORDS)]


@settings(max_examples=300, deadline=None)
@given(runs())
def test_whatever_has_not_ended_waits_for_something_that_can_be_said(run: Steered) -> None:
    """No step waits without a reason, and one that will never run says nothing but why."""
    for number in open_steps(run):
        found = reasons(run.plan, run.state, number)

        assert removable(found)
        assert len(found) == 1 or not any(isinstance(each, kinds.Closing) for each in found)


@settings(max_examples=300, deadline=None)
@given(runs())
def test_once_all_reasons_are_gone_the_step_runs(run: Steered) -> None:
    """Or its own condition decides against it, which was said; or others took the places that came free by it."""
    for number in open_steps(run):
        found = reasons(run.plan, run.state, number)
        if any(isinstance(each, kinds.Closing) for each in found):
            continue
        tried, left = run.fork(), found
        for _ in range(ROUNDS):
            take_away(tried, left)
            if went_on(run, tried, number):
                break
            left = reasons(tried.plan, tried.state, number)
            assert {kinds.Slot} == {type(each) for each in removable(left)}
            assert len(run.plan.place) > run.plan.limit

        became = went_on(run, tried, number)
        assert became in _promised(found)


def _promised(found: tuple[Reason, ...]) -> set[str]:
    if any(isinstance(each, kinds.Flight) for each in found):
        return {"completed", "skipped_by_person", "rolled_back"}
    if any(isinstance(each, kinds.Skipped) for each in found):
        return {"skipped_by_person"}
    if any(isinstance(each, kinds.Doomed) for each in found):
        return {"dependency_failed"}
    if any(isinstance(each, kinds.Condition) for each in found):
        return {"started", "decided"}
    return {"started"}


@settings(max_examples=300, deadline=None)
@given(runs())
def test_while_any_reason_stands_the_step_does_not_run(run: Steered) -> None:
    """Each one listed counts: with all others gone it alone keeps the step waiting, for as long as it is a fact."""
    for number in open_steps(run):
        found = reasons(run.plan, run.state, number)
        for kept in removable(found):
            others = [each for each in found if each is not kept]
            tried = run.fork()
            take_away(tried, others)

            if _stands(tried, kept):
                # What is decided against the step by its own condition needs no place and no resumption.
                by_itself = any(isinstance(each, kinds.Condition) for each in others) and isinstance(kept, NEEDS_NONE)
                assert went_on(run, tried, number) in ({"", "decided"} if by_itself else {""}), kept


def _stands(run: Steered, reason: Reason) -> bool:
    """Whether a dependency was not ended by its own condition, because those before it were taken away."""
    if not isinstance(reason, kinds.Dependency) or not run.state.steps:
        return True
    rows = run.state.rollbacks if reason.purpose == "rollback" else run.state.steps
    return rows[run.plan.place[reason.step]].phase not in TERMINAL_STEP_PHASES
