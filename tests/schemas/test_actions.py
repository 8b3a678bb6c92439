"""The actions and the check of their parameters."""

from __future__ import annotations

import sys
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import quantities
from schemas.actions import ACTIONS, check, check_at, has_template

# spec.md section 6: parameters, with ? for those that may be left out, typical seconds, idempotent.
TABLE = {
    "scale_deployment": ("deployment namespace replicas", 30, True),
    "restart_pod": ("pod namespace", 15, False),
    "increase_resources": ("deployment namespace memory? cpu?", 120, True),
    "rollback_deployment": ("deployment namespace revision?", 120, False),
    "expand_pvc": ("pvc namespace size", 300, True),
    "drain_node": ("node gracePeriod?", 300, True),
    "cordon_node": ("node", 5, True),
    "uncordon_node": ("node", 5, True),
    "taint_node": ("node key effect value?", 10, True),
    "untaint_node": ("node key effect?", 5, True),
    "quarantine_pod": ("pod namespace", 20, True),
    "cleanup_storage": ("namespace path", 300, True),
    "backup_data": ("namespace resource destination", 600, False),
    "compact_storage": ("namespace volume", 1800, True),
    "update_hpa": ("hpa namespace minReplicas maxReplicas", 10, True),
    "restart_daemonset": ("daemonset namespace", 120, False),
    "scale_statefulset": ("statefulset namespace replicas", 300, True),
    "rotate_secrets": ("secret namespace", 30, False),
    "audit_logs": ("namespace timeRange", 120, True),
    "update_network_policy": ("networkpolicy namespace rules", 15, True),
    "restart_network": ("namespace component", 120, False),
    "reset_service_mesh": ("namespace", 300, False),
    "failover_database": ("database namespace", 300, False),
    "repair_database": ("database namespace", 1800, False),
    "enable_debug_mode": ("deployment namespace", 15, True),
    "create_heap_dump": ("pod namespace", 120, False),
    "collect_diagnostics": ("namespace resource", 300, True),
    "optimize_resources": ("namespace resourceType", 300, True),
    "migrate_workload": ("workload namespace targetNode", 600, False),
    "notify_only": ("message", 1, True),
    "custom": ("actionType config", 300, False),
}
GOOD: dict[str, Any] = {
    "actionType": "flush-cache",
    "component": "coredns",
    "config": {"cache": "all"},
    "cpu": "250m",
    "daemonset": "checkout",
    "database": "orders",
    "deployment": "checkout",
    "destination": "s3://backups/shop",
    "effect": "NoSchedule",
    "gracePeriod": "90s",
    "hpa": "checkout",
    "key": "example.com/dedicated",
    "maxReplicas": 2,
    "memory": "512Mi",
    "message": "look",
    "minReplicas": 2,
    "namespace": "shop",
    "networkpolicy": "deny",
    "node": "ip-10-0-0-1.ec2.internal",
    "path": "/var/log/app",
    "pod": "checkout-7d9c-x2x",
    "pvc": "data-0",
    "replicas": 0,
    "resource": "deployment/checkout",
    "resourceType": "deployment",
    "revision": 3,
    "rules": [{"from": []}],
    "secret": "db-creds",
    "size": "10Gi",
    "statefulset": "db",
    "targetNode": "node-2",
    "timeRange": "24h",
    "value": "db",
    "volume": "data-0",
    "workload": "checkout",
}
NAME_WORDS = "a Kubernetes name: lower case letters, digits, - and ., at most 253 characters"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def good(action: str) -> dict[str, Any]:
    """Every parameter of an action, each with a value that is right."""
    return {name.rstrip("?"): GOOD[name.rstrip("?")] for name in TABLE[action][0].split()}


def test_the_actions_are_those_of_the_contract() -> None:
    """29 actions and custom, with their durations and whether they may be repeated."""
    actual = {name: (action.typical_seconds, action.idempotent) for name, action in ACTIONS.items()}

    assert {name: (seconds, idempotent) for name, (_, seconds, idempotent) in TABLE.items()} == actual


@pytest.mark.parametrize("action", TABLE)
def test_all_parameters_of_an_action_are_taken(action: str) -> None:
    """Nothing is wrong with what the contract describes."""
    assert check(action, good(action)) == ()


@pytest.mark.parametrize("action", TABLE)
def test_parameters_that_may_be_left_out_are_not_missed_and_all_others_are(action: str) -> None:
    """Every missing parameter is named at once, and no other."""
    required = {name for name in TABLE[action][0].split() if not name.endswith("?")}
    expected = required | ({"memory"} if action == "increase_resources" else set())

    actual = {error.partition(":")[0] for error in check(action, {}) if ": missing" in error}

    assert expected == actual


