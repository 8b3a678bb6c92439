"""What people see of a run, from fixed objects at a fixed time."""

from __future__ import annotations

from typing import Any

import pytest

from kubernaut.cli.details import details
from kubernaut.cli.plain import changes
from kubernaut.cli.table import table
from kubernaut.cli.tree import tree
from kubernaut.cli.view import view_of
from tests.cli.builders import (
    NOW,
    PLAN,
    a_running_workflow,
    a_step,
    a_told_step,
    a_workflow,
    an_ended_workflow,
)


def lines_of(body: dict[str, Any], **options: bool) -> list[str]:
    """Return the tree of a workflow as text."""
    return [line.plain for line in tree(view_of(body), NOW, **options)]


def test_a_running_workflow_is_drawn_wave_by_wave() -> None:
    """Each wave is a branch, with state and duration of each step, why it failed and what it waits for."""
    assert lines_of(a_running_workflow()) == [
        "leak  executing  ━━━━━━━━━━──────────  2/4  59.0s",
        "├── ✔  1 step 1  notify_only  completed    2.0s",
        "├─┬ ●  2 step 2  notify_only  executing   10.0s",
        "│ └ ✘  3 step 3  notify_only  failed       1.0s  action_failed, not critical",
        "│        no such pod",
        "└── ○  4 step 4  notify_only  pending            waits for step 2",
    ]


def test_it_is_drawn_with_ascii_where_nothing_else_is_understood() -> None:
    """A terminal without Unicode gets the same tree."""
    assert lines_of(a_running_workflow(), plain=True) == [
        "leak  executing  ##########----------  2/4  59.0s",
        "|-- +  1 step 1  notify_only  completed    2.0s",
        "|-+ *  2 step 2  notify_only  executing   10.0s",
        "| + x  3 step 3  notify_only  failed       1.0s  action_failed, not critical",
        "|        no such pod",
        "+-- .  4 step 4  notify_only  pending            waits for step 2",
    ]


def test_a_small_terminal_shows_what_runs_and_what_went_wrong() -> None:
    """The brief form leaves out what is as it should be."""
    assert lines_of(a_running_workflow(), brief=True)[1:] == [
        "└─┬ ●  2 step 2  notify_only  executing   10.0s",
        "  └ ✘  3 step 3  notify_only  failed       1.0s  action_failed, not critical",
        "         no such pod",
    ]


def test_side_by_side_the_actions_are_left_out() -> None:
    """State and duration stay readable in a third of a terminal."""
    assert lines_of(a_running_workflow(), narrow=True)[1] == "├── ✔  1 step 1  completed    2.0s"


def test_a_workflow_that_nobody_took_up_is_drawn_from_its_spec() -> None:
    """Without a status the steps are shown in the order of their numbers."""
    assert lines_of(a_workflow(steps=[a_step(2, 1), a_step(1)])) == [
        "leak  not seen yet  ────────────────────  0/2  1m",
        "└─┬ ○  1 step 1  notify_only  pending",
        "  └ ○  2 step 2  notify_only  pending            waits for step 1",
    ]


def test_all_errors_of_a_refused_workflow_are_shown() -> None:
    """A run that planning refused shows why, in full."""
    body = a_workflow(
        phase="failed",
        failureReason="planning refused it",
        validationResults={"validationErrors": ["steps[1].dependsOn[0]: no step 9", "steps[2].action: unknown"]},
    )

    assert lines_of(body)[-3:] == [
        "    planning refused it",
        "    steps[1].dependsOn[0]: no step 9",
        "    steps[2].action: unknown",
    ]


def test_a_step_that_waits_for_a_place_says_so() -> None:
    """A ready step that is held back by the limit is not shown as waiting for a step."""
    body = a_workflow(
        steps=[a_step(1), a_step(2)],
        phase="executing",
        stepStatuses=[a_told_step(1, "executing", started=1), a_told_step(2, "pending")],
    )
    body["spec"]["executionStrategy"] = {"parallelismLimit": 1}

    assert view_of(body).steps[1].waits == "waits for a free place (1 steps may be in flight)"


def test_dependencies_of_both_kinds_are_waited_for() -> None:
    """A step waits for what its dependsOn and what the definition's map of dependencies name."""
    body = a_workflow(steps=[a_step(1), a_step(2), a_step(3, 1)])
    body["spec"]["workflowDefinition"]["dependencies"] = {"3": [2]}

    assert view_of(body).steps[2].waits == "waits for steps 1, 2"


