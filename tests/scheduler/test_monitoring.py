"""After the last step: looks at what was changed, the window, alerts, and the end of the time."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.messages import AlertFired, CheckFinding, CheckTarget, RunCheck, TimerDue
from tests.scheduler.builders import UID, Run, a_step, a_workflow, definition_of

WELL = CheckFinding(subject="Deployment/shop/checkout", state="passed")
ILL = CheckFinding(subject="Deployment/shop/checkout", state="failed", message="0 of 3 pods are available")
UNKNOWN = CheckFinding(subject="Secret/shop/key", state="unknown")
UNDO = {
    "rollbackSpec": {"action": "scale_deployment", "parameters": {"deployment": "x", "namespace": "y", "replicas": 1}}
}


def watched(*steps: dict[str, Any], window: str = "30s", timeout: str = "10m", **strategy: Any) -> Run:
    """A run whose targets are watched; its steps have not ended."""
    return Run(a_workflow(*steps, executionStrategy={"monitoring": {"window": window, "timeout": timeout}, **strategy}))


def monitored(*steps: dict[str, Any], **more: Any) -> Run:
    """A run all of whose steps have completed, so that it has taken its first look."""
    run = watched(*(steps or (a_step(1),)), **more)
    for step in run.plan.place:
        run.end(step)
    return run


def look(run: Run, *findings: CheckFinding, message: str = "") -> Any:
    """The result of the newest look comes."""
    found = findings or (WELL,)
    passed = all(each.state != "failed" for each in found)
    return run.report(f"monitor-{run.state.monitor.looks}", passed=passed, findings=found, message=message)  # type: ignore[union-attr]


def looks(run: Run) -> list[str]:
    """The looks that were commanded."""
    return [c.check for c in run.commands() if isinstance(c, RunCheck) and c.type == "monitor"]


def alert(run: Run, name: str = "PodCrashLooping", message: str = "") -> AlertFired:
    """An alert that fired."""
    return AlertFired(workflow=run.last.workflow, alert=name, message=message)


def test_the_first_look_is_taken_at_once() -> None:
    """At what the completed steps are about; nothing else is due but the end of the phase."""
    run = monitored()

    targets = (CheckTarget(resource="Deployment/shop/checkout"),)
    assert [RunCheck(check="monitor-1", type="monitor", targets=targets)] == list(run.last.commands)
    assert ("monitoring", {"phase": run.last.now + 600_000}) == (run.state.phase, run.state.timers)
    assert "completed" not in run.told()


def test_a_window_of_nothing_skips_the_phase() -> None:
    """The run has completed with its last step."""
    run = monitored(window="0s")

    assert ("completed", "success", None) == (run.state.phase, run.state.outcome, run.state.monitor)


def test_targets_that_stay_healthy_for_the_window_are_a_success() -> None:
    """A look every sixth of it, the last one exactly at its end."""
    run = monitored()
    look(run)
    since = run.last.now
    at = []

    while run.state.phase == "monitoring":
        run.wait_for("poll")
        at.append(run.last.now - since)
        run.time -= run.tick
        look(run)

    assert [5000, 10_000, 15_000, 20_000, 25_000, 30_000] == at
    assert [f"monitor-{n}" for n in range(1, 8)] == looks(run)
    assert ("completed", "success", "verified", "") == (
        run.state.phase,
        run.state.outcome,
        run.last.transitions[-1].reason,
        run.last.transitions[-1].message,
    )
    assert since == run.state.monitor.healthy_since  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("window", "seconds"),
    [
        pytest.param("60s", 10, id="a sixth of it"),
        pytest.param("59s", 9.833, id="a little less"),
        pytest.param("3s", 1, id="not more often than once in a second"),
        pytest.param("9m", 10, id="not less often than once in ten"),
        pytest.param("500ms", 0.5, id="never after its end"),
    ],
)
def test_how_long_it_is_from_one_look_to_the_next(window: str, seconds: float) -> None:
    """Counted from the result of the one before."""
    run = monitored(window=window)

    look(run)

    assert run.last.now + round(seconds * 1000) == run.state.timers["poll"]


def test_a_target_that_is_not_healthy_begins_the_window_anew() -> None:
    """Its words are kept, and it is looked at again as soon."""
    run = monitored()
    look(run)
    run.wait_for("poll")

    look(run, ILL, message="Deployment/shop/checkout: 0 of 3 pods are available")
    ill = run.state.monitor
    again = run.state.timers["poll"] - run.last.now
    run.wait_for("poll")
    look(run)
    since = run.last.now

    assert ill is not None
    assert (0, 0, 1, "Deployment/shop/checkout: 0 of 3 pods are available") == (
        ill.healthy_since,
        ill.healthy,
        ill.judged,
        ill.message,
    )
    assert 5000 == again
    assert (since, 1, "") == (
        run.state.monitor.healthy_since,  # type: ignore[union-attr]
        run.state.monitor.healthy,  # type: ignore[union-attr]
        run.state.monitor.message,  # type: ignore[union-attr]
    )


def test_the_window_counts_from_the_first_of_the_healthy_looks() -> None:
    """Later ones leave it where it is."""
    run = monitored()
    look(run)
    since = run.last.now
    run.wait_for("poll")

    look(run)

    assert since == run.state.monitor.healthy_since  # type: ignore[union-attr]


def test_what_cannot_be_judged_counts_for_nothing() -> None:
    """Neither for the share of healthy targets nor against them."""
    run = monitored()

    look(run, WELL, UNKNOWN, ILL, WELL)

    monitor = run.state.monitor
    assert monitor is not None
    assert (2, 3) == (monitor.healthy, monitor.judged)


def test_nothing_that_could_be_judged_is_nothing_wrong() -> None:
    """The window runs."""
    run = monitored()

    look(run, UNKNOWN)

    monitor = run.state.monitor
    assert monitor is not None
    assert (run.last.now, 0, 0) == (monitor.healthy_since, monitor.healthy, monitor.judged)


def test_the_words_of_a_look_are_kept_to_a_length() -> None:
    """The state stays small."""
    run = monitored()

    look(run, ILL, message="x" * 2000)

    assert "x" * 1024 == run.state.monitor.message  # type: ignore[union-attr]


def test_a_look_counts_once_and_only_the_newest_does() -> None:
    """One that comes again, late, or after the phase changes nothing."""
    run = monitored()
    result = run.found("monitor-1", findings=(WELL,))
    run.take(result)

    again = run.take(result)
    run.wait_for("poll")
    late = run.take(result)

    assert (None, None) == (again, late)
    assert 2 == run.state.monitor.looks  # type: ignore[union-attr]


def test_a_look_of_a_run_that_is_not_watched_changes_nothing() -> None:
    """It was cancelled in between, or has not got there."""
    run = monitored()
    result = run.found("monitor-1", findings=(ILL,))
    run.ask(cancel={"mode": "stop"})
    other = watched(a_step(1))

    assert run.take(result) is None
    assert other.take(result) is None


def test_a_run_that_goes_on_to_be_watched_needs_no_more_of_its_own_time() -> None:
    """Monitoring has its own."""
    run = monitored(workflowTimeout="5m")

    assert "workflow" not in run.state.timers


def test_a_run_that_is_paused_when_its_last_step_ends_is_watched_all_the_same() -> None:
    """Nothing starts any more that the pause could hold back, so its time does not stand still either."""
    run = watched(a_step(1))
    run.ask(paused=True)

    run.end(1)

    assert ("monitoring", 0, {}, {"phase"}) == (
        run.state.phase,
        run.state.paused_at,
        run.state.stopped,
        set(run.state.timers),
    )


def test_a_pause_that_comes_with_the_end_of_the_last_step_is_remembered() -> None:
    """It was accepted, and holds a rollback that an alert may ask for."""
    run = watched(a_step(1))
    asked = run.workflow | {
        "metadata": run.workflow["metadata"] | {"resourceVersion": "900"},
        "spec": run.workflow["spec"] | {"control": {"paused": True}},
    }

    run.take(definition_of(asked), run.execution(1, "completed"))

    assert ("monitoring", True, 0) == (run.state.phase, run.state.control.paused, run.state.paused_at)


def test_what_a_step_did_that_has_failed_by_its_postcondition_is_not_watched() -> None:
    """Only completed steps are."""
    run = watched(a_step(1, criticalStep=False, postConditions=[{"expression": "false"}]))

    run.end(1)

    assert ("monitoring", []) == (run.state.phase, looks(run))
    assert run.state.steps[0].touched


def test_targets_that_are_not_healthy_in_time_leave_the_outcome_unknown() -> None:
    """The run has completed; nobody knows whether it helped."""
    run = monitored()
    look(run, ILL, message="0 of 3 pods are available")

    run.wait_for("phase")

    assert ("completed", "unknown", "completed") == (run.state.phase, run.state.outcome, run.told()[-1])
    assert "not verified: 0 of 3 pods are available" == run.state.failure_reason
    assert ("monitoring_timed_out", run.state.failure_reason) == (
        run.last.transitions[-1].reason,
        run.last.transitions[-1].message,
    )


def test_a_look_that_nobody_answers_is_waited_for_until_the_time_is_over() -> None:
    """The bridge may be away."""
    run = monitored()

    run.wait_for("phase")

    assert "not verified: its targets were not seen healthy for the whole window" == run.state.failure_reason
    assert ["monitor-1"] == looks(run)


def test_a_look_that_ends_the_window_in_the_same_batch_as_the_timer_verifies() -> None:
    """It came in time."""
    run = monitored(window="5m")
    look(run)
    while run.state.timers["poll"] - run.state.monitor.healthy_since < 300_000:  # type: ignore[union-attr]
        run.wait_for("poll")
        look(run)
    run.wait_for("poll")
    result = run.found(f"monitor-{run.state.monitor.looks}", findings=(WELL,))  # type: ignore[union-attr]
    run.time = run.state.timers["phase"]

    run.take(TimerDue(workflow_uid=UID, due_at=run.time), result)

    assert ("completed", "success") == (run.state.phase, run.state.outcome)


def test_where_there_is_nothing_to_look_at_the_window_is_waited_for_all_the_same() -> None:
    """An alert may fire."""
    run = monitored(a_step(1, action="notify_only", parameters={"message": "hello"}))
    began = (looks(run), run.state.timers["poll"] - run.last.now, run.state.monitor.healthy_since)  # type: ignore[union-attr]
    since = run.last.now

    run.wait_for("poll")

    assert ([], 30_000, since) == began
    assert ("completed", "success", "verified") == (
        run.state.phase,
        run.state.outcome,
        run.last.transitions[-1].reason,
    )


def test_a_window_as_long_as_its_time_is_over_first() -> None:
    """Nothing to look at, so it has been quiet for all of it."""
    run = monitored(a_step(1, action="notify_only", parameters={"message": "x"}), window="30s", timeout="30s")

    run.wait_for("poll")

    assert "success" == run.state.outcome


def test_a_run_with_a_failed_step_is_verified_as_a_partial_success() -> None:
    """What it changed is watched, what failed is not."""
    run = watched(a_step(1), a_step(2, criticalStep=False, action="cordon_node", parameters={"node": "a"}))
    run.end(1)
    run.fail(2)
    targets = run.check_of("monitor-1").targets
    look(run)
    while run.state.phase == "monitoring":
        run.wait_for("poll")
        look(run) if run.state.phase == "monitoring" else None

    assert ["Deployment/shop/checkout"] == [target.resource for target in targets]
    assert ("completed", "partial_success", "completed") == (run.state.phase, run.state.outcome, run.told()[-1])


def affected(*entries: Any, **results: Any) -> dict[str, Any]:
    """A status that says what was changed."""
    return {"phase": "completed", "executionResults": {"success": True, "resourcesAffected": list(entries), **results}}


POD = {"kind": "Pod", "namespace": "shop", "name": "a"}


@pytest.mark.parametrize(
    ("step", "status", "expected"),
    [
        pytest.param({}, affected(), ["Deployment/shop/checkout"], id="nothing said: what the action is about"),
        pytest.param({}, affected(POD), ["Pod/shop/a"], id="as the executor said"),
        pytest.param({}, affected(POD, POD), ["Pod/shop/a"], id="each thing once"),
        pytest.param({}, affected({"kind": "Node", "namespace": "x", "name": "n"}), ["Node//n"], id="of no namespace"),
        pytest.param({}, affected(POD | {"simulated": True}), [], id="what was only simulated is not watched"),
        pytest.param({}, affected("text", {"kind": "Pod"}, {"kind": 1, "name": "x"}), [], id="what is no thing"),
        pytest.param(
            {"action": "notify_only", "parameters": {"message": "x"}}, affected(), [], id="an action about nothing"
        ),
        pytest.param(
            {"parameters": {"deployment": "{{ variables.name }}", "namespace": "shop", "replicas": 1}},
            affected(),
            [],
            id="a name that only the run knew",
        ),
    ],
)
def test_what_a_step_has_changed(step: dict[str, Any], status: dict[str, Any], expected: list[str]) -> None:
    """The executor's word first."""
    run = Run(
        a_workflow(
            a_step(1, **step),
            definition={"variables": {"name": "checkout"}},
            executionStrategy={"monitoring": {"window": "30s"}},
        )
    )

    run.end(1, status=status)

    targets = run.check_of("monitor-1").targets if looks(run) else ()
    assert expected == [target.resource for target in targets]


