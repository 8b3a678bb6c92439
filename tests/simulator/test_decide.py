"""What is done with one execution, by tables: the scale is 0.1 and the action typically takes 30 s, so 3 s here."""

from __future__ import annotations

from typing import Any

import pytest

from kubernaut.simulator.course import GARBAGE, jitter
from kubernaut.simulator.decide import (
    Act,
    Delete,
    Earlier,
    Hold,
    Leave,
    Release,
    Script,
    Wait,
    Write,
    decide,
    script_of,
)
from kubernaut.simulator.execution import Execution, milliseconds
from schemas import durations
from tests.simulator.builders import TYPICAL, an_execution

START = milliseconds("2026-01-01T00:00:00Z")
FACTOR = jitter("e-1")
"""The share of the typical duration that the execution of these tests takes."""


def script(execution: Execution, form: str = "", *, scale: float = 0.1) -> Script:
    """Return the script of an execution whose step has an annotation."""
    annotations = {"simulator.kubernaut.io/step-1": form} if form else {}
    return script_of(execution, annotations, scale=scale, typical=TYPICAL)


def act(execution: Execution, form: str = "", *, after: float = 0.0, scale: float = 0.1) -> Act:
    """Return what is done `after` seconds, counted in shares of the jittered duration."""
    return decide(execution, script(execution, form, scale=scale), None, START + round(after * FACTOR * 1000))


def phase_of(done: Act) -> Any:
    """Return the phase that is written, else what else is done."""
    return done.status["phase"] if isinstance(done, Write) else type(done).__name__


@pytest.mark.parametrize(
    ("phase", "after", "form", "expected"),
    [
        pytest.param("", 0, "", "validating", id="a new one is validated"),
        pytest.param("validating", 0.1, "", "Wait", id="validating takes a twentieth"),
        pytest.param("validating", 0.2, "", "validated", id="then it is validated"),
        pytest.param("validated", 0.2, "", "executing", id="then it executes"),
        pytest.param("executing", 2.6, "", "Wait", id="executing takes nine tenths"),
        pytest.param("executing", 2.8, "", "completed", id="then it completes"),
        pytest.param("executing", 9999, "", "completed", id="one found long after its time completes at once"),
        pytest.param("executing", 2.6, "fail", "Wait", id="a failing one takes as long"),
        pytest.param("executing", 2.8, "fail", "failed", id="and then fails"),
        pytest.param("validating", 0.2, "reject", "failed", id="a rejected one never executes"),
        pytest.param("validated", 0.2, "fail-before", "failed", id="one that fails before it starts never executes"),
        pytest.param("executing", 9999, "hang", "Leave", id="a hanging one stays for ever"),
        pytest.param("executing", 9999, "stall:24h", "Wait", id="a stalling one waits"),
        pytest.param("executing", 9999, "stall:1s", "completed", id="until the stall is over"),
        pytest.param("", 0, "take:2s", "executing", id="one with a time of its own executes at once"),
        pytest.param("executing", 1.5, "garbage", GARBAGE, id="garbage comes half way"),
        pytest.param(GARBAGE, 1.5, "garbage", "completed", id="and ends well"),
        pytest.param("executing", 1.5, "delete", "Delete", id="one to delete is deleted half way"),
        pytest.param("completed", 9999, "fail", "Leave", id="what completed is never touched"),
        pytest.param("failed", 9999, "", "Leave", id="what failed is never touched"),
        pytest.param("waiting_approval", 0, "", "validating", id="a phase that is not ours is taken from the start"),
    ],
)
def test_one_decision(phase: str, after: float, form: str, expected: str) -> None:
    """What is done follows from the phase found, when it began, and the annotation."""
    assert expected == phase_of(act(an_execution(phase), form, after=after))


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("", "completed"),
        ("fail", "failed"),
        ("fail-before", "failed"),
        ("no-pre-image", "completed"),
        ("reject", "failed"),
        ("hang", "executing"),
        ("stall:1s", "executing"),
        ("garbage", "executing"),
        ("delete", "executing"),
    ],
)
def test_without_scale_only_what_must_be_seen_is_written(form: str, expected: str) -> None:
    """With scale 0 an execution ends by one status write, unless its behaviour is about what comes before the end."""
    assert expected == phase_of(act(an_execution(), form, scale=0))


def test_waiting_is_until_the_end_of_the_phase() -> None:
    """The time to wait for counts from when the phase was entered, not from when it is looked at."""
    done = act(an_execution("executing", at="2026-01-01T00:00:02.500Z"), after=0)

    assert done == Wait(START + 2500 + round(0.9 * 0.1 * 30 * FACTOR * 1000))


def test_a_started_one_goes_on_under_a_course_that_changed() -> None:
    """Whoever changes the annotation in the middle does not make an execution begin again."""
    assert phase_of(act(an_execution("executing"), "reject", after=9999)) == "failed"


def test_an_unknown_phase_after_the_start_is_resumed() -> None:
    """A phase that somebody else wrote over ours is resumed by the mark of the start, not begun again."""
    found = an_execution("executing")
    odd = {"phase": "out_to_lunch", "conditions": [7, *found.conditions]}

    after = act(Execution(metadata=found.metadata, spec=found.spec, status=odd), after=2.8)

    assert phase_of(after) == "completed"


@pytest.mark.parametrize("phase", ["", "validated", "executing", "completed"])
def test_what_was_deleted_is_not_worked_on_any_more(phase: str) -> None:
    """However far an execution with a deletion timestamp is, whoever keeps it, nothing is written to it again."""
    assert act(an_execution(phase, deleting=True), after=9999) == Leave()


