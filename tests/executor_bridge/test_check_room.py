"""Whether what steps ask for fits: amounts, quotas and nodes, by tables, with objects that make no sense among them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from executor_bridge.checks.amounts import of_pod, raised
from executor_bridge.checks.capacity import Ask, Room, ask_of, asked_of, judge_quotas, judge_room, together, use_of
from executor_bridge.checks.values import amount, shown
from schemas.targets import Target

GI = Decimal(1 << 30)


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
        pytest.param([an_ask(cpu="1")], room(n1="-5", n2="1"), {"Nodes": "passed"}, id="another is overcommitted"),
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