def test_what_was_changed_in_another_cluster_is_looked_at_there() -> None:
    """The same name in two clusters is two things."""
    run = watched(a_step(1), a_step(2, targetCluster="west"), a_step(3, targetCluster="west"))
    run.end(1, status=affected(POD))
    run.end(2, status=affected(POD))

    run.end(3)

    assert [("", "Pod/shop/a"), ("west", "Pod/shop/a"), ("west", "Deployment/shop/checkout")] == [
        (target.target_cluster, target.resource) for target in run.check_of("monitor-1").targets
    ]


def test_of_many_targets_those_of_the_lowest_steps_are_watched() -> None:
    """Up to 64."""
    steps = [a_step(n, parameters={"deployment": f"d{n}", "namespace": "shop", "replicas": 1}) for n in range(1, 71)]
    run = watched(*steps, parallelismLimit=10, workflowTimeout="10h")

    while run.state.phase == "executing":
        for step in [step.number for step in run.state.steps if step.phase == "executing"]:
            run.end(step)

    assert [f"Deployment/shop/d{n}" for n in range(1, 65)] == [t.resource for t in run.check_of("monitor-1").targets]


@pytest.mark.parametrize(
    ("message", "said"),
    [
        pytest.param("", "", id="without a word"),
        pytest.param("5 restarts", ": 5 restarts", id="with one"),
        pytest.param("x" * 2000, f": {'x' * 1024}", id="with too many"),
    ],
)
@pytest.mark.parametrize("strategy", ["manual", "none"])
def test_an_alert_fails_the_run(strategy: str, message: str, said: str) -> None:
    """Which is not rolled back by itself."""
    run = monitored(a_step(1, **UNDO), rollbackStrategy=strategy)

    run.take(alert(run, message=message))

    why = f"alert PodCrashLooping fired while the run was watched{said}"
    assert ("failed", "failed", why) == (run.state.phase, run.state.outcome, run.state.failure_reason)
    assert ("alert_fired", ("PodCrashLooping",), ()) == (
        run.last.transitions[-1].reason,
        run.state.monitor.alerts,  # type: ignore[union-attr]
        run.state.rollbacks,
    )