@pytest.mark.parametrize("phase", ["", "validating", "executing"])
def test_a_slowly_ending_one_is_kept_before_anything_else(phase: str) -> None:
    """The finalizer is on it before it can be deleted; from there on it hangs."""
    kept = an_execution(phase, held=True)

    assert act(an_execution(phase), "slow-end:10s") == Hold()
    assert phase_of(act(kept, "slow-end:10s", scale=0)) == ("Leave" if phase == "executing" else "executing")


@pytest.mark.parametrize(
    ("form", "seconds", "expected"),
    [
        # Deleted in the second that begins 5 s after the start.
        pytest.param("slow-end:10s", 15.9, Wait(START + 16_000), id="before its time it is kept"),
        pytest.param("slow-end:10s", 16.0, Release(), id="after its time it may go"),
        pytest.param("hang", 5.0, Release(), id="without the annotation it may go at once"),
        pytest.param("", 0.0, Release(), id="also when the workflow is gone and its annotations with it"),
        pytest.param("fial", 5.0, Release(), id="also when the annotation is broken"),
    ],
)
def test_a_kept_one_goes_when_its_time_is_over(form: str, seconds: float, expected: Act) -> None:
    """Our finalizer never outlives its reason."""
    found = an_execution("executing", deleting=True, held=True)

    assert expected == decide(found, script(found, form), None, START + round(seconds * 1000))


def test_a_repeated_one_is_not_kept() -> None:
    """An execution whose key is known gets its result and ends, whatever its behaviour."""
    execution = an_execution()
    earlier = Earlier("e-0", {"phase": "completed"})

    assert phase_of(decide(execution, script(execution, "slow-end:10s"), earlier, START)) == "completed"


def test_a_known_idempotency_key_gets_the_earlier_result() -> None:
    """An execution whose key was carried out before reports that result and is not carried out."""
    execution = an_execution()
    earlier = Earlier("e-0", {"phase": "completed", "executionResults": {"success": True}})

    done = decide(execution, script(execution), earlier, START)

    assert isinstance(done, Write)
    assert (done.status["phase"], done.status["executionResults"], done.status["repeatOf"]) == (
        "completed",
        {"success": True},
        "e-0",
    )


def test_a_known_idempotency_key_without_a_result_fails_for_good() -> None:
    """What may have been carried out and is not known is not carried out again."""
    execution = an_execution()

    done = decide(execution, script(execution), Earlier("e-0", None), START)

    assert isinstance(done, Write)
    assert done.status["failure"] | {"message": ""} == {
        "reason": "duplicate_key",
        "message": "",
        "retryable": False,
        "executed": True,
    }


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("fail", ("action_failed", True, True)),
        ("fail-not-retryable", ("action_failed", False, True)),
        ("fail-before", ("not_started", True, False)),
        ("reject", ("validation_failed", False, False)),
        ("fial", ("cannot_simulate", False, False)),
    ],
)
def test_a_failure_says_whether_it_was_executed_and_may_be_retried(form: str, expected: tuple[str, bool, bool]) -> None:
    """Each way to fail tells the scheduler what it needs for a retry."""
    done = act(an_execution(), form, scale=0)

    assert isinstance(done, Write)
    failure = done.status["failure"]
    assert expected == (failure["reason"], failure["retryable"], failure["executed"])


def test_an_unknown_action_is_refused() -> None:
    """An action that no executor knows fails without having been executed."""
    done = act(an_execution(action="reboot_moon"), scale=0)

    assert isinstance(done, Write)
    assert "reboot_moon" in done.status["failure"]["message"]


def test_a_completed_one_reports_what_it_touched() -> None:
    """The results of an action name what it changed, how long it took and that it was simulated."""
    done = act(an_execution(), scale=0)

    assert isinstance(done, Write)
    results = done.status["executionResults"]
    assert results["resourcesAffected"] == [
        {"kind": "Deployment", "name": "checkout", "namespace": "shop", "simulated": True}
    ]
    assert results["scaleResult"]["replicas"] == 6
    assert results["simulated"] is True
    assert durations.parse(results["executionTime"]) == pytest.approx(30 * FACTOR, abs=0.001)


def test_the_same_execution_always_takes_the_same_course() -> None:
    """Nothing is drawn: two looks at one execution at one time give the same act, another uid another duration."""
    one, other = an_execution("executing"), an_execution("executing", uid="e-2")

    assert act(one) == act(an_execution("executing"))
    assert act(one) != act(other)


def test_what_others_wrote_into_the_status_stays() -> None:
    """Fields of the status that the simulator does not know are kept through a phase change."""
    found = an_execution("validated")
    kept = {**(found.status or {}), "jobName": "job-1"}

    done = act(Execution(metadata=found.metadata, spec=found.spec, status=kept), after=1)

    assert isinstance(done, Write)
    assert done.status["jobName"] == "job-1"


def test_whatever_ends_is_left_alone() -> None:
    """Following each behaviour's own writes always ends with nothing left to do."""
    for form in (
        "",
        "fail",
        "fail-before",
        "reject",
        "stall:1s",
        "take:1s",
        "garbage",
        "hang",
        "delete",
        "no-pre-image",
    ):
        execution, now = an_execution(), START
        for _ in range(12):
            done = decide(execution, script(execution, form), None, now)
            if isinstance(done, Wait):
                now = done.until
            elif isinstance(done, Write):
                execution = Execution(metadata=execution.metadata, spec=execution.spec, status=done.status)
            else:
                break

        assert isinstance(done, Leave | Delete), form