def test_what_a_newer_version_wrote_is_shown_as_far_as_it_is_understood() -> None:
    """An unknown phase and an unknown state of a step are shown by their names."""
    body = a_workflow(phase="pondering", stepStatuses=[a_told_step(1, "levitating")], executionPlan=PLAN)

    lines = lines_of(body)

    assert lines[0].startswith("leak  pondering  ")
    assert lines[1] == "├── ?  1 step 1  notify_only  levitating"


def test_the_first_look_without_a_terminal_tells_everything() -> None:
    """The first lines name the phase and each step that is not pending."""
    assert changes(None, view_of(a_running_workflow())) == [
        "leak  phase executing",
        "leak  step 1 completed after 2.0s  step 1  [notify_only]",
        "leak  step 3 failed after 1.0s  step 3  [notify_only]  action_failed, not critical: no such pod",
        "leak  step 2 executing  step 2  [notify_only]",
    ]


def test_later_looks_tell_what_changed() -> None:
    """What is the same is not told again; what ended comes before what it made start."""
    before = view_of(a_running_workflow())
    body = a_running_workflow()
    body["status"]["stepStatuses"][1] = a_told_step(2, "completed", started=50, ended=55)
    body["status"]["stepStatuses"][3] = a_told_step(4, "executing", started=55)

    assert changes(before, before) == []
    assert changes(before, view_of(body)) == [
        "leak  step 2 completed after 5.0s  step 2  [notify_only]",
        "leak  step 4 executing  step 4  [notify_only]",
    ]


def test_the_end_is_told_once_with_its_outcome() -> None:
    """The last line says how it ended, how far it came and how long it took."""
    end = view_of(an_ended_workflow(outcome="partial_success"))

    assert changes(None, end)[-1] == "leak  completed (partial_success)  1/1  after 7.0s"
    assert changes(end, end) == []


def test_what_a_run_waits_for_is_told_when_no_step_is_in_flight() -> None:
    """A queued run says what it waits for; a running one shows it by its steps."""
    queued = view_of(a_workflow(phase="queued", waitingFor="a free place among 100 runs"))

    assert changes(None, queued) == ["leak  phase queued", "leak  waiting for: a free place among 100 runs"]
    assert view_of(a_running_workflow()).waiting_idle == ""


def test_the_table_has_the_columns_of_kubectl() -> None:
    """One line a run; an empty cell is a dash, so that every line has as many words."""
    views = [view_of(a_running_workflow()), view_of(an_ended_workflow("other"))]

    assert table(views, NOW) == [
        "NAME    PHASE       PROGRESS   OUTCOME   AGE",
        "leak    executing   2/4        -         1m",
        "other   completed   1/1        success   1m",
    ]
    assert table(views[1:], NOW, wide=True, namespaces=True) == [
        "NAMESPACE   NAME    PHASE       PROGRESS   OUTCOME   AGE   CURRENT   WAITING   REMEDIATION   DURATION",
        "shop        other   completed   1/1        success   1m    -         -         -             7.0s",
    ]


def test_details_end_with_what_to_do_next() -> None:
    """Everything about a run that goes on: its plan, what it waits for, its tree and how to follow it."""
    lines = [line.plain for line in details(view_of(a_running_workflow()), NOW, options=" --stack demo")]

    assert "waits for    The end of step 2." in lines
    plan = "sequential-with-parallel, typically 3s, longest path 1 → 2 → 4, at most 5 steps at once"
    assert f"plan         {plan}" in lines
    assert lines[-3:] == [
        "next",
        "  follow it: `kubernaut watch leak -n shop --stack demo`",
        "  its story: `kubernaut events --workflow 11111111-0000-4000-8000-000000000000 --stack demo`",
    ]


def test_details_of_a_failed_run_lead_to_the_execution_that_failed() -> None:
    """Where the status advises nothing, the execution of each failed step is named."""
    body = an_ended_workflow(outcome="failed", phase="failed")
    body["status"]["stepStatuses"] = [a_told_step(1, "failed", k8sExecutionRef={"name": "leak-step-1"})]

    lines = [line.plain for line in details(view_of(body), NOW)]

    assert "  what the executor said: `kubectl describe kexec leak-step-1 -n shop`" in lines


@pytest.mark.parametrize("body", [{}, {"status": 7, "spec": []}, {"metadata": {"name": "x"}, "spec": {}}])
def test_an_empty_object_is_drawn(body: dict[str, Any]) -> None:
    """Whatever is missing, there is a line."""
    assert len(lines_of(body)) == 1


def a_step_of(status: str, **fields: Any) -> dict[str, Any]:
    """Return an executing run of one step that is so."""
    return a_workflow(steps=[a_step(1)], phase="executing", stepStatuses=[a_told_step(1, status, **fields)])