def test_an_alert_rolls_a_run_back_that_is_to_be_rolled_back() -> None:
    """With the alert as the reason."""
    run = monitored(a_step(1, **UNDO), rollbackStrategy="automatic")

    run.take(alert(run))
    rolling = run.state
    run.end(1, purpose="rollback")

    why = "alert PodCrashLooping fired while the run was watched"
    assert ("rolling_back", why) == (rolling.phase, rolling.rollback_reason)
    assert ("rolled_back", "alert_fired") == (rolling.closing, rolling.closing_reason)
    assert ("failed", why, {1: "rolled_back"}) == (run.state.phase, run.state.failure_reason, run.phases())
    assert ("rolled_back", "alert_fired") == next(
        (t.what, t.reason) for t in run.last.transitions if t.entity == "workflow"
    )


def test_alerts_are_kept_to_a_number_and_a_length() -> None:
    """A storm of them must not fill the state."""
    run = monitored(a_step(1, **UNDO), rollbackStrategy="automatic")

    run.take(*(alert(run, f"{n}-" + "x" * 300) for n in range(20)))

    alerts = run.state.monitor.alerts  # type: ignore[union-attr]
    assert (16, 256, "0-x") == (len(alerts), len(alerts[0]), alerts[0][:3])
    assert f"alert 19-{'x' * 253} fired while the run was watched" == run.state.rollback_reason


def test_an_alert_of_the_moment_in_which_the_steps_ended_is_not_of_what_came_after() -> None:
    """Nobody can tell which was first."""
    run = monitored(a_step(1))
    run.time -= run.tick

    assert (None, "monitoring") == (run.take(alert(run)), run.state.phase)


@pytest.mark.parametrize("phase", ["executing", "completed"])
def test_an_alert_at_another_time_changes_nothing(phase: str) -> None:
    """It may be the very one that the run is to mend."""
    run = Run(a_workflow(a_step(1)))
    if phase == "completed":
        run.end(1)

    assert (phase, None) == (run.state.phase, run.take(alert(run)))
