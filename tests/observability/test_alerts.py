"""Each alert on recorded series, played through Prometheus' own engine."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.observability.evaluator import INTERVAL_SECONDS, Evaluator, Fired
from tests.observability.series import HEALTHY, TROUBLE, Recorded, beginning, born, described, rising, turning
from tests.observability.troubles import COMPANIONS, HARMLESS, TROUBLES
from tests.tools.build import BUILD_SECONDS

pytestmark = pytest.mark.timeout(BUILD_SECONDS + 300)  # whichever comes first builds the engine
MINUTES = 120
LONG = 8 * 60
_UNITS = {"s": 1, "m": 60, "h": 3600}


def played(evaluator: Evaluator, rules: str, recorded: Recorded, minutes: int = MINUTES) -> tuple[Fired, ...]:
    """What fires while a system at work has these series instead of its own."""
    return evaluator.fired(rules, described({**HEALTHY, **recorded}, minutes), minutes)


def test_a_healthy_system_wakes_nobody(evaluator: Evaluator, rules_text: str) -> None:
    """Eight hours of work, and no alert."""
    assert () == played(evaluator, rules_text, {}, LONG)


@pytest.mark.parametrize("name", HARMLESS)
def test_what_happens_on_any_day_wakes_nobody(evaluator: Evaluator, rules_text: str, name: str) -> None:
    """Updates, bursts, quiet hours, refusals that are answers."""
    assert () == played(evaluator, rules_text, HARMLESS[name])


def test_every_alert_is_tried(alerts: dict[str, Any]) -> None:
    """None is without a trouble in the table, and none in the table is without a rule."""
    assert TROUBLES.keys() == alerts.keys()


@pytest.mark.parametrize("name", TROUBLES)
def test_an_alert_fires_on_its_trouble_and_no_other_does(
    evaluator: Evaluator, rules_text: str, alerts: dict[str, Any], name: str
) -> None:
    """With its labels, not before the trouble has lasted as long as the rule says, in words that are filled in."""
    recorded, labels = TROUBLES[name]

    fired = played(evaluator, rules_text, recorded, LONG if "6h" in alerts[name]["expr"] else MINUTES)

    assert {name} == {one.alert for one in fired} - COMPANIONS.get(name, frozenset())
    first = next(one for one in fired if one.alert == name)
    assert {**labels, "severity": alerts[name]["labels"]["severity"]} == first.labels
    assert first.at_seconds >= TROUBLE * INTERVAL_SECONDS + _seconds(alerts[name].get("for", "0s"))
    assert "" == _unfilled(first.annotations["summary"])


def test_a_first_event_counts_although_its_counter_was_born_with_it(evaluator: Evaluator, rules_text: str) -> None:
    """`increase` alone does not see it; what is recorded counts it once, and later ones as they come."""
    name = 'kubernaut_dead_letters_total{consumer="bridge"}'
    recorded = {**HEALTHY, name: born(2)}

    assert ("2",) == evaluator.values(
        "kubernaut:dead_letters:increase1h", rules_text, described(recorded, TROUBLE + 5), TROUBLE + 5
    )
    assert ("0",) == evaluator.values(
        f"increase({name}[1h])", rules_text, described(recorded, TROUBLE + 5), TROUBLE + 5
    )


def test_an_alert_of_what_happened_once_ends_an_hour_later(evaluator: Evaluator, rules_text: str) -> None:
    """Whoever has looked at a dead letter is not told of it for ever."""
    recorded = {**HEALTHY, 'kubernaut_dead_letters_total{consumer="bridge"}': born(1)}
    minutes = TROUBLE + 62

    told = evaluator.values("kubernaut:dead_letters:increase1h", rules_text, described(recorded, minutes), minutes)

    assert ("0",) == told


def test_every_dependency_has_an_alert_of_its_own(evaluator: Evaluator, rules_text: str) -> None:
    """However many processes miss it."""
    recorded = {
        f'kubernaut_dependency_ready{{dependency="{what}",job="{job}",instance="a"}}': turning(1, 0)
        for what, job in (("postgresql", "auditor"), ("kubernetes", "executor_bridge"), ("kubernetes", "another"))
    }

    fired = played(evaluator, rules_text, recorded)

    assert ["kubernetes", "postgresql"] == sorted(one.labels["dependency"] for one in fired)


def test_an_audit_without_an_auditor_is_behind(evaluator: Evaluator, rules_text: str) -> None:
    """One that hangs tells no lag; that no row comes says it."""
    fired = played(evaluator, rules_text, {"kubernaut_audit_rows_total": turning(0, 0)})

    assert {"KubernautAuditBehind"} == {one.alert for one in fired}


@pytest.mark.parametrize(
    "recorded",
    [
        pytest.param({"kubernaut_decisions_total": beginning(0)}, id="all that it reads changes nothing"),
        pytest.param({"kubernaut_inputs_without_effect_total": beginning(0)}, id="all that it reads is decided on"),
    ],
)
def test_a_scheduler_that_takes_anything_up_does_not_stand(
    evaluator: Evaluator, rules_text: str, recorded: Recorded
) -> None:
    """Either counter shows that it works."""
    fired = played(evaluator, rules_text, recorded | {"kubernaut_audit_rows_total": rising(1)})

    assert "KubernautSchedulerStands" not in {one.alert for one in fired}


def _seconds(text: str) -> int:
    return int(text[:-1]) * _UNITS[text[-1]]


def _unfilled(sentence: str) -> str:
    """What of a sentence is no words: a label that the series has not, a number that is none, a template."""
    found = re.search(r"<no value>|\{\{|NaN|  | ,| \.|: \.", sentence)
    return found[0] if found else ""