@pytest.mark.parametrize(
    ("action", "name", "value", "error"),
    [
        ("scale_deployment", "replicas", -1, "replicas: must be 0 or more, is -1"),
        ("scale_deployment", "replicas", "three", "replicas: must be a whole number, is 'three'"),
        ("scale_deployment", "replicas", 1.0, "replicas: must be a whole number, is 1.0"),
        ("scale_deployment", "replicas", True, "replicas: must be a whole number, is true"),
        ("scale_deployment", "replicas", None, "replicas: must be a whole number, is null"),
        ("scale_deployment", "replicas", 2**31, "replicas: must be at most 2147483647, is 2147483648"),
        (
            "scale_deployment",
            "namespace",
            "Shop",
            "namespace: must be a namespace: lower case letters, digits and -, at most 63 characters, is 'Shop'",
        ),
        (
            "scale_deployment",
            "deployment",
            "checkout\n",
            f"deployment: must be {NAME_WORDS}, is 'checkout\\n'",
        ),
        (
            "increase_resources",
            "memory",
            "lots",
            "memory: must be a quantity above 0, such as 512Mi, 2Gi, 250m or 2, is 'lots'",
        ),
        ("increase_resources", "memory", "0Mi", "memory: must be more than 0, is '0Mi'"),
        (
            "increase_resources",
            "cpu",
            0,
            "cpu: must be a quantity above 0, such as 512Mi, 2Gi, 250m or 2, is 0",
        ),
        (
            "drain_node",
            "gracePeriod",
            "soon",
            "gracePeriod: must be a duration such as 90s or 5m, or whole seconds, is 'soon'",
        ),
        ("taint_node", "effect", "Run", "effect: must be one of NoExecute, NoSchedule, PreferNoSchedule, is 'Run'"),
        ("update_hpa", "minReplicas", 3, "minReplicas: must be at most maxReplicas (2), is 3"),
        ("cleanup_storage", "path", "/a/../etc", "path: must not go up with .., is '/a/../etc'"),
        ("cleanup_storage", "path", "logs", "path: must be an absolute path, such as /var/log/app, is 'logs'"),
        (
            "update_network_policy",
            "rules",
            "all",
            "rules: must be an object, or a list of objects, as in a NetworkPolicy, is 'all'",
        ),
        ("custom", "config", {"a": 1}, "config.a: must be text, is 1"),
        ("custom", "config", [], "config: must be an object, is a list"),
        ("scale_deployment", "deploymnt", "x", "deploymnt: unknown parameter; did you mean deployment?"),
        ("notify_only", "message", "", "message: must be text of 1 to 4096 characters, is ''"),
        (
            "notify_only",
            "message",
            {"deep": 1},
            "message: must be text of 1 to 4096 characters, is an object",
        ),
    ],
)
def test_a_wrong_parameter_is_told_with_its_path(action: str, name: str, value: Any, error: str) -> None:
    """The field, what it must be, what it is."""
    assert check(action, {**good(action), name: value}) == (error,)


def test_a_number_that_is_too_long_to_write_is_not_written() -> None:
    """Python itself refuses to write more than 4,300 digits."""
    (error,) = check("scale_deployment", good("scale_deployment") | {"replicas": 10**5000})

    assert error == "replicas: must be at most 2147483647, is a number of more than 18 digits"


@pytest.mark.parametrize("value", ["90s", "1h30m", 0, 30], ids=lambda value: f"a grace period may be {value!r}")
def test_a_grace_period_is_a_duration_or_seconds(value: Any) -> None:
    """Both ways of writing are in use."""
    assert check("drain_node", {"node": "a", "gracePeriod": value}) == ()


@pytest.mark.parametrize("value", ["1", "1.5", ".5", "512Mi", "1e3", "250m", 2, 0.5], ids=lambda v: f"cpu may be {v!r}")
def test_quantities_are_those_of_kubernetes(value: Any) -> None:
    """Text with a unit, or a bare number."""
    assert check("increase_resources", {"deployment": "a", "namespace": "b", "cpu": value}) == ()


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("1Ki", Decimal(1024)),
        ("250m", Decimal("0.25")),
        ("1.5Gi", Decimal(1610612736)),
        ("1e3", Decimal(1000)),
        ("2E", Decimal(2) * 10**18),
        ("100n", Decimal("1e-7")),
        ("+.5", Decimal("0.5")),
    ],
)
def test_a_quantity_is_read(text: str, amount: Decimal) -> None:
    """In units of one: bytes, cores."""
    assert amount == quantities.parse(text)


@pytest.mark.parametrize("text", ["", "Mi", "1mi", "-1", "1 Gi", "1e999", "0x10", "1" * 33, "1\n", "٣"])
def test_what_is_no_quantity_is_refused_with_an_example(text: str) -> None:
    """The message shows how to write one."""
    with pytest.raises(ValueError, match="is not a quantity; write a number and a unit, such as 512Mi"):
        quantities.parse(text)


def test_all_errors_are_told_at_once() -> None:
    """Nobody mends one to find the next."""
    errors = check("update_hpa", {"hpa": "A", "minReplicas": -1, "maxReplicas": "x", "namspace": "shop"})

    assert [error.partition(":")[0] for error in errors] == [
        "namspace",
        "namespace",
        "hpa",
        "minReplicas",
        "maxReplicas",
    ]