def test_a_retry_shows_when_it_comes_and_how_many_there_were() -> None:
    """A step that waits for its retry says so, with what the status says below it; columns stay aligned."""
    steps = [
        a_told_step(1, "waiting_retry", reason="no_pod", errorMessage="retry 2 of 3 at 00:01:05Z", retriesAttempted=2),
        a_told_step(2, "completed", started=1, ended=3),
    ]

    assert lines_of(a_workflow(steps=[a_step(1), a_step(2)], phase="executing", stepStatuses=steps))[1:] == [
        "└─┬ ↻  1 step 1  notify_only  waiting_retry          no_pod, 2 retries",
        "  │      retry 2 of 3 at 00:01:05Z",
        "  └ ✔  2 step 2  notify_only  completed        2.0s",
    ]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param({"reason": "rolling_back"}, "└── ↶  1 step 1  notify_only  rolling_back", id="is being undone"),
        pytest.param(
            {"reason": "rollback_failed"}, "└── ✘  1 step 1  notify_only  rollback_failed", id="is not undone"
        ),
        pytest.param(
            {"reason": "no_rollback_spec"},
            "└── ✔  1 step 1  notify_only  completed          no_rollback_spec",
            id="cannot be undone",
        ),
    ],
)
def test_a_completed_step_shows_how_undoing_it_goes(fields: dict[str, Any], expected: str) -> None:
    """What the status says by the reason of a completed step is shown like a state of its own."""
    assert lines_of(a_step_of("completed", **fields))[1] == expected


def test_a_small_terminal_shows_what_is_being_undone() -> None:
    """Steps whose rollback runs or failed stay in the brief form."""
    assert len(lines_of(a_step_of("completed", reason="rolling_back"), brief=True)) == 2
    assert len(lines_of(a_step_of("completed", reason="rollback_failed"), brief=True)) == 2
    assert len(lines_of(a_step_of("completed"), brief=True)) == 1


def test_undoing_is_told_line_by_line() -> None:
    """Without a terminal each step of a rollback is one line."""
    done, undoing, undone = (
        view_of(a_step_of(*state, **fields))
        for state, fields in (
            (("completed",), {}),
            (("completed",), {"reason": "rolling_back"}),
            (("rolled_back",), {}),
        )
    )

    assert changes(done, undoing) == ["leak  step 1 rolling_back  step 1  [notify_only]"]
    assert changes(undoing, undone) == ["leak  step 1 rolled_back  step 1  [notify_only]"]


def test_a_run_that_has_ended_waits_for_nothing_on_the_screen() -> None:
    """What the status says of its deletion is a detail; nobody who follows a run waits for it."""
    body = an_ended_workflow()
    body["status"]["waitingFor"] = "Its deletion at 2026-01-02T00:00:00Z, once the audit holds all of it."

    assert view_of(body).waiting_idle == ""
    assert "waits for    Its deletion" in "\n".join(line.plain for line in details(view_of(body), NOW))


def test_recommendations_are_steps_after_those_that_are_written_out() -> None:
    """They have the numbers that the scheduler gives them, and wait for each other by their ids."""
    body = a_workflow(steps=[a_step(4)])
    body["spec"]["workflowDefinition"]["aiRecommendations"] = {
        "recommendations": [
            {"id": "grow", "action": "scale_deployment"},
            {"id": "tell", "action": "notify_only", "dependsOn": ["grow"]},
        ]
    }

    assert [(step.number, step.name, step.action, step.waits) for step in view_of(body).steps] == [
        (4, "step 4", "notify_only", ""),
        (5, "grow", "scale_deployment", ""),
        (6, "tell", "notify_only", "waits for step 5"),
    ]


def a_condition(kind: str, status: str, reason: str) -> dict[str, str]:
    """Return a condition."""
    return {"type": kind, "status": status, "reason": reason, "message": "m"}


@pytest.mark.parametrize(
    ("phase", "condition", "expected"),
    [
        pytest.param(
            "validating",
            a_condition("Approved", "Unknown", "Waiting"),
            "  look at the plan and say so: `kubernaut approve leak -n shop --stack s` or"
            " `kubernaut reject leak -n shop --stack s`",
            id="a run that waits for an approval",
        ),
        pytest.param(
            "validating",
            a_condition("Approved", "False", "Refused"),
            "  look at the plan and say so: `kubernaut approve leak -n shop --stack s` or"
            " `kubernaut reject leak -n shop --stack s`",
            id="a run whose approval was refused",
        ),
        pytest.param(
            "executing",
            a_condition("Paused", "True", "Paused"),
            "  let it go on: `kubernaut resume leak -n shop --stack s`",
            id="a paused run",
        ),
    ],
)
def test_details_name_the_command_that_is_waited_for(phase: str, condition: dict[str, str], expected: str) -> None:
    """What a person can do now stands under `next`, as it is typed for this system."""
    body = a_workflow(phase=phase, conditions=[condition])

    assert expected in [line.plain for line in details(view_of(body), NOW, options=" --stack s")]


