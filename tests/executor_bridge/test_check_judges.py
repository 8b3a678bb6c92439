"""What the checks conclude from objects: by tables, with objects that make no sense among them."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from executor_bridge.checks.amounts import of_node, of_pod, raised
from executor_bridge.checks.capacity import Ask, Room, ask_of, asked_of, judge_quotas, judge_room, together, use_of
from executor_bridge.checks.health import problem_of, seen
from executor_bridge.checks.rights import NEEDED, account_of, missing_sentence, questions_of, review_of
from executor_bridge.checks.values import amount, is_name, is_namespace, shown
from executor_bridge.checks.verdict import FINDINGS, INPUTS, MESSAGE, SENTENCE, SUBJECT, Found, passed, reported
from runtime.kinds import BY_KIND
from schemas.actions import ACTIONS
from schemas.messages import CheckFinding, RunCheck, encode
from schemas.targets import Target
from tests.executor_bridge.builders import UID, WORKFLOW

GI = Decimal(1 << 30)


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


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("1Gi", GI),
        ("250m", Decimal("0.25")),
        (2, Decimal(2)),
        (0.5, Decimal("0.5")),
        (True, None),
        (-1, None),
        ("-1", None),
        ("lots", None),
        ("9" * 40, None),
        (None, None),
        ({}, None),
        (float("inf"), None),
    ],
)
def test_amounts_are_read_as_the_api_writes_them(value: Any, expected: Decimal | None) -> None:
    """What is no amount is none; nothing is guessed."""
    assert amount(value) == expected


@pytest.mark.parametrize(
    ("resource", "value", "expected"),
    [
        ("requests.memory", GI, "1024Mi"),
        ("requests.storage", GI / 3, "341.333Mi"),
        ("requests.cpu", Decimal("0.25"), "0.25"),
        ("pods", Decimal(10), "10"),
    ],
)
def test_amounts_are_shown_as_people_write_them(resource: str, value: Decimal, expected: str) -> None:
    """Memory and storage in Mi, the rest as it is."""
    assert shown(resource, value) == expected


@pytest.mark.parametrize("text", ["", "a/b", "..", ".", "A", "a b", "{{ x }}", "[redacted:token]", "a" * 254, "a\n"])
def test_what_no_object_can_be_called_is_never_asked_for(text: str) -> None:
    """Paths, templates and what redaction left are no names."""
    assert (is_name(text), is_namespace(text)) == (False, False)


def a_container(cpu: str = "", memory: str = "", **fields: Any) -> dict[str, Any]:
    """A container with requests."""
    requests = {name: value for name, value in (("cpu", cpu), ("memory", memory)) if value}
    return {"resources": {"requests": requests}} | fields


@pytest.mark.parametrize(
    ("spec", "cpu"),
    [
        pytest.param({"containers": [a_container("1"), a_container("250m")]}, "1.25", id="containers add up"),
        pytest.param(
            {"containers": [a_container("1")], "initContainers": [a_container("3"), a_container("2")]},
            "3",
            id="the largest init container counts when it is more",
        ),
        pytest.param(
            {"containers": [a_container("1")], "initContainers": [a_container("500m", restartPolicy="Always")]},
            "1.5",
            id="a sidecar runs beside the containers",
        ),
        pytest.param(
            {
                "containers": [a_container("1")],
                "initContainers": [a_container("1", restartPolicy="Always"), a_container("4")],
            },
            "5",
            id="an init container runs beside the sidecars before it",
        ),
        pytest.param({"containers": [a_container("1")], "overhead": {"cpu": "100m"}}, "1.1", id="overhead is added"),
        pytest.param({"containers": [{"resources": {"limits": {"cpu": "2"}}}]}, "2", id="a limit alone is a request"),
        pytest.param({"containers": [{}]}, "0", id="nothing asked for"),
        pytest.param({"containers": "many"}, "0", id="no list of containers"),
        pytest.param(None, "0", id="no spec"),
    ],
)
def test_a_pod_needs_what_kubernetes_counts(spec: Any, cpu: str) -> None:
    """Requests of a pod, as its scheduler and its quotas have them."""
    need = of_pod(spec)

    assert (need["requests.cpu"], need["pods"]) == (Decimal(cpu), 1)


def test_what_a_pod_grows_by_counts_each_container_that_has_less() -> None:
    """A container that has more already does not shrink, and one without a limit gets none."""
    limited = {"resources": {"requests": {"cpu": "1"}, "limits": {"cpu": "1"}}}
    spec = {"containers": [limited, a_container("3"), a_container()]}

    grown = raised(spec, {"cpu": "2"})

    assert (grown["requests.cpu"], grown["limits.cpu"], grown["requests.memory"]) == (3, 1, 0)


WEB = Target("Deployment", "shop", "web")
POD = {"containers": [a_container("500m", "1Gi")]}


def a_deployment(replicas: int = 2) -> dict[str, Any]:
    """A Deployment whose pods ask for half a core and 1 Gi each."""
    return {"spec": {"replicas": replicas, "template": {"spec": POD}}}


@pytest.mark.parametrize(
    ("action", "parameters", "expected"),
    [
        ("scale_deployment", {"replicas": 5}, {"requests.cpu": "1.5", "pods": "3"}),
        ("scale_deployment", {"replicas": 2}, {}),
        ("scale_statefulset", {"replicas": 0}, {}),
        ("increase_resources", {"memory": "2Gi"}, {"requests.memory": str(2 * GI)}),
        ("increase_resources", {"cpu": "100m"}, {}),
        ("migrate_workload", {"targetNode": "n1"}, {"requests.cpu": "1", "pods": "2", "requests.memory": str(2 * GI)}),
    ],
    ids=["three more", "no more", "none at all", "twice the memory of two pods", "less than there is", "moves whole"],
)
def test_a_step_asks_for_what_it_adds(action: str, parameters: dict[str, Any], expected: dict[str, str]) -> None:
    """What is there already is not asked for again."""
    ask = ask_of(action, parameters, WEB, a_deployment())

    assert isinstance(ask, Ask)
    told = {name: value for name, value in ask.amounts.items() if value and not name.startswith("limits")}
    assert {name: told[name] for name in expected} == {name: Decimal(value) for name, value in expected.items()}
    assert ask.of_anything() is bool(expected)


@pytest.mark.parametrize(
    ("action", "parameters"),
    [
        ("scale_deployment", {"replicas": "{{ variables.n }}"}),
        ("scale_deployment", {"replicas": True}),
        ("increase_resources", {"memory": "{{ x }}"}),
        ("expand_pvc", {"size": "[redacted:token]"}),
        ("migrate_workload", {"targetNode": 1}),
    ],
)
def test_what_is_known_only_when_the_step_runs_is_said(action: str, parameters: dict[str, Any]) -> None:
    """A template is no amount, and nobody makes one up."""
    told = ask_of(action, parameters, WEB, a_deployment())

    assert isinstance(told, str)
    assert "not known before the step runs" in told


def test_a_claim_asks_for_the_difference() -> None:
    """A claim of 1 Gi that shall have 3 asks for 2; one that has more asks for nothing."""
    claim = {"spec": {"resources": {"requests": {"storage": "1Gi"}}}}
    target = Target("PersistentVolumeClaim", "shop", "data")
    more, less = (ask_of("expand_pvc", {"size": size}, target, claim) for size in ("3Gi", "512Mi"))

    assert isinstance(more, Ask)
    assert isinstance(less, Ask)
    assert (more.amounts, less.of_anything()) == ({"requests.storage": 2 * GI}, False)


@pytest.mark.parametrize(
    ("action", "parameters", "expected"),
    [
        ("restart_pod", {"pod": "web-1", "namespace": "shop"}, None),
        ("scale_deployment", {"deployment": "web", "namespace": "shop"}, WEB),
        ("migrate_workload", {"workload": "web", "namespace": "shop"}, WEB),
        ("migrate_workload", {"workload": "deployment/web", "namespace": "shop"}, WEB),
        ("migrate_workload", {"workload": "StatefulSet/db", "namespace": "shop"}, Target("StatefulSet", "shop", "db")),
        ("migrate_workload", {"workload": "job/x", "namespace": "shop"}, Target("job", "shop", "x")),
        ("migrate_workload", {"workload": 1}, None),
        ("an_action_of_tomorrow", {}, None),
    ],
)
def test_only_actions_that_may_ask_for_room_are_looked_at(
    action: str, parameters: dict[str, Any], expected: Target | None
) -> None:
    """Every other step passes without a read."""
    assert asked_of(action, parameters) == expected


def an_ask(target: str = "Deployment/shop/web", node: str = "", **amounts: str) -> Ask:
    """What a step asks for; `cpu="2"` and so on."""
    names = {"cpu": "requests.cpu", "memory": "requests.memory", "pods": "pods", "storage": "requests.storage"}
    read = {names[name]: amount(value) or Decimal(0) for name, value in amounts.items()}
    return Ask(target=target, namespace="shop", amounts=read, pod=read, node=node, counted=not node)


def a_quota(hard: Any, used: Any = None, **spec: Any) -> dict[str, Any]:
    """A ResourceQuota."""
    return {"metadata": {"name": "small"}, "spec": spec, "status": {"hard": hard, "used": used or {}}}


@pytest.mark.parametrize(
    ("ask", "quota", "state"),
    [
        pytest.param(an_ask(cpu="1"), a_quota({"requests.cpu": "2"}, {"requests.cpu": "1"}), "passed", id="just fits"),
        pytest.param(an_ask(cpu="2"), a_quota({"requests.cpu": "2"}, {"requests.cpu": "1"}), "failed", id="too much"),
        pytest.param(an_ask(cpu="2"), a_quota({"cpu": "2"}, {"cpu": "1"}), "failed", id="the short name of requests"),
        pytest.param(an_ask(pods="2"), a_quota({"count/pods": "3"}, {"count/pods": "2"}), "failed", id="counted"),
        pytest.param(an_ask(memory="1Gi"), a_quota({"requests.cpu": "0"}), "passed", id="limits something else"),
        pytest.param(an_ask(cpu="1"), a_quota({"requests.cpu": "?"}), "passed", id="a limit that is none"),
        pytest.param(
            an_ask(cpu="0"), a_quota({"requests.cpu": "1"}, {"requests.cpu": "9"}), "passed", id="over by now"
        ),
        pytest.param(an_ask(storage="2Gi"), a_quota({"requests.storage": "1Gi"}), "failed", id="storage"),
        pytest.param(an_ask(cpu="2"), a_quota({"cpu": "1"}, scopes=["BestEffort"]), "unknown", id="of some pods only"),
        pytest.param(an_ask(cpu="1"), a_quota({"cpu": "1"}, scopes=["BestEffort"]), "passed", id="fits all the same"),
        pytest.param(an_ask(cpu="1"), a_quota([]), "passed", id="no limits at all"),
        pytest.param(an_ask(cpu="9", node="n1"), a_quota({"cpu": "1"}), "passed", id="what moves is counted already"),
    ],
)
def test_a_quota_is_kept(ask: Ask, quota: Any, state: str) -> None:
    """What is used and what is asked for must be within what is allowed."""
    (finding,), _ = judge_quotas("shop", [ask], [quota])

    assert (finding.subject, finding.state) == ("ResourceQuota/shop/small", state)
    assert bool(finding.message) is (state != "passed")


def test_the_figures_of_a_quota_are_told() -> None:
    """An auditor sees what the verdict was made of."""
    quota = a_quota({"requests.memory": "4Gi"}, {"requests.memory": "3Gi"})
    (finding,), inputs = judge_quotas("shop", [an_ask(memory="1536Mi")], [quota])

    assert inputs == {"ResourceQuota/shop/small requests.memory": "hard 4096Mi, used 3072Mi, asked 1536Mi"}
    assert finding.message == (
        "requests.memory is limited to 4096Mi, 3072Mi is used, and 1536Mi more is asked for; "
        "raise the quota or free some of it"
    )


def room(**free: str) -> Room:
    """Nodes and the cores that each has left, with plenty of everything else."""
    rest = {"requests.memory": 100 * GI, "pods": Decimal(100)}
    return Room({name: {"requests.cpu": Decimal(cpu), **rest} for name, cpu in free.items()})


@pytest.mark.parametrize(
    ("asks", "free", "expected"),
    [
        pytest.param([an_ask(cpu="1")], room(n1="1"), {"Nodes": "passed"}, id="just fits"),
        pytest.param([an_ask(cpu="2")], room(n1="1"), {"Nodes": "failed"}, id="too much"),
        pytest.param([an_ask(cpu="2")], room(n1="1", n2="1"), {"Nodes": "failed"}, id="a pod is never cut in two"),
        pytest.param([an_ask(cpu="1"), an_ask("b", cpu="1")], room(n1="1", n2="1"), {"Nodes": "passed"}, id="two"),
        pytest.param([], room(n1="0"), {}, id="nothing is asked for"),
        pytest.param([], room(), {"Nodes": "unknown"}, id="nothing is asked for and no node is there"),
        pytest.param([an_ask(cpu="1")], room(), {"Nodes": "failed"}, id="no node is there"),
        pytest.param([an_ask(cpu="1")], room(n1="-5"), {"Nodes": "failed"}, id="overcommitted"),
        pytest.param([an_ask(storage="1Gi")], room(n1="0"), {}, id="storage is on no node"),
        pytest.param([an_ask(cpu="1", node="n1")], room(n1="1"), {"Node//n1": "passed"}, id="the node takes it"),
        pytest.param([an_ask(cpu="2", node="n1")], room(n1="1", n2="9"), {"Node//n1": "failed"}, id="not that node"),
        pytest.param([an_ask(cpu="1", node="n3")], room(n1="1"), {"Node//n3": "failed"}, id="no such node"),
    ],
)
def test_what_is_asked_for_must_get_onto_the_nodes(asks: list[Ask], free: Room, expected: dict[str, str]) -> None:
    """All of it must fit in sum, each pod onto one node, and what is to move onto the node that was named."""
    findings, _ = judge_room(asks, free)

    assert {finding.subject: finding.state for finding in findings} == expected


def test_pods_that_wait_for_a_node_take_their_part_of_the_room() -> None:
    """Of two free cores one is spoken for."""
    waiting = msgspec.structs.replace(room(n1="2"), waiting={"requests.cpu": Decimal(1)})

    assert [f.state for f in judge_room([an_ask(cpu="2")], waiting)[0]] == ["failed"]
    assert [f.state for f in judge_room([an_ask(cpu="1")], waiting)[0]] == ["passed"]


def test_two_steps_on_one_target_ask_for_the_most_of_the_two() -> None:
    """Scaling the same thing twice is not twice as much."""
    (ask,) = together([an_ask(cpu="1", pods="5"), an_ask(cpu="3", pods="2")])

    assert ask.amounts == {"requests.cpu": 3, "pods": 5}


def test_a_pod_that_has_ended_uses_nothing() -> None:
    """Its requests are free again; one without a node waits for it."""
    ended, waits = ({"spec": POD, "status": {"phase": phase}} for phase in ("Succeeded", "Pending"))

    assert use_of(ended) is None
    assert (use_of(waits) or ("?", {}))[0] == ""


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
