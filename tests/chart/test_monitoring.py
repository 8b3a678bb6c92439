"""What Prometheus and Grafana get."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from tests.chart.releases import MINIMAL, Values
from tests.chart.values import over
from tests.tools.charts import Helm, of_kind, refusal, rendered

pytestmark = pytest.mark.real
GUARDED: Values = {
    "metrics": {"auth": {"enabled": True, "audience": "metrics"}, "tls": {"existingSecret": "metrics-tls"}},
    "observability": {
        "serviceMonitor": {"enabled": True, "serverName": "kubernaut-metrics", "token": {"existingSecret": "token"}},
    },
}
OBSERVABILITY = Path(__file__).parents[2] / "deploy" / "observability"


def monitored(**more: object) -> Values:
    """All three on."""
    parts: Values = {
        "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}} | more,
        "prometheusRule": {"enabled": True, "labels": {"release": "prometheus"}},
        "dashboard": {"enabled": True},
    }
    return over(MINIMAL, {"observability": parts})


def test_off_unless_asked_for(helm: Helm) -> None:
    """Not every cluster has the definitions."""
    manifests = rendered(helm, MINIMAL)

    assert {} == of_kind(manifests, "ServiceMonitor") | of_kind(manifests, "PrometheusRule")


def test_the_services_with_metrics_are_selected_and_no_others(helm: Helm) -> None:
    """By labels that they have and a port of that name."""
    manifests = rendered(helm, monitored())
    (monitor,) = of_kind(manifests, "ServiceMonitor").values()
    wanted = monitor["spec"]["selector"]["matchLabels"].items()
    (endpoint,) = monitor["spec"]["endpoints"]
    selected = {
        name
        for name, each in of_kind(manifests, "Service").items()
        if wanted <= each["metadata"]["labels"].items()
        and endpoint["port"] in {port["name"] for port in each["spec"]["ports"]}
    }

    assert {f"kubernaut-{name}" for name in ("watcher", "scheduler", "executor-bridge", "auditor")} == selected
    assert {"release": "prometheus"}.items() <= monitor["metadata"]["labels"].items()
    assert not {"scheme", "authorization", "bearerTokenFile"} & endpoint.keys()


def test_behind_tls_and_a_login_it_says_both(helm: Helm) -> None:
    """The CA that the certificate is of, the name that it is for, the token that is sent."""
    (monitor,) = of_kind(rendered(helm, over(MINIMAL, GUARDED)), "ServiceMonitor").values()
    (endpoint,) = monitor["spec"]["endpoints"]

    assert "https" == endpoint["scheme"]
    assert {"ca": {"secret": {"name": "metrics-tls", "key": "ca.crt"}}, "serverName": "kubernaut-metrics"} == endpoint[
        "tlsConfig"
    ]
    assert {"credentials": {"name": "token", "key": "token"}} == endpoint["authorization"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param({"serverName": ""}, "observability.serviceMonitor.serverName", id="no name to check"),
        pytest.param({"token": {"existingSecret": ""}}, "observability.serviceMonitor.token", id="no token to send"),
    ],
)
def test_a_scrape_that_would_be_refused_is_not_rendered(helm: Helm, change: Values, said: str) -> None:
    """It says what is missing."""
    assert said in refusal(helm, over(MINIMAL, GUARDED, {"observability": {"serviceMonitor": change}}))


def test_rules_and_dashboard_are_those_of_the_repository(helm: Helm) -> None:
    """As they are tested there, to the letter."""
    manifests = rendered(helm, monitored())
    (rule,) = of_kind(manifests, "PrometheusRule").values()
    (dashboard,) = [each for name, each in of_kind(manifests, "ConfigMap").items() if name.endswith("dashboard")]

    assert yaml.safe_load((OBSERVABILITY / "rules.yaml").read_text(encoding="utf-8")) == rule["spec"]
    assert json.loads((OBSERVABILITY / "dashboard.json").read_text(encoding="utf-8")) == json.loads(
        dashboard["data"]["kubernaut-workflow.json"]
    )
    assert "1" == dashboard["metadata"]["labels"]["grafana_dashboard"]