def test_details_of_a_run_that_waits_for_nobody_name_no_command_for_it() -> None:
    """An approval that was given, and a pause that was refused, ask for nothing."""
    told = [a_condition("Approved", "True", "Approved"), a_condition("Paused", "False", "Refused")]
    text = "\n".join(line.plain for line in details(view_of(a_workflow(phase="validating", conditions=told)), NOW))

    assert "kubernaut approve" not in text
    assert "kubernaut resume" not in text


def test_a_command_in_the_advice_is_for_this_system() -> None:
    """The status does not know how the system is reached; who prints its advice does."""
    body = an_ended_workflow(outcome="failed", phase="failed")
    body["status"]["workflowResult"]["recommendedActions"] = [
        "Run it again: kubernaut rerun leak -n shop",
        "See why: kubectl -n shop describe kubernetesexecution leak-step-1",
    ]

    lines = [line.plain for line in details(view_of(body), NOW, options=" --stack s")]

    assert "  Run it again: kubernaut rerun leak -n shop --stack s" in lines
    assert "  See why: kubectl -n shop describe kubernetesexecution leak-step-1" in lines


def test_details_tell_all_that_was_found() -> None:
    """Checks, dry run, approval, adjustments, rollback and effect are shown when there is something to show."""
    body = an_ended_workflow(outcome="failed", phase="failed")
    body["status"] |= {
        "executionPlan": PLAN | {"digest": "p1"},
        "rollbackReason": "step 2 failed",
        "validationResults": {
            "checks": [
                {"type": "rbac", "passed": True},
                {"type": "health", "passed": False, "required": False, "message": "web is gone"},
                {"type": "capacity", "passed": "perhaps"},
            ],
            "dryRunPerformed": True,
            "dryRunResults": {
                "overallSuccess": False,
                "stepResults": [
                    {"stepNumber": 1, "success": True},
                    {"stepNumber": 2, "success": False, "message": "no"},
                ],
                "resourceChanges": ["web: 1 -> 3"],
                "potentialIssues": ["quota is short"],
            },
            "approvalReceived": True,
            "approvedBy": "alice",
            "approvalTimestamp": "2026-01-01T00:00:02Z",
        },
        "adaptiveAdjustments": [{"timestamp": "2026-01-01T00:00:01Z", "adjustment": "timeout 90s", "reason": "p95"}],
    }
    body["status"]["workflowResult"] |= {
        "effectivenessScore": 0.85,
        "resourceHealth": "unhealthy",
        "newAlertsTriggered": False,
    }

    lines = [line.plain for line in details(view_of(body), NOW)]

    assert [line for line in lines if line.split("  ")[0] in {"digest", "approval", "rolled back", "effect"}] == [
        "digest       p1",
        "approval     approved by alice at 2026-01-01T00:00:02Z",
        "rolled back  step 2 failed",
        "effect       effectiveness 0.85, targets unhealthy, no new alert",
    ]
    start = lines.index("CHECK    RESULT   REQUIRED   MESSAGE")
    assert lines[start : start + 12] == [
        "CHECK    RESULT   REQUIRED   MESSAGE",
        "rbac     passed   yes        -",
        "health   failed   no         web is gone",
        "",
        "DRY RUN   RESULT         MESSAGE",
        "step 1    passed         -",
        "step 2    failed         no",
        "-         would change   web: 1 -> 3",
        "-         may go wrong   quota is short",
        "",
        "ADJUSTED               WHAT          WHY",
        "2026-01-01T00:00:01Z   timeout 90s   p95",
    ]


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        ({"effectivenessScore": 0.8, "resourceHealth": "healthy", "newAlertsTriggered": True}, "new alerts fired"),
        ({"effectivenessScore": 0.0}, "effectiveness 0.0"),
        ({}, ""),
    ],
)
def test_the_effect_of_a_run(result: dict[str, Any], expected: str) -> None:
    """What was not looked at is not told; a score of nothing is one."""
    body = an_ended_workflow()
    body["status"]["workflowResult"] |= result

    assert view_of(body).findings.effect.rpartition(", ")[2] == expected


def test_a_rejection_is_told_with_who_said_it() -> None:
    """An approval that was not received although somebody said something is a rejection."""
    body = a_workflow(phase="failed", validationResults={"approvedBy": "bob"})

    assert view_of(body).findings.approval == "rejected by bob"
