"""What undoes a step, derived from what its target was like before."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.inverse import _DERIVED, inverse
from schemas.actions import ACTIONS, INVERTIBLE, check, has_template

DEPLOYMENT = {"deployment": "checkout", "namespace": "shop", "replicas": 9}
STATEFUL_SET = {"statefulset": "db", "namespace": "shop", "replicas": 3}
HPA = {"hpa": "checkout", "namespace": "shop", "minReplicas": 3, "maxReplicas": 9}
NODE = {"node": "n1"}
TAINT = {"node": "n1", "key": "team", "effect": "NoSchedule", "value": "ops"}
PLAIN_TAINT = {"node": "n1", "key": "team", "effect": "NoSchedule"}


@pytest.mark.parametrize(
    ("action", "parameters", "before", "expected"),
    [
        ("scale_deployment", DEPLOYMENT, {"replicas": 2}, ("scale_deployment", DEPLOYMENT | {"replicas": 2})),
        ("scale_deployment", DEPLOYMENT, {"replicas": 0}, ("scale_deployment", DEPLOYMENT | {"replicas": 0})),
        ("scale_statefulset", STATEFUL_SET, {"replicas": 5}, ("scale_statefulset", STATEFUL_SET | {"replicas": 5})),
        ("cordon_node", NODE, {"unschedulable": False}, ("uncordon_node", NODE)),
        ("uncordon_node", NODE, {"unschedulable": True}, ("cordon_node", NODE)),
        (
            "taint_node",
            TAINT,
            {"taint": None},
            ("untaint_node", {"node": "n1", "key": "team", "effect": "NoSchedule"}),
        ),
        (
            "taint_node",
            TAINT,
            {"taint": {"key": "team", "effect": "NoSchedule", "value": "dev"}},
            ("taint_node", TAINT | {"value": "dev"}),
        ),
        (
            "taint_node",
            TAINT,
            {"taint": {"key": "team", "effect": "NoSchedule"}},
            ("taint_node", {"node": "n1", "key": "team", "effect": "NoSchedule"}),
        ),
        (
            "taint_node",
            TAINT,
            {"taint": {"key": "team", "effect": "NoSchedule", "value": ""}},
            ("taint_node", {"node": "n1", "key": "team", "effect": "NoSchedule"}),
        ),
        (
            "untaint_node",
            {"node": "n1", "key": "team"},
            {"taint": {"key": "team", "effect": "NoExecute", "value": "dev"}},
            ("taint_node", {"node": "n1", "key": "team", "effect": "NoExecute", "value": "dev"}),
        ),
        (
            "update_hpa",
            HPA,
            {"minReplicas": 1, "maxReplicas": 9},
            ("update_hpa", HPA | {"minReplicas": 1}),
        ),
    ],
)
def test_a_step_is_taken_back(
    action: str, parameters: dict[str, Any], before: dict[str, Any], expected: tuple[str, dict[str, Any]]
) -> None:
    """To what it was before."""
    assert expected == inverse(action, parameters, before)


@pytest.mark.parametrize(
    ("action", "parameters", "before"),
    [
        pytest.param("scale_deployment", DEPLOYMENT, None, id="nothing was reported"),
        pytest.param("scale_deployment", DEPLOYMENT, {}, id="what is needed was not reported"),
        pytest.param("scale_deployment", DEPLOYMENT, {"replicas": 9}, id="the scale was the same before"),
        pytest.param("scale_deployment", DEPLOYMENT, {"replicas": -1}, id="a scale below 0"),
        pytest.param("scale_deployment", DEPLOYMENT, {"replicas": True}, id="a scale that is no number"),
        pytest.param("scale_deployment", DEPLOYMENT, {"replicas": "{{ 1 }}"}, id="a scale that is a template"),
        pytest.param("scale_deployment", {}, {"replicas": 1}, id="parameters that name nothing"),
        pytest.param("cordon_node", NODE, {"unschedulable": True}, id="it was cordoned before"),
        pytest.param("cordon_node", NODE, {"unschedulable": 0}, id="cordoned or not is no boolean"),
        pytest.param("uncordon_node", NODE, {"unschedulable": False}, id="it was not cordoned before"),
        pytest.param("taint_node", TAINT, {"taint": TAINT}, id="the taint was the same before"),
        pytest.param("taint_node", TAINT, {"taint": TAINT | {"key": "x"}}, id="another taint"),
        pytest.param("taint_node", TAINT, {"taint": TAINT | {"effect": "NoExecute"}}, id="another effect"),
        pytest.param("taint_node", TAINT, {"taint": TAINT | {"value": "[redacted:x]"}}, id="a value that is hidden"),
        pytest.param("taint_node", TAINT, {"taint": []}, id="no taint"),
        pytest.param(
            "taint_node", PLAIN_TAINT, {"taint": PLAIN_TAINT}, id="the taint without a value was the same before"
        ),
        pytest.param(
            "untaint_node",
            PLAIN_TAINT,
            {"taint": PLAIN_TAINT | {"effect": "NoExecute"}},
            id="another effect to put back",
        ),
        pytest.param("untaint_node", {"node": "n1", "key": "team"}, {"taint": None}, id="there was none to take off"),
        pytest.param("untaint_node", {"node": "n1", "key": "team"}, {}, id="nothing is known of the taint"),
        pytest.param("update_hpa", HPA, {"minReplicas": 3, "maxReplicas": 9}, id="the limits were the same"),
        pytest.param("update_hpa", HPA, {"minReplicas": 5, "maxReplicas": 4}, id="limits that make no sense"),
        pytest.param("update_hpa", HPA, {"minReplicas": 1}, id="half of the limits"),
        pytest.param("restart_pod", {"pod": "p", "namespace": "shop"}, {"replicas": 1}, id="nothing undoes a restart"),
    ],
)
def test_what_makes_no_sense_is_not_guessed(action: str, parameters: dict[str, Any], before: Any) -> None:
    """Then there is no way back."""
    assert inverse(action, parameters, before) is None


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 5)
    | st.floats()
    | st.sampled_from(["", "team", "NoSchedule", "{{ x }}"]),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["key", "effect", "value"]), inner, max_size=3)
    ),
)
BEFORE = st.dictionaries(
    st.sampled_from(["replicas", "unschedulable", "taint", "minReplicas", "maxReplicas", "x"]), JSON, max_size=5
)


@settings(deadline=None)
@given(
    action=st.sampled_from(list(ACTIONS)),
    parameters=st.sampled_from([DEPLOYMENT, STATEFUL_SET, HPA, NODE, TAINT, {"node": "n1", "key": "team"}, {}]),
    before=BEFORE | st.none(),
)
def test_whatever_was_reported_the_way_back_is_a_valid_action(
    action: str, parameters: dict[str, Any], before: dict[str, Any] | None
) -> None:
    """Or there is none."""
    found = inverse(action, parameters, before)

    assert found is None or (check(*found), has_template(found[1])) == ((), False)


def test_who_tells_people_what_can_be_undone_names_what_is_derived() -> None:
    """A status and a plan say of these actions, and of no other, that a step needs no rollbackSpec."""
    assert INVERTIBLE == _DERIVED.keys()
