"""What the checks conclude from objects: by tables, with objects that make no sense among them."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from executor_bridge.checks.amounts import of_node
from executor_bridge.checks.capacity import Ask, Room, ask_of, judge_quotas, judge_room, together, use_of
from executor_bridge.checks.health import problem_of, seen
from executor_bridge.checks.rights import NEEDED, account_of, missing_sentence, questions_of, review_of
from executor_bridge.checks.values import is_name, is_namespace
from executor_bridge.checks.verdict import FINDINGS, INPUTS, MESSAGE, SENTENCE, SUBJECT, Found, passed, reported
from runtime.kinds import BY_KIND
from schemas.actions import ACTIONS
from schemas.messages import CheckFinding, RunCheck, encode
from schemas.targets import Target
from tests.executor_bridge.builders import UID, WORKFLOW


def a_workload(replicas: Any = 2, available: Any = 2, *, generation: int = 3, observed: int = 3, **status: Any) -> Any:
    """A Deployment or a StatefulSet."""
    return {
        "metadata": {"generation": generation},
        "spec": {"replicas": replicas},
        "status": {"observedGeneration": observed, "availableReplicas": available, **status},
    }


def conditions(**statuses: str) -> dict[str, Any]:
    """A status with conditions."""
    return {"status": {"conditions": [{"type": kind, "status": status} for kind, status in statuses.items()]}}


STUCK = {"conditions": [{"type": "Progressing", "status": "False", "message": "it took too long"}]}
NEW = {"metadata": {"generation": 1}, "spec": {}, "status": {"observedGeneration": 1}}


@pytest.mark.parametrize(
    ("kind", "found", "problem"),
    [
        pytest.param("Deployment", a_workload(), "", id="all pods available"),
        pytest.param("Deployment", a_workload(available=3), "", id="more than asked for, in a rollout"),
        pytest.param("Deployment", a_workload(0, None), "", id="none asked for, none there"),
        pytest.param("Deployment", a_workload(available=1), "1 of 2 pods are available", id="one pod is missing"),
        pytest.param("Deployment", a_workload(available=None), "0 of 2 pods are available", id="no pod came"),
        pytest.param("Deployment", NEW, "0 of 1 pods are available", id="the default is one"),
        pytest.param("Deployment", a_workload(observed=2), "its controller has not seen", id="a status of before"),
        pytest.param("Deployment", a_workload(**STUCK), "it took too long", id="a rollout that is stuck"),
        pytest.param("StatefulSet", a_workload(), "", id="a stateful set with all pods"),
        pytest.param("StatefulSet", a_workload(available=0), "0 of 2 pods", id="a stateful set without pods"),
        pytest.param("StatefulSet", a_workload(observed=0), "its controller has not seen", id="nobody controls it"),
        pytest.param("DaemonSet", {"status": {"desiredNumberScheduled": 3, "numberAvailable": 3}}, "", id="on each"),
        pytest.param("DaemonSet", {"status": {"desiredNumberScheduled": 3}}, "0 of 3 pods", id="on no node"),
        pytest.param("Pod", conditions(Ready="True"), "", id="a ready pod"),
        pytest.param("Pod", {"status": {"phase": "Running"}}, "", id="a running pod"),
        pytest.param("Pod", {"status": {"phase": "Pending"}}, "its phase is Pending", id="a pending pod"),
        pytest.param("Pod", {}, "its phase is unknown", id="a pod without a status"),
        pytest.param("Node", conditions(Ready="True"), "", id="a ready node"),
        pytest.param("Node", conditions(Ready="True") | {"spec": {"unschedulable": True}}, "", id="a cordoned node"),
        pytest.param("Node", conditions(Ready="Unknown"), "it is not ready", id="a node that is silent"),
        pytest.param("Node", {}, "it is not ready", id="a node without a status"),
        pytest.param("PersistentVolumeClaim", {"status": {"phase": "Bound"}}, "", id="a bound claim"),
        pytest.param("PersistentVolumeClaim", {"status": {"phase": "Lost"}}, "not bound but Lost", id="a lost claim"),
        pytest.param("HorizontalPodAutoscaler", {}, "", id="an autoscaler that is new"),
        pytest.param("HorizontalPodAutoscaler", conditions(AbleToScale="False"), "it cannot scale", id="it cannot"),
        pytest.param("NetworkPolicy", {}, "", id="a policy need only be there"),
        pytest.param("Namespace", {"status": {"phase": "Active"}}, "", id="an active namespace"),
        pytest.param("Namespace", {"status": {"phase": "Terminating"}}, "but Terminating", id="one that goes"),
        pytest.param("NetworkPolicy", {"metadata": {"deletionTimestamp": "x"}}, "being deleted", id="it goes"),
    ],
)
def test_a_thing_is_well_by_its_own_status(kind: str, found: Any, problem: str) -> None:
    """What keeps it from being available is said in words; nothing when it is."""
    told = problem_of(kind, found)

    assert bool(problem) == bool(told)
    assert problem in told


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["metadata", "spec", "status", "conditions", "type", "replicas", "template", "containers"])
            | st.sampled_from(["resources", "requests", "limits", "cpu", "memory", "allocatable", "hard", "used"])
            | st.sampled_from(["phase", "name", "initContainers", "overhead", "nodeName", "pods", "scopes"]),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


@settings(deadline=None)
@example(found={"status": {"phase": {}, "conditions": [[], {"type": {}}], "hard": {"cpu": []}}}, parameters={})
@given(found=JSON, parameters=st.dictionaries(st.sampled_from(["replicas", "size", "cpu", "targetNode"]), JSON))
def test_no_object_makes_a_judge_fail(found: Any, parameters: dict[str, Any]) -> None:
    """Whatever JSON an object is made of, something is said of it."""
    for kind in BY_KIND:
        assert isinstance(problem_of(kind, found), str)
        assert isinstance(seen(kind, found), str)
    target = Target("Deployment", "shop", "web")
    asks = []
    for action in ("scale_deployment", "increase_resources", "expand_pvc", "migrate_workload"):
        ask = ask_of(action, parameters, target, found)
        asks += [ask] if isinstance(ask, Ask) else []
    use_of(found)
    judge_quotas("shop", together(asks), [found])
    judge_room(together(asks), Room({"n": of_node(found)}))


@pytest.mark.parametrize("text", ["", "a/b", "..", ".", "A", "a b", "{{ x }}", "[redacted:token]", "a" * 254, "a\n"])
def test_what_no_object_can_be_called_is_never_asked_for(text: str) -> None:
    """Paths, templates and what redaction left are no names."""
    assert (is_name(text), is_namespace(text)) == (False, False)


def test_every_action_says_what_rights_it_needs() -> None:
    """An action without an entry would pass the check unseen."""
    assert set(NEEDED) == set(ACTIONS)
    assert [action for action, rights in NEEDED.items() if not rights] == ["notify_only", "custom"]


def test_the_account_of_an_action_can_be_one() -> None:
    """`_` cannot be in the name of a ServiceAccount."""
    assert account_of("scale_deployment") == "scale-deployment-sa"
    assert all(re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", account_of(action)) for action in ACTIONS)


def test_a_question_names_the_account_its_groups_and_the_target() -> None:
    """The API server judges as it would judge the account itself."""
    (question,) = questions_of("scale_deployment", "shop", "payments", "checkout")

    assert review_of(question)["spec"] == {
        "user": "system:serviceaccount:shop:scale-deployment-sa",
        "groups": ["system:serviceaccounts", "system:serviceaccounts:shop", "system:authenticated"],
        "resourceAttributes": {
            "verb": "patch",
            "group": "apps",
            "resource": "deployments",
            "subresource": "scale",
            "namespace": "payments",
            "name": "checkout",
        },
    }


def test_what_is_in_no_namespace_is_asked_for_everywhere() -> None:
    """Draining needs the node by its name, and the pods of every namespace."""
    told = [str(question) for question in questions_of("drain_node", "shop", "", "n1")]

    assert told == ["patch nodes n1", "list pods", "create pods/eviction"]


def test_what_is_missing_is_said_with_what_to_do() -> None:
    """The sentence names account, namespace and right."""
    assert missing_sentence(list(questions_of("restart_pod", "shop", "payments", "web-1"))) == (
        "ServiceAccount restart-pod-sa in namespace shop may not delete pods web-1 in namespace payments: "
        "grant it by a Role and a RoleBinding"
    )


COMMAND = RunCheck(check="check-1", type="health")


def a_finding(state: Any = "passed", message: str = "", subject: str = "Pod/shop/web-1") -> CheckFinding:
    """What one target was found to be."""
    return CheckFinding(subject=subject, state=state, message=message)


@pytest.mark.parametrize(
    ("findings", "verdict", "message"),
    [
        ((), True, ""),
        ((a_finding(),), True, ""),
        (
            (a_finding(), a_finding("unknown", "no right")),
            True,
            "1 of 2 could not be judged: Pod/shop/web-1: no right",
        ),
        ((a_finding("unknown", "no right"), a_finding("failed", "gone")), False, "Pod/shop/web-1: gone"),
        (
            tuple(a_finding("failed", str(n)) for n in range(5)),
            False,
            "Pod/shop/web-1: 0; Pod/shop/web-1: 1; Pod/shop/web-1: 2; and 2 more",
        ),
    ],
    ids=["nothing to look at", "all well", "one unknown", "one failed", "many failed"],
)
def test_a_check_passes_unless_something_is_wrong(
    findings: tuple[CheckFinding, ...],
    verdict: bool,  # noqa: FBT001
    message: str,
) -> None:
    """What cannot be judged fails nothing, and is told."""
    body = reported(WORKFLOW, COMMAND, f"{UID}/1/0", Found(findings))

    assert (body.passed, body.message) == (verdict, message)


def test_what_is_told_holds_no_secret_and_fits_into_a_message() -> None:
    """However much was found, in however odd letters, with a secret in it: short, clean, and the verdict holds."""
    secret = "password=correct-horse-battery"  # noqa: S105 - what must not be seen anywhere
    odd = "\x00" * 5000
    many = [a_finding("passed", f"{n} {secret} {odd}", f"{n} {odd}") for n in range(1000)]
    found = Found((*many, a_finding("failed", secret)), {f"{n} {odd}": f"{secret} {odd}" for n in range(1000)})

    body = reported(WORKFLOW, COMMAND, f"{UID}/1/0", found)
    data = encode(body)

    assert b"correct-horse" not in data
    assert len(data) < 1_000_000
    assert (len(body.findings), len(body.inputs), body.findings[0].state) == (FINDINGS, INPUTS, "failed")
    assert max(len(finding.subject) for finding in body.findings) <= SUBJECT
    assert max(len(finding.message) for finding in body.findings) <= SENTENCE
    assert len(body.message) <= MESSAGE
    assert (body.passed, passed(found)) == (False, False)


def test_a_text_that_is_no_unicode_is_told_all_the_same() -> None:
    """A lone surrogate, which JSON may hold, does not stop the message."""
    body = reported(WORKFLOW, COMMAND, f"{UID}/1/0", Found((a_finding("failed", "\ud800"),)))

    assert encode(body)
