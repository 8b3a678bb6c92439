"""Values that the chart refuses, and the word that says why."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest
import yaml
from jsonschema import Draft7Validator

from tests.chart.releases import EVERYTHING, MINIMAL, Values
from tests.chart.values import over
from tests.tools.charts import CHART, Helm, of_kind, refusal, rendered

MISSPELT: Final = {
    "an unknown value at the top": {"watchers": {"replicas": 2}},
    "an unknown key of defaults": {"defaults": {"replica": 2}},
    "an unknown key of one service": {"services": {"watcher": {"resyncMinutes": 1}}},
    "a setting of another service": {"services": {"auditor": {"maxActiveWorkflows": 10}}},
    "an unknown service": {"services": {"notifier": {}}},
    "an unknown key of NATS": {"nats": {"address": "nats://a:4222"}},
    "a number of replicas in words": {"defaults": {"replicas": "two"}},
    "fewer replicas than none": {"services": {"watcher": {"replicas": -1}}},
    "a number as a label": {"commonLabels": {"cost": 1}},
    "a number as a variable": {"defaults": {"extraEnv": [{"name": "A", "value": 1}]}},
    "more runs than one decision can name": {"services": {"scheduler": {"maxActiveWorkflows": 10001}}},
    "half a second": {"services": {"watcher": {"resyncSeconds": 0.5}}},
    "an unknown level of the log": {"logLevel": "verbose"},
    "an unknown login": {"nats": {"auth": {"method": "password"}}},
    "another protocol for NATS": {"nats": {"url": "http://nats:4222"}},
    "a password in the address of NATS": {"nats": {"url": "nats://kubernaut:secret@nats:4222"}},
    "an address where a host is asked for": {"postgresql": {"host": "postgresql://a:b@db/kubernaut"}},
    "a password of PostgreSQL": {"postgresql": {"writer": {"password": "secret"}}},
    "a login in the address of the collector": {"tracing": {"endpoint": "https://a:b@collector:4318"}},
    "an unknown TLS mode": {"postgresql": {"sslMode": "verify"}},
    "a digest that is none": {"image": {"digest": "sha256:abc"}},
    "a name of a namespace that is none": {"kubernetes": {"namespaces": ["Shop"]}},
    "a peer that is none": {"networkPolicy": {"metricsFrom": [{"namespace": "monitoring"}]}},
    "a budget that lets none go": {"podDisruptionBudget": {"maxUnavailable": 0}},
    "two ways of streams at once": {"setup": {"streams": ["job", "nack"]}},
    "two autoscalers at once": {"autoscaling": {"method": ["keda", "hpa"]}},
    "an autoscaler of the watcher": {"autoscaling": {"services": {"watcher": {"maxReplicas": 3}}}},
}


@pytest.mark.parametrize("values", MISSPELT.values(), ids=MISSPELT.keys())
def test_what_is_misspelt_or_out_of_range_does_not_fit_the_schema(values: dict[str, Any]) -> None:
    """Nothing is installed with a typo in it; what the chart has by default fits."""
    schema = Draft7Validator(json.loads((CHART / "values.schema.json").read_text()))
    defaults = yaml.safe_load((CHART / "values.yaml").read_text())

    assert schema.is_valid(over(defaults, MINIMAL))
    assert not schema.is_valid(over(defaults, MINIMAL, values))


def test_helm_says_which_value_does_not_fit(helm: Helm) -> None:
    """By its path, before anything is made."""
    said = refusal(helm, over(MINIMAL, {"services": {"watcher": {"resyncMinutes": 1}}}))

    assert "don't meet the specifications of the schema" in said
    assert "resyncMinutes" in said


SENSELESS: Final[dict[str, tuple[Values, Values, str]]] = {
    "no NATS": (MINIMAL, {"nats": {"url": ""}}, "nats.url: give the address of NATS"),
    "no PostgreSQL": (MINIMAL, {"postgresql": {"host": ""}}, "postgresql.host: give the host of PostgreSQL"),
    "two NATS": (MINIMAL, {"nats": {"builtin": {"enabled": True, "usersSecret": "users"}}}, "choose one"),
    "two PostgreSQL": (MINIMAL, {"postgresql": {"builtin": {"enabled": True, "existingSecret": "a"}}}, "choose one"),
    "no login": (MINIMAL, {"nats": {"auth": {"existingSecret": ""}}}, "nats.auth.existingSecret: give the Secret"),
    "a key of no Secret": (
        MINIMAL,
        {"postgresql": {"writer": {"existingSecret": "", "urlKey": "uri"}}},
        "give the Secret that has this key as postgresql.writer.existingSecret",
    ),
    "a certificate of nobody known": (
        MINIMAL,
        {"postgresql": {"tls": {"existingSecret": ""}}},
        "postgresql.sslMode is verify-full: give the Secret with the CA",
    ),
    "tokens for no audience": (EVERYTHING, {"metrics": {"auth": {"audience": ""}}}, "metrics.auth.audience: give"),
    "headers to nowhere": (EVERYTHING, {"tracing": {"endpoint": ""}}, "there is no tracing.endpoint"),
    "a drain that never ends": (
        MINIMAL,
        {"podDisruptionBudget": {"minAvailable": 2}},
        "no node with one of them could be drained; set maxUnavailable instead",
    ),
    "a drain of the one replica": (
        MINIMAL,
        {"podDisruptionBudget": {"minAvailable": 1}, "services": {"auditor": {"replicas": 1}}},
        "services.auditor has 1 replicas: no node",
    ),
    "a drain of all of them": (MINIMAL, {"podDisruptionBudget": {"minAvailable": "100%"}}, "could be drained"),
}


@pytest.mark.parametrize(("values", "change", "words"), SENSELESS.values(), ids=SENSELESS.keys())
def test_what_makes_no_sense_together_is_refused(helm: Helm, values: Values, change: Values, words: str) -> None:
    """Each guard says which value it is about and what to do."""
    said = refusal(helm, over(values, change))

    assert words in said


def test_no_drain_is_held_up_by_one_replica(helm: Helm) -> None:
    """The budget as it is by default lets the only replica go."""
    values = over(MINIMAL, {"defaults": {"replicas": 1}})

    budgets = of_kind(rendered(helm, values), "PodDisruptionBudget").values()

    assert [1] * 4 == [each["spec"]["maxUnavailable"] for each in budgets]
