"""The dashboard as Grafana would read it; what it asks for is tried in `test_names.py`."""

from __future__ import annotations

import re
from itertools import combinations
from typing import Any

from tests.observability.dashboards import expressions, filled, panels

DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
SEVEN = (
    "Runs that succeed",
    "Duration of a run",
    "Runs that end",
    "Active and waiting runs",
    "Steps that succeed",
    "Time saved by running side by side",
    "Making the plan",
)
"""What a run is promised, first of all."""


def test_ids_are_unique_and_panels_do_not_overlap(dashboard: dict[str, Any]) -> None:
    """Grafana drops a panel whose id is taken, and pushes about those that overlap."""
    places = [(each["id"], each["gridPos"]) for each in dashboard["panels"]]

    assert len(places) == len({each for each, _ in places})
    assert [] == [(a, b) for (a, one), (b, other) in combinations(places, 2) if _overlap(one, other)]
    assert all(place["x"] + place["w"] <= 24 for _, place in places)


def test_the_promises_to_a_run_stand_first(dashboard: dict[str, Any]) -> None:
    """Success, duration, ends, active runs, steps, parallel efficiency, planning."""
    assert SEVEN == tuple(each["title"] for each in panels(dashboard)[: len(SEVEN)])


def test_every_panel_says_what_it_shows_and_in_which_unit(dashboard: dict[str, Any]) -> None:
    """A description, a unit, a legend, and ids of queries that differ."""
    for panel in panels(dashboard):
        targets = panel["targets"]
        assert panel["description"], panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert all(each["legendFormat"] for each in targets), panel["title"]
        assert len(targets) == len({each["refId"] for each in targets}), panel["title"]


def test_the_data_source_is_chosen_by_its_variable(dashboard: dict[str, Any]) -> None:
    """No installation's data source is in it."""
    variables = {each["name"]: each for each in dashboard["templating"]["list"]}
    used = [each["datasource"] for panel in panels(dashboard) for each in (panel, *panel["targets"])]

    assert "datasource" == variables["datasource"]["type"]
    assert all(DATASOURCE == each for each in used)


def test_every_variable_that_is_used_is_defined(dashboard: dict[str, Any]) -> None:
    """Grafana's own apart."""
    variables = {each["name"] for each in dashboard["templating"]["list"]}
    used = {name for text in expressions(dashboard) for name in re.findall(r"\$\{?(\w+)", filled(text))}

    assert set() == used - variables


def _overlap(one: dict[str, int], other: dict[str, int]) -> bool:
    return (
        one["x"] < other["x"] + other["w"]
        and other["x"] < one["x"] + one["w"]
        and one["y"] < other["y"] + other["h"]
        and other["y"] < one["y"] + one["h"]
    )
