"""`kubernaut plan`: what the scheduler would do, and that a workflow with errors is refused as lint refuses it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kubernaut.cli.graphs.tree import tree
from kubernaut.cli.linting.checking import check
from kubernaut.cli.planned import PlanView, view_of
from scheduler.plan import make
from tests.cli.linted import SOUND, a_file_of, changed, kubernaut
from tests.scheduler.builders import definition_of, ten_steps

DEPLOYMENT = {"deployment": "d", "namespace": "s", "replicas": 1}


def a_step(number: int, *needs: int, **fields: Any) -> dict[str, Any]:
    """Return a step that scales a deployment."""
    step = {"stepNumber": number, "action": "scale_deployment", "parameters": DEPLOYMENT}
    return step | ({"dependsOn": list(needs)} if needs else {}) | fields


def planned(text: str) -> PlanView:
    """Return the plan of the only workflow of a text."""
    [workflow] = check(text).workflows
    assert workflow.plan is not None
    return view_of(workflow.name, workflow.plan)


def lines(text: str, *, plain: bool = False) -> list[str]:
    """Return the tree of a text."""
    return [line.plain for line in tree(planned(text), plain=plain)]


def fact(text: str, name: str) -> str:
    """Return what the tree says under a name."""
    [found] = [line for line in lines(text) if line.startswith(f"  {name}  ")]
    return found.removeprefix(f"  {name}").strip()


def test_it_is_the_plan_of_the_scheduler() -> None:
    """Waves, path, estimate, limits: nothing is worked out a second time."""
    workflow = ten_steps(executionStrategy={"parallelismLimit": 2, "maxRetries": 3})
    plan = make(definition_of(workflow))
    state = plan.state
    assert state is not None

    view = view_of("leak", plan)

    assert (state.strategy, state.waves, state.critical_path, state.estimated_seconds, 2) == (
        view.strategy, view.waves, view.critical_path, view.estimated_seconds, view.parallelism_limit,
    )  # fmt: skip
    assert [(n, 3, plan.timeouts[n] / 1000, tuple(sorted(plan.before[n]))) for n in range(1, 11)] == [
        (step.number, step.retries, step.timeout_seconds, step.needs) for step in view.steps
    ]


def test_a_plan_with_errors_has_no_view() -> None:
    """There is nothing to show of it."""
    plan = make(definition_of(ten_steps(definition={"dependencies": {"1": [10]}})))

    with pytest.raises(ValueError, match=r"the plan has errors: .*cycle"):
        view_of("leak", plan)


def test_the_tree_shows_waves_and_the_longest_path() -> None:
    """Steps of one wave hang together; those of the longest path are marked."""
    text = a_file_of(
        a_step(1, name="begin"),
        a_step(2, 1, action="notify_only", parameters={"message": "x"}, criticalStep=False),
        a_step(3, 1, maxRetries=2, targetCluster="west"),
        a_step(4, 2, 3, runIf="true"),
    )

    assert [
        "├── ◆ 1 begin  scale_deployment     30s  ↶ inverse",
        "├─┬   2        notify_only           1s  after 1, not critical",
        "│ └ ◆ 3        scale_deployment     30s  after 1, in west, 2 retries, ↶ inverse",
        "└── ◆ 4        scale_deployment     30s  after 2, 3, conditional, ↶ inverse",
        "",
        "◆ longest path  ↶ how it is undone",
    ] == lines(text)[-6:]


def test_without_unicode_the_tree_is_drawn_in_ascii() -> None:
    """For terminals that know nothing else."""
    assert all(line.isascii() for line in lines(a_file_of(a_step(1), a_step(2, 1), a_step(3, 1)), plain=True))


@pytest.mark.parametrize(
    ("strategy", "name", "words"),
    [
        ({}, "before", "nothing: it starts at once"),
        ({"approvalRequired": True}, "before", "an approval; at most 5m in all"),
        (
            {"safetyChecks": [{"type": "rbac"}, {"type": "health", "required": False}], "dryRunFirst": True},
            "before", "safety checks (rbac, health (not required)), then a dry run of every step; at most 5m in all",
        ),
        ({"maxRetries": 2}, "retries", "2"),
        ({}, "retries", "none"),
        ({}, "limits", "10m for the run; 5m for an attempt"),
        ({"rollbackStrategy": "none"}, "rollback", "none"),
        ({"rollbackStrategy": "automatic"}, "rollback",
         "automatic after a critical failure: 1 by the inverse of the action"),
        ({"monitoring": {"window": "0s"}, "ttlAfterFinished": "1h"}, "after", "no monitoring; kept for 1h"),
        ({"monitoring": {"window": "1m", "timeout": "5m"}}, "after",
         "targets must be healthy for 1m, within 5m; kept for 24h"),
    ],
    ids=[
        "nothing before it", "an approval", "checks and a dry run", "retries", "no retries", "limits", "no rollback",
        "automatic rollback", "no monitoring", "monitoring",
    ],
)  # fmt: skip
def test_the_tree_says_what_holds_for_the_run(strategy: dict[str, Any], name: str, words: str) -> None:
    """Each under its name."""
    assert words == fact(a_file_of(a_step(1), executionStrategy=strategy), name)


def test_recommendations_are_steps() -> None:
    """As the scheduler makes them: behind the written ones, and their risk sets what holds for the run."""
    ask = {"id": "more", "action": "cordon_node", "parameters": {"node": "n"}, "risk": "high", "priority": "critical"}

    view = planned(a_file_of(a_step(1), definition={"aiRecommendations": {"recommendations": [ask]}}))

    assert (True, True, "automatic") == (view.approval_required, view.dry_run_first, view.rollback_strategy)
    assert [(1, "", 0, False), (2, "more", 3, True)] == [
        (step.number, step.name, step.retries, step.recommended) for step in view.steps
    ]


def test_a_workflow_with_errors_is_refused_with_the_list_of_lint() -> None:
    """On standard error, so that no program takes it for a plan."""
    bad = changed((8, "    version: 1"), (14, "        action: x"))

    result = kubernaut("plan", "-", "-o", "svg", typed=bad)

    assert (1, "") == (result.exit_code, result.stdout)
    assert kubernaut("lint", "-", typed=bad).stdout == result.stderr


def test_one_plan_is_an_object_and_several_are_a_list() -> None:
    """As kubectl does with JSON."""
    other = SOUND.replace("name: leak", "name: other")

    one = json.loads(kubernaut("plan", "-", "-o", "json", typed=SOUND).stdout)
    two = json.loads(kubernaut("plan", "-", "-o", "json", typed=f"{SOUND}---\n{other}").stdout)

    assert ("leak", [[1], [2]], 6.0, ["leak", "other"]) == (
        one["name"], one["waves"], one["estimatedSeconds"], [each["name"] for each in two],
    )  # fmt: skip


def test_of_several_workflows_one_is_chosen_for_a_picture() -> None:
    """A picture holds one; the message names them."""
    both = f"{SOUND}---\n{SOUND.replace('name: leak', 'name: other')}"

    refused = kubernaut("plan", "-", "-o", "dot", typed=both)
    chosen = kubernaut("plan", "-", "-o", "dot", "--workflow", "other", typed=both)
    unknown = kubernaut("plan", "-", "--workflow", "nobody", typed=both)

    assert (2, 0, 2) == (refused.exit_code, chosen.exit_code, unknown.exit_code)
    assert "choose one by --workflow: leak, other" in refused.stderr
    assert 'digraph "other"' in chosen.stdout
    assert "holds no workflow nobody; it holds leak, other" in unknown.stderr


def test_a_file_without_a_workflow_has_no_plan(tmp_path: Path) -> None:
    """Objects of others are skipped, and then nothing is left."""
    file = tmp_path / "w.yaml"
    file.write_text("kind: ConfigMap\n", encoding="utf-8")

    result = kubernaut("plan", str(file))

    assert (2, True) == (result.exit_code, "holds no workflow" in result.stderr)