@pytest.mark.parametrize(
    ("action", "begins"),
    [
        (
            "scale_deploymnet",
            "unknown action 'scale_deploymnet'; did you mean scale_deployment?; the actions are scale_",
        ),
        ("", "unknown action ''; the actions are scale_deployment, restart_pod, "),
        (None, "unknown action null; the actions are "),
        (["scale_deployment"], "unknown action a list; the actions are "),
    ],
)
def test_an_unknown_action_is_refused_by_name_with_all_that_there_are(action: Any, begins: str) -> None:
    """Whoever mistypes sees what was meant and what there is."""
    (error,) = check(action, {})

    assert (error.startswith(begins), error.endswith("notify_only, custom")) == (True, True)


@pytest.mark.parametrize("parameters", [None, [], "x", 1, True])
def test_parameters_that_are_no_object_are_refused(parameters: Any) -> None:
    """One error, no crash."""
    (error,) = check("cordon_node", parameters)

    assert error.startswith("must be an object with the parameters of cordon_node, is ")


@pytest.mark.parametrize(
    ("action", "parameters", "path"),
    [
        ("nothing", {}, "spec.steps[0].action: unknown action"),
        ("cordon_node", [], "spec.steps[0].parameters: must be an object"),
        ("cordon_node", {}, "spec.steps[0].parameters.node: missing"),
    ],
)
def test_errors_are_told_with_their_full_path(action: str, parameters: Any, path: str) -> None:
    """The path is that of the step, then the field in it."""
    (error,) = check_at("spec.steps[0]", action, parameters)

    assert error.startswith(path)


def test_a_template_is_left_until_it_is_rendered() -> None:
    """A number may be written as an expression too."""
    parameters = {"deployment": "{{ variables.name }}", "namespace": "shop", "replicas": "{{ 1 + 1 }}"}

    assert (check("scale_deployment", parameters), has_template(parameters)) == ((), True)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("{{ a }}", True),
        ("x{{a}}y", True),
        ({"a": [{"b": "{{\n a }}"}]}, True),
        ({"{{ a }}": 1}, True),
        ("{{ a", False),
        ("}} {{", False),
        (1, False),
        (None, False),
    ],
)
def test_templates_are_found_wherever_they_are(value: Any, *, expected: bool) -> None:
    """In text, in lists, in objects, in names."""
    assert expected == has_template(value)


def test_what_was_redacted_is_left_to_whoever_sees_the_whole() -> None:
    """The scheduler reads the log, where a part of the value is missing."""
    parameters = {"namespace": "shop", "path": "[redacted:aws]"}

    assert check("cleanup_storage", parameters) == ()


@pytest.mark.parametrize(
    "value",
    ["AKIAIOSFODNN7EXAMPLE", "password=hunter2", "postgres://u:hunter2@h", "Bearer abcdef123456"],
)
def test_a_secret_in_a_wrong_place_is_not_shown(value: str) -> None:
    """An error message goes to the log, the status and an event."""
    (error,) = check("cordon_node", {"node": value})

    assert error.endswith("is something that is not shown because it may be secret")


def test_a_secret_name_hides_its_value() -> None:
    """A number under `password` is one."""
    errors = check("custom", {"actionType": "a", "config": {"ok": "x", "password": 123456}, "AKIAIOSFODNN7EXAMPLE": 1})

    shown = [word in " ".join(errors) for word in ("config.password: must be text", "123456", "AKIA")]
    assert shown == [True, False, False]


def test_a_long_value_is_cut() -> None:
    """At most 64 characters of a value are shown."""
    (error,) = check("cordon_node", {"node": "X" * 1_000_000})

    assert len(error) < 200


def test_a_flood_of_errors_is_counted_not_shown() -> None:
    """10,000 unknown parameters make a short answer."""
    errors = check("cordon_node", {f"p{i}": i for i in range(10_000)})

    assert (len(errors), "*: 9984 more unknown parameters" in errors) == (18, True)


def test_a_value_deeper_than_the_stack_is_checked() -> None:
    """Depth is data."""
    deep: Any = []
    for _ in range(sys.getrecursionlimit() * 10):
        deep = [deep]

    assert (check("cordon_node", {"node": deep}), has_template(deep)) == (
        ("node: must be a Kubernetes name: lower case letters, digits, - and ., at most 253 characters, is a list",),
        False,
    )


@settings(deadline=None)
@given(st.sampled_from(sorted(TABLE)) | JSON, st.dictionaries(st.sampled_from(sorted(GOOD)), JSON) | JSON)
def test_check_never_raises_and_answers_in_short_lines(action: Any, parameters: Any) -> None:
    """Whatever JSON it is given."""
    errors = check(action, parameters)

    assert all(isinstance(error, str) and len(error) < 2000 and "\n" not in error for error in errors)
