"""Who says how many replicas there are: the values, KEDA or a HorizontalPodAutoscaler; never two of them."""

from __future__ import annotations

import pytest

from schemas.chart_files import READERS
from schemas.subjects import CONSUMERS
from tests.chart.releases import MINIMAL, TRYING, Values
from tests.chart.values import over
from tests.tools.charts import Helm, of_kind, refusal, rendered

pytestmark = pytest.mark.real
KEDA: Values = {"autoscaling": {"method": "keda", "keda": {"natsMonitoring": "nats.example:8222"}}}
HPA: Values = {"autoscaling": {"method": "hpa"}}
SCALED = {"kubernaut-scheduler", "kubernaut-executor-bridge", "kubernaut-auditor"}


def test_every_consumer_scales_the_service_that_reads_it() -> None:
    """A consumer that is added here must be given to a service."""
    assert sorted(each.name for each in CONSUMERS) == sorted(each.name for found in READERS.values() for each in found)


def test_keda_looks_at_what_waits_for_each_service(helm: Helm) -> None:
    """By the names of our streams and consumers; a service is never scaled to nothing."""
    found = of_kind(rendered(helm, over(MINIMAL, KEDA)), "ScaledObject")

    assert SCALED == found.keys()
    for service, consumers in READERS.items():
        (spec,) = [each["spec"] for name, each in found.items() if name.replace("-", "").endswith(service.lower())]
        looked_at = [(each["metadata"]["stream"], each["metadata"]["consumer"]) for each in spec["triggers"]]
        assert [(each.stream, each.name) for each in consumers] == looked_at
        assert {"nats.example:8222"} == {each["metadata"]["natsServerMonitoringEndpoint"] for each in spec["triggers"]}
        assert spec["minReplicaCount"] >= 1


@pytest.mark.parametrize("method", [KEDA, HPA], ids=["keda", "hpa"])
def test_what_is_scaled_is_there_and_has_no_replicas_of_its_own(helm: Helm, method: Values) -> None:
    """A number in the Deployment would undo the autoscaler's with each upgrade."""
    manifests = rendered(helm, over(MINIMAL, method))
    scalers = of_kind(manifests, "ScaledObject") | of_kind(manifests, "HorizontalPodAutoscaler")
    targets = {each["spec"]["scaleTargetRef"]["name"] for each in scalers.values()}
    deployments = of_kind(manifests, "Deployment")

    assert SCALED == targets
    assert {"kubernaut-watcher"} == {name for name, each in deployments.items() if "replicas" in each["spec"]}


def test_by_default_nothing_scales_and_the_values_say_how_many(helm: Helm) -> None:
    """Two of each."""
    manifests = rendered(helm, MINIMAL)

    assert {} == of_kind(manifests, "ScaledObject") | of_kind(manifests, "HorizontalPodAutoscaler")
    assert {2} == {each["spec"].get("replicas") for each in of_kind(manifests, "Deployment").values()}


def test_never_two_autoscalers(helm: Helm) -> None:
    """One word chooses; another one is refused."""
    keda, hpa = (rendered(helm, over(MINIMAL, method)) for method in (KEDA, HPA))

    assert {} == of_kind(keda, "HorizontalPodAutoscaler")
    assert {} == of_kind(hpa, "ScaledObject")
    assert "method" in refusal(helm, over(MINIMAL, {"autoscaling": {"method": "both"}}))


def test_one_service_can_have_other_limits(helm: Helm) -> None:
    """The others keep theirs."""
    own = {"autoscaling": {"services": {"executorBridge": {"maxReplicas": 9, "messagesPerReplica": 50}}}}
    found = of_kind(rendered(helm, over(MINIMAL, KEDA, own)), "ScaledObject")
    limits = {name: each["spec"]["maxReplicaCount"] for name, each in found.items()}

    assert {"kubernaut-executor-bridge": 9, "kubernaut-scheduler": 6, "kubernaut-auditor": 6} == limits
    (trigger,) = found["kubernaut-executor-bridge"]["spec"]["triggers"]
    assert "50" == trigger["metadata"]["lagThreshold"]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        pytest.param({"autoscaling": {"method": "keda"}}, "autoscaling.keda.natsMonitoring", id="nobody to ask"),
        pytest.param(over(KEDA, {"autoscaling": {"limits": {"minReplicas": 0}}}), "minReplicas", id="down to nothing"),
        pytest.param(over(KEDA, {"autoscaling": {"services": {"watcher": {}}}}), "watcher", id="the watcher"),
    ],
)
def test_what_could_not_work_is_refused(helm: Helm, values: Values, said: str) -> None:
    """Naming the value."""
    assert said in refusal(helm, over(MINIMAL, values))


def test_of_nats_for_trying_keda_knows_address_and_account(helm: Helm) -> None:
    """And is let in."""
    manifests = rendered(helm, over(TRYING, {"autoscaling": {"method": "keda"}}))
    told = [each for found in of_kind(manifests, "ScaledObject").values() for each in found["spec"]["triggers"]]
    ingress = of_kind(manifests, "NetworkPolicy")["kubernaut-nats"]["spec"]["ingress"]

    assert {("kubernaut-nats.kubernaut.svc:8222", "$G")} == {
        (each["metadata"]["natsServerMonitoringEndpoint"], each["metadata"]["account"]) for each in told
    }
    assert [["client"], ["monitoring"]] == [[port["port"] for port in each["ports"]] for each in ingress]


def test_a_metric_of_what_waits_can_be_added_to_the_cpu(helm: Helm) -> None:
    """One for each consumer, by its label."""
    plain, more = (
        of_kind(rendered(helm, over(MINIMAL, HPA, {"autoscaling": {"hpa": {"lagMetric": metric}}})), kind)
        for metric, kind in (("", "HorizontalPodAutoscaler"), ("kubernaut_waiting", "HorizontalPodAutoscaler"))
    )
    added = more["kubernaut-scheduler"]["spec"]["metrics"][1:]

    assert [1, 1, 1] == [len(each["spec"]["metrics"]) for each in plain.values()]
    assert [{"consumer": each.name} for each in READERS["scheduler"]] == [
        each["external"]["metric"]["selector"]["matchLabels"] for each in added
    ]
