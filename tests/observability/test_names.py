"""Rules, dashboard and recorded series speak of nothing that the services do not show."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from runtime.health import Health
from runtime.metrics import REGISTRY
from tests.observability.dashboards import expressions, filled, variable_queries
from tests.observability.evaluator import Evaluator, Inspected
from tests.observability.known import TARGET_LABELS, Known, of_the_services
from tests.observability.series import HEALTHY
from tests.observability.troubles import HARMLESS, TROUBLES
from tests.tools.build import BUILD_SECONDS

pytestmark = pytest.mark.timeout(BUILD_SECONDS + 300)  # whichever comes first builds the engine


@pytest.fixture(scope="module")
def known(evaluator: Evaluator, rules: list[dict[str, Any]]) -> Mapping[str, Known]:
    """All names: of the services, and of what the rules record."""
    records = [rule for rule in rules if "record" in rule]
    found = evaluator.inspect([rule["expr"] for rule in records])
    recorded = {rule["record"]: Known(frozenset(one.labels)) for rule, one in zip(records, found, strict=True)}
    return {**of_the_services(), **recorded}


def unknown(found: Inspected, known: Mapping[str, Known]) -> list[str]:
    """Name what an expression asks for and nobody has."""
    names = [one.metric for one in found.selectors if one.metric not in known]
    there = [(one, known[one.metric]) for one in found.selectors if one.metric in known]
    labels = [
        f"{one.metric}{{{label}}}" for one, has in there for label in set(one.labels) - has.labels - TARGET_LABELS
    ]
    bounds = [f"{one.metric} le={one.bound}" for one, has in there if one.bound not in {"", "+Inf"} | has.bounds]
    grouped = set(found.labels) - TARGET_LABELS - {label for _, has in there for label in has.labels}
    return [*names, *labels, *bounds, *(f"by {label}" for label in sorted(grouped))]


def test_every_rule_asks_for_what_the_services_show(
    evaluator: Evaluator, rules: list[dict[str, Any]], known: Mapping[str, Known]
) -> None:
    """Names, labels, buckets, and what it groups by."""
    found = evaluator.inspect([rule["expr"] for rule in rules])

    problems = {
        (rule.get("alert") or rule["record"]): unknown(one, known) for rule, one in zip(rules, found, strict=True)
    }

    assert {} == {name: each for name, each in problems.items() if each}


def test_every_query_of_the_dashboard_parses_and_asks_for_what_the_services_show(
    evaluator: Evaluator, dashboard: dict[str, Any], known: Mapping[str, Known]
) -> None:
    """With Grafana's own variables filled in."""
    asked = [filled(text) for text in (*expressions(dashboard), *variable_queries(dashboard))]

    found = evaluator.inspect(asked)

    assert [""] * len(asked) == [one.error for one in found]
    assert {} == {text: each for text, one in zip(asked, found, strict=True) if (each := unknown(one, known))}


def test_the_series_of_these_tests_are_those_of_the_services(evaluator: Evaluator, known: Mapping[str, Known]) -> None:
    """An alert that fires on what does not exist proves nothing."""
    played = [HEALTHY, *(one for one, _ in TROUBLES.values()), *HARMLESS.values()]
    names = sorted({name for each in played for name in each})

    found = evaluator.inspect(names)

    assert {} == {name: each for name, one in zip(names, found, strict=True) if (each := unknown(one, known))}


def test_a_name_that_nobody_has_is_found(evaluator: Evaluator, known: Mapping[str, Known]) -> None:
    """As are a label, a bucket and a group."""
    asked = (
        "kubernaut_decisions",
        'kubernaut_decisions_total{workflow="a"}',
        'kubernaut_handoff_seconds_bucket{le="7.0"}',
        "sum by (stream) (kubernaut_dead_letters_total)",
    )

    assert [1, 1, 1, 1] == [len(unknown(one, known)) for one in evaluator.inspect(asked)]


def test_a_dependency_shows_whether_it_is_well() -> None:
    """As /readyz does, from the beginning, and both ways."""
    shown, labels = [], {"dependency": "of this test"}

    dependency = Health().dependency("of this test")
    shown.append(REGISTRY.get_sample_value("kubernaut_dependency_ready", labels))
    dependency.ok()
    shown.append(REGISTRY.get_sample_value("kubernaut_dependency_ready", labels))
    dependency.failed("away")
    shown.append(REGISTRY.get_sample_value("kubernaut_dependency_ready", labels))

    assert [0, 1, 0] == shown
