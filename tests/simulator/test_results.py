"""What a simulated execution reports: what it touched, what it was like before, what a dry run foresees."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from kubernaut.simulator.decide import Write, decide, script_of
from kubernaut.simulator.execution import Execution, milliseconds
from schemas.actions import ACTIONS
from schemas.targets import NO_NAMESPACE
from tests.simulator.builders import an_execution

TYPICAL = {name: action.typical_seconds for name, action in ACTIONS.items()}
NODE = {"node": "worker-3", "key": "disk", "effect": "NoSchedule"}
HPA = {"hpa": "checkout", "namespace": "shop", "minReplicas": 2, "maxReplicas": 9}
ALL = {
    "namespace": "shop",
    "node": "worker-3",
    **dict.fromkeys(("deployment", "pod", "pvc", "daemonset", "statefulset", "secret", "networkpolicy"), "thing"),
    **dict.fromkeys(("hpa", "volume", "component", "database", "workload", "targetNode", "resource"), "thing"),
    "path": "/var/cache",
    "replicas": 6,
    "minReplicas": 2,
    "maxReplicas": 9,
    "size": "20Gi",
    "key": "disk",
    "effect": "NoSchedule",
}
"""Parameters that any action finds its own in."""


def ended(action: str, parameters: dict[str, Any], form: str = "", **changes: Any) -> dict[str, Any]:
    """Return the status of an execution that ended at once."""
    execution = an_execution(action=action, parameters=parameters, **changes)
    suffix = {"execute": "", "dry_run": ".dry-run", "rollback": ".rollback"}[changes.get("purpose", "execute")]
    annotations = {f"simulator.kubernaut.io/step-1{suffix}": form} if form else {}
    done = decide(
        execution,
        script_of(execution, annotations, scale=0, typical=TYPICAL),
        None,
        milliseconds("2026-01-01T00:00:00Z"),
    )
    assert isinstance(done, Write)
    return done.status


@pytest.mark.parametrize(
    ("action", "parameters", "expected"),
    [
        ("cordon_node", {"node": "worker-3"}, {"unschedulable": False}),
        ("uncordon_node", {"node": "worker-3"}, {"unschedulable": True}),
        ("taint_node", NODE, {"taint": None}),
    ],
)
def test_a_node_was_what_the_action_changes(action: str, parameters: dict[str, Any], expected: dict[str, Any]) -> None:
    """What a node was like before is the opposite of what the action makes of it."""
    assert ended(action, parameters)["rollbackInformation"] == {"preImage": expected}


@pytest.mark.parametrize("action", ["scale_deployment", "scale_statefulset"])
def test_what_was_scaled_tells_the_same_number_twice(action: str) -> None:
    """The pre-image and the result agree on how many replicas there were."""
    status = ended(action, ALL)

    before = status["executionResults"]["scaleResult"]["previousReplicas"]
    assert status["rollbackInformation"] == {"preImage": {"replicas": before}}
    assert 1 <= before <= 8


def test_a_taint_that_was_taken_away_can_be_put_back() -> None:
    """The pre-image of untaint_node is a whole taint, with an effect also where none was named."""
    named = ended("untaint_node", NODE)["rollbackInformation"]["preImage"]["taint"]
    unnamed = ended("untaint_node", {"node": "worker-3", "key": "disk"})["rollbackInformation"]["preImage"]["taint"]

    assert ("disk", "NoSchedule", "disk") == (named["key"], named["effect"], unnamed["key"])
    assert unnamed["effect"] in {"NoSchedule", "PreferNoSchedule", "NoExecute"}
    assert named["value"].startswith("before-")


def test_bounds_of_an_autoscaler_are_in_order() -> None:
    """The earlier bounds could have been real: the smaller one is not above the larger."""
    before = ended("update_hpa", HPA)["rollbackInformation"]["preImage"]

    assert 1 <= before["minReplicas"] <= before["maxReplicas"]


def test_a_pre_image_is_the_same_at_every_look_and_differs_between_executions() -> None:
    """It is drawn from the uid."""
    images = [ended("scale_deployment", ALL, uid=f"e-{number}")["rollbackInformation"] for number in range(20)]

    assert images == [ended("scale_deployment", ALL, uid=f"e-{n}")["rollbackInformation"] for n in range(20)]
    assert len({str(image) for image in images}) > 1


@pytest.mark.parametrize(
    ("action", "form", "purpose"),
    [
        pytest.param("scale_deployment", "no-pre-image", "execute", id="when that is asked for"),
        pytest.param("restart_pod", "", "execute", id="for an action without a form of it"),
        pytest.param("scale_deployment", "", "dry_run", id="for a dry run"),
        pytest.param("scale_deployment", "", "rollback", id="for a rollback"),
        pytest.param("scale_deployment", "fail", "execute", id="for one that failed"),
    ],
)
def test_there_is_no_pre_image(action: str, form: str, purpose: str) -> None:
    """Nothing is told that could be taken for what the target was like."""
    assert "rollbackInformation" not in ended(action, ALL, form, purpose=purpose)


@pytest.mark.parametrize("action", sorted(ACTIONS.keys() - {"notify_only", "custom"}))
def test_what_an_action_changes_is_named_and_marked(action: str) -> None:
    """Each thing has kind and name, a namespace unless its kind has none, and says that it was not really changed."""
    things = ended(action, ALL)["executionResults"]["resourcesAffected"]

    if action in {"audit_logs", "backup_data", "collect_diagnostics"}:
        assert things == [], "it only reads"
        return
    (thing,) = things
    assert thing["name"]
    assert thing["simulated"] is True
    assert ("namespace" in thing) == (thing["kind"] not in NO_NAMESPACE)


@pytest.mark.parametrize("action", ["notify_only", "custom"])
def test_an_action_about_nothing_changes_nothing(action: str) -> None:
    """What names nothing in a cluster reports nothing of one."""
    assert ended(action, ALL)["executionResults"]["resourcesAffected"] == []


def test_a_dry_run_says_what_would_change_and_what_may_go_wrong() -> None:
    """A person can read what the real thing would do; nothing is reported as changed."""
    results = ended("drain_node", {"node": "worker-3"}, purpose="dry_run")["executionResults"]

    assert results["resourceChanges"] == ["Node worker-3 would be emptied of its pods"]
    assert results["potentialIssues"] == ["pods with emptyDir volumes lose their scratch data"]
    assert ([], True, True) == (results["resourcesAffected"], results["dryRun"], results["simulated"])


@pytest.mark.parametrize(
    ("action", "parameters", "expected"),
    [
        ("scale_deployment", ALL, ["Deployment thing in namespace shop would be scaled to 6 replicas"]),
        ("taint_node", NODE, ["Node worker-3 would get the taint disk:NoSchedule"]),
        ("update_hpa", HPA, ["HorizontalPodAutoscaler checkout in namespace shop would have 2 to 9 replicas"]),
        (
            "expand_pvc",
            {"pvc": "data", "namespace": "shop"},
            ["PersistentVolumeClaim data in namespace shop would grow to ?"],
        ),
        ("reset_service_mesh", ALL, ["Namespace shop would be changed by reset_service_mesh"]),
        ("collect_diagnostics", ALL, []),
        ("notify_only", {"message": "{deployment}"}, []),
    ],
)
def test_a_dry_run_names_the_thing_and_the_change(action: str, parameters: dict[str, Any], expected: list[str]) -> None:
    """One sentence for each thing; a parameter that is missing is no reason to fail."""
    assert expected == ended(action, parameters, purpose="dry_run")["executionResults"]["resourceChanges"]


def test_a_dry_run_that_fails_has_executed_nothing() -> None:
    """Whoever decides about a retry must not think that something was done."""
    status = ended("scale_deployment", ALL, "fail", purpose="dry_run")

    assert ("failed", False, True) == (status["phase"], status["failure"]["executed"], status["failure"]["retryable"])
    assert status["executionResults"]["resourcesAffected"] == []


def test_a_dry_run_takes_a_tenth_of_the_time() -> None:
    """It is said to have taken, and takes, much less than the action."""
    real, dry = an_execution(), an_execution(purpose="dry_run")

    scripts = [script_of(one, {}, scale=1, typical=TYPICAL) for one in (real, dry)]

    assert scripts[1].seconds == pytest.approx(scripts[0].seconds / 10)


def test_a_rollback_succeeds_whatever_the_step_itself_does() -> None:
    """A rollback and a dry run obey only annotations of their own."""
    execution = an_execution(purpose="rollback")
    step = {"simulator.kubernaut.io/step-1": "fail", "simulator.kubernaut.io/all-steps": "hang"}

    def end(annotations: dict[str, str], found: Execution) -> Any:
        done = decide(found, script_of(found, annotations, scale=0, typical=TYPICAL), None, 0)
        assert isinstance(done, Write)
        return done.status["phase"]

    dry = msgspec.structs.replace(execution, spec=msgspec.structs.replace(execution.spec, purpose="dry_run"))
    own = {"simulator.kubernaut.io/step-1.rollback": "fail", "simulator.kubernaut.io/step-1.dry-run": "fail-before"}
    assert ["completed", "completed"] == [end(step, execution), end(step, dry)]
    assert ["failed", "failed"] == [end(own, execution), end(own, dry)]
