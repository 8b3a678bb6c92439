"""A run that runs an earlier one again: the results of the steps that it skips are those of before."""

from __future__ import annotations

from typing import Any

import pytest

from scheduler.inputs import Earlier, Place
from schemas.names import ANNOTATION_RERUN_OF
from schemas.run_state import StepState
from tests.scheduler.builders import Run, a_step, a_workflow


def rerun(**more: Any) -> dict[str, Any]:
    """A workflow that runs an earlier one again from step 3."""
    skips = [{"stepNumber": n, "operation": "skip", "reason": "done before"} for n in (1, 2)]
    message = {"action": "notify_only", "parameters": {"message": "{{ steps[1].result.node }}"}}
    return a_workflow(
        a_step(1),
        a_step(2),
        a_step(3, after=(1, 2), **message),
        metadata={"annotations": {ANNOTATION_RERUN_OF: "earlier-uid"}},
        control={"overrides": skips},
        **more,
    )


EARLIER = Earlier(
    (
        StepState(number=1, phase="completed", result={"node": "a"}),
        StepState(number=2, phase="failed", result={"node": "b"}),
        StepState(number=3, phase="completed", result={"node": "c"}),
    )
)


@pytest.mark.parametrize("admitted", [True, False])
def test_skipped_steps_of_a_rerun_have_the_results_of_the_run_before(admitted: bool) -> None:  # noqa: FBT001
    """Those that were done there, so that what depends on them finds what it needs."""
    run = Run(rerun(), admitted=admitted, facts=(EARLIER,) if admitted else ())
    if not admitted:
        run.take(Place(admitted=True), EARLIER)

    assert [{"node": "a"}, None, None] == [step.result for step in run.state.steps]
    assert ("earlier-uid", "a") == (run.state.rerun_of, run.create_of(3).parameters["message"])
    assert {1: "skipped", 2: "skipped", 3: "executing"} == run.phases()


@pytest.mark.parametrize("phase", ["skipped", "rolled_back"])
def test_results_are_taken_of_every_step_that_had_any(phase: Any) -> None:
    """It may have been skipped in the run before as well, and have its result from one before that."""
    run = Run(rerun(), facts=(Earlier((StepState(number=1, phase=phase, result={"node": "z"}),)),))

    assert {"node": "z"} == run.state.steps[0].result


def test_a_step_that_is_skipped_for_a_reason_of_its_own_gets_no_result() -> None:
    """And one that runs again has its own."""
    workflow = a_workflow(
        a_step(1, runIf="false"), a_step(2), metadata={"annotations": {ANNOTATION_RERUN_OF: "earlier-uid"}}
    )
    run = Run(workflow, admitted=False)

    run.take(Place(admitted=True))
    run.take(Earlier((StepState(number=1, phase="completed", result={"n": 1}),)))

    assert [None, None] == [step.result for step in run.state.steps]


def test_a_run_that_refers_to_none_takes_no_results() -> None:
    """The field stays empty."""
    assert "" == Run(a_workflow(), facts=(EARLIER,)).state.rerun_of


def test_a_result_that_is_there_is_not_replaced() -> None:
    """The run before is told twice, differently."""
    run = Run(rerun(), facts=(EARLIER,))

    run.take(Earlier((StepState(number=1, phase="completed", result={"node": "other"}),)))

    assert {"node": "a"} == run.state.steps[0].result
