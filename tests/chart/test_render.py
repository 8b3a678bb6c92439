"""What the chart makes of values: for each service its pods, settings, rights and network edges."""

from __future__ import annotations

import runpy
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any, Final

import pytest
import yaml

from runtime import settings
from schemas.rbac import AUDITOR, EXECUTOR_BRIDGE, SCHEDULER, WATCHER, Role, roles_of
from tests.chart.releases import (
    EVERYTHING,
    MINIMAL,
    NAMESPACE,
    SERVICES,
    SETS,
    Manifest,
    Values,
    environment_of,
    namespaced,
    one,
    pod_of,
    release,
)
from tests.tools.charts import CHART, Helm

ROLES: Final = {"watcher": WATCHER, "scheduler": SCHEDULER, "executor-bridge": EXECUTOR_BRIDGE, "auditor": AUDITOR}
ASKED_FOR_METRICS_ONLY: Final = {
    "watcher": {"tokenreviews", "subjectaccessreviews"},
    "scheduler": {"tokenreviews", "subjectaccessreviews"},
    "executor-bridge": {"tokenreviews"},
    "auditor": {"tokenreviews", "subjectaccessreviews"},
}
NOT_FROM_THE_CHART: Final = {
    "KUBECONFIG": "a pod has an account of its own",
    "KUBERNAUT_HEALTH_PORT": "each pod has all ports for itself",
    "KUBERNAUT_METRICS_PORT": "the same",
    "HOSTNAME": "POD_NAME comes before it",
}


class Asked(Mapping[str, str]):
    """An environment that remembers which variables it was asked for."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values
        self.names: set[str] = set()

    def __getitem__(self, name: str) -> str:
        self.names.add(name)
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


@pytest.fixture(scope="module", params=SETS.values(), ids=SETS.keys())
def objects(request: pytest.FixtureRequest, helm: Helm) -> list[Manifest]:
    """Each set of values, rendered."""
    return release(helm, request.param)


@pytest.fixture(scope="module")
def everything(helm: Helm) -> list[Manifest]:
    """With all that the core of the chart can do."""
    return release(helm, EVERYTHING)


@pytest.fixture(scope="module")
def minimal(helm: Helm) -> list[Manifest]:
    """With what must be said, and nothing else."""
    return release(helm, MINIMAL)


@pytest.mark.parametrize("values", SETS.values(), ids=SETS.keys())
def test_helm_finds_nothing_to_complain_of(helm: Helm, values: Values) -> None:
    """`helm lint --strict` with each set of values."""
    said = helm.run("lint", "--strict", CHART, "--values", "-", stdin=yaml.safe_dump(dict(values)))

    assert "0 chart(s) failed" in said


def test_the_chart_has_the_version_of_the_product() -> None:
    """Both of its versions are that of pyproject.toml."""
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    project = tomllib.loads((CHART.parents[1] / "pyproject.toml").read_text())["project"]

    assert {project["version"]} == {chart["version"], chart["appVersion"]}


def test_every_value_is_explained() -> None:
    """The table in README.md is as `python deploy/chart/document.py` makes it, and no meaning in it is empty."""
    program = runpy.run_path(str(CHART / "document.py"))
    readme, values = (CHART / "README.md").read_text(), (CHART / "values.yaml").read_text()

    assert readme == program["documented"](readme, values)
    assert [] == [path for path, _, meaning in program["described"](values) if not meaning]


def test_every_variable_is_one_that_the_services_read(objects: list[Manifest]) -> None:
    """The settings of each pod are understood as they are; none is misspelt, none is told to a service in vain."""
    for service in SERVICES:
        environment = environment_of(pod_of(objects, service))
        asked = Asked(environment)

        read = settings.read(asked)

        assert set(environment) - asked.names <= {"HTTPS_PROXY"}
        assert environment["POD_NAME"] == read.pod_name


def test_every_setting_can_be_reached(everything: list[Manifest], helm: Helm) -> None:
    """What the services read can be set by a value, each of them, or there is a reason."""
    pods = [pod_of(everything, service) for service in SERVICES]
    with_seed = release(helm, namespaced("shop") | {"nats": MINIMAL["nats"]})
    pods += [pod_of(with_seed, service) for service in SERVICES]
    asked = Asked({"NATS_URL": "nats://x:4222", "DATABASE_URL": "postgresql://x/x"})
    settings.read(asked)

    assert set(NOT_FROM_THE_CHART) == asked.names - {name for pod in pods for name in environment_of(pod)}


def test_values_arrive_as_settings(everything: list[Manifest]) -> None:
    """One value of each service, through the pod's environment, in the settings that the process works with."""
    read = {service: settings.read(environment_of(pod_of(everything, service))) for service in SERVICES}

    assert (300.0, 30.0) == (read["watcher"].resync_seconds, read["watcher"].freshness_seconds)
    assert read["scheduler"].max_active_workflows == 250
    assert read["executor-bridge"].clusters_dir == "/etc/kubernaut/clusters"
    assert (120.0, 30.0) == (read["auditor"].learn_seconds, read["auditor"].seal_seconds)
    assert (
        "postgresql://kubernaut_writer@postgresql.db.svc:5433/kubernaut?sslmode=verify-full"
        "&sslrootcert=/etc/kubernaut/database-tls/ca.crt&sslcert=/etc/kubernaut/database-certificate/tls.crt"
        "&sslkey=/etc/kubernaut/database-certificate/tls.key&password_file=%2Fetc%2Fkubernaut%2Fdatabase%2Fpassword"
    ) == read["auditor"].database_url
    assert {""} == {read[service].database_url for service in SERVICES if service != "auditor"}


def test_every_file_that_a_setting_names_is_mounted(objects: list[Manifest]) -> None:
    """A path in the environment lies below a mount, and each mount has its volume."""
    for service in SERVICES:
        pod = pod_of(objects, service)
        (container,) = pod["containers"]
        mounts = {each["mountPath"]: each["name"] for each in container["volumeMounts"]}

        paths = {value for value in environment_of(pod).values() if value.startswith("/etc/")}

        assert {each["name"] for each in pod["volumes"]} == set(mounts.values())
        assert all(any(path == mount or path.startswith(f"{mount}/") for mount in mounts) for path in paths)


def test_a_pod_sees_the_login_of_its_own_service_only(objects: list[Manifest]) -> None:
    """Of the Secret with all users, the key of its own; nothing of PostgreSQL but in the auditor."""
    for service in SERVICES:
        volumes = {each["name"]: each.get("secret", {}) for each in pod_of(objects, service)["volumes"]}

        assert [service] == [item["key"] for item in volumes.get("nats", {}).get("items", [{"key": service}])]
        assert service == "auditor" or not [name for name in volumes if name.startswith("database")]


@pytest.mark.parametrize("values", [MINIMAL, EVERYTHING], ids=["metrics open", "metrics for those who may"])
def test_only_who_asks_the_api_has_a_token(helm: Helm, values: Values) -> None:
    """A token for an hour; none for scheduler and auditor while nobody has to be asked about scrapes."""
    objects = release(helm, values)

    found = {}
    for service in SERVICES:
        pod = pod_of(objects, service)
        tokens = [each["projected"]["sources"][0] for each in pod["volumes"] if "projected" in each]
        account = one(objects, "ServiceAccount", pod["serviceAccountName"])
        assert (False, False) == (pod["automountServiceAccountToken"], account["automountServiceAccountToken"])
        found[service] = tokens

    token = [{"serviceAccountToken": {"path": "token", "expirationSeconds": 3600}}]
    without = token if values is EVERYTHING else []
    assert {"watcher": token, "executor-bridge": token, "scheduler": without, "auditor": without} == found


def test_kubernetes_waits_longer_than_the_process_takes(everything: list[Manifest], minimal: list[Manifest]) -> None:
    """A process ends hard before it is killed, whatever time it is given."""
    for objects in (everything, minimal):
        pod = pod_of(objects, "scheduler")

        read = settings.read(environment_of(pod))

        assert read.stop_seconds + 5 == pod["terminationGracePeriodSeconds"]


def test_only_what_names_a_metrics_port_scrapes_it(minimal: list[Manifest]) -> None:
    """Services without an address of their own, one for each service, that tell of pods that are not ready, too."""
    for service in SERVICES:
        spec = one(minimal, "Service", f"kubernaut-{service}")["spec"]
        (container,) = pod_of(minimal, service)["containers"]

        assert ("None", True) == (spec["clusterIP"], spec["publishNotReadyAddresses"])
        assert {"metrics": 9090, "health": 8080} == {each["name"]: each["containerPort"] for each in container["ports"]}
        assert ["metrics"] == [each["targetPort"] for each in spec["ports"]]


NATS, DATABASE, API, TRACING = {4222}, {5433}, {443, 6443}, {4318}


@pytest.mark.parametrize(
    ("service", "edges"),
    [
        ("watcher", [{53}, NATS, API, TRACING]),
        ("scheduler", [{53}, NATS, API, TRACING]),
        ("executor-bridge", [{53}, NATS, API, API, TRACING]),
        ("auditor", [{53}, NATS, DATABASE, API, TRACING]),
    ],
)
def test_each_service_reaches_what_it_needs_and_nothing_else(
    everything: list[Manifest], service: str, edges: list[set[int]]
) -> None:
    """The ports of each edge, in order: names, NATS, PostgreSQL, the API, other clusters, the collector."""
    policy = one(everything, "NetworkPolicy", f"kubernaut-{service}")["spec"]

    assert edges == [{each["port"] for each in edge["ports"]} for edge in policy["egress"]]
    assert [{"podSelector": {"matchLabels": {"app": "nats"}}}] == policy["egress"][1]["to"]
    assert ["metrics"] == [port["port"] for edge in policy["ingress"] for port in edge["ports"]]


def test_scheduler_and_auditor_cannot_reach_the_api_without_need(minimal: list[Manifest]) -> None:
    """While nobody has to be asked about scrapes."""
    found = {
        service: [
            port["port"]
            for edge in one(minimal, "NetworkPolicy", f"kubernaut-{service}")["spec"]["egress"]
            for port in edge["ports"]
            if port["protocol"] == "TCP"
        ]
        for service in ("scheduler", "auditor")
    }

    assert {"scheduler": [53, 4222], "auditor": [53, 4222, 5432]} == found


def test_whatever_no_policy_names_is_refused(objects: list[Manifest]) -> None:
    """One policy takes every pod of the release and admits nothing, in or out."""
    spec = one(objects, "NetworkPolicy", "kubernaut")["spec"]
    pods = [each["spec"]["template"] for each in objects if each["kind"] in ("Deployment", "Job", "StatefulSet")]

    assert ["Ingress", "Egress"] == spec["policyTypes"]
    assert {"podSelector", "policyTypes"} == set(spec)
    assert pods
    assert all(spec["podSelector"]["matchLabels"].items() <= each["metadata"]["labels"].items() for each in pods)


@pytest.mark.parametrize("service", SERVICES)
def test_rights_are_those_of_the_table(everything: list[Manifest], minimal: list[Manifest], service: str) -> None:
    """All of them where the metrics port asks about scrapes; without what it alone needs where it does not."""
    whole = roles_of(ROLES[service])[0]["rules"]
    rest = [rule for rule in whole if not set(rule["resources"]) & ASKED_FOR_METRICS_ONLY[service]]

    assert whole == one(everything, "ClusterRole", f"kubernaut-{service}")["rules"]
    found = [each for each in minimal if each["kind"] == "ClusterRole"]
    assert [rest] * bool(rest) == [
        each["rules"] for each in found if each["metadata"]["name"] == f"kubernaut-{service}"
    ]


def test_in_namespaces_only_what_is_in_none_is_granted_everywhere(helm: Helm) -> None:
    """A service of two namespaces has its role bound in each, and in the cluster a part of it that must be."""
    objects = release(helm, namespaced("shop", "payments"))

    in_namespaces = {
        (each["metadata"]["namespace"], each["roleRef"]["name"]) for each in objects if each["kind"] == "RoleBinding"
    }
    wide = {
        each["roleRef"]["name"]: one(objects, "ClusterRole", each["roleRef"]["name"])["rules"]
        for each in objects
        if each["kind"] == "ClusterRoleBinding" and each["roleRef"]["name"] != "kubernaut-metrics-reader"
    }

    services = ("kubernaut-watcher", "kubernaut-executor-bridge")
    assert {(name, role) for name in ("shop", "payments") for role in services} == in_namespaces
    assert {
        "kubernaut-watcher-cluster": roles_of(WATCHER)[1]["rules"],
        "kubernaut-executor-bridge-cluster": roles_of(EXECUTOR_BRIDGE)[1]["rules"],
        "kubernaut-scheduler": _all_of(SCHEDULER),
        "kubernaut-auditor": _all_of(AUDITOR),
    } == wide
    assert {"shop,payments"} == {
        environment_of(pod_of(objects, service))["KUBERNAUT_WATCH_NAMESPACES"]
        for service in ("watcher", "executor-bridge")
    }


def _all_of(role: Role) -> list[dict[str, list[str]]]:
    (only,) = roles_of(role)
    rules: list[dict[str, list[str]]] = only["rules"]
    return rules


def test_bindings_name_the_account_of_the_pods(objects: list[Manifest]) -> None:
    """Every role of a service is bound to the account that its pods run under, and every one that is bound is there."""
    accounts = {pod_of(objects, service)["serviceAccountName"] for service in SERVICES}
    roles = {each["metadata"]["name"] for each in objects if each["kind"] == "ClusterRole"}
    bindings = [each for each in objects if each["kind"].endswith("Binding") and "roleRef" in each]

    assert bindings
    for each in bindings:
        assert each["roleRef"]["name"] in roles
        (subject,) = each["subjects"]
        assert (subject["namespace"], subject["name"] in accounts) in [(NAMESPACE, True), ("monitoring", False)]


def test_one_service_is_set_by_itself(everything: list[Manifest]) -> None:
    """What `services` says of one holds for that one; of what it does not say, `defaults` holds."""
    replicas = {
        service: one(everything, "Deployment", f"kubernaut-{service}")["spec"]["replicas"] for service in SERVICES
    }
    resources = {service: pod_of(everything, service)["containers"][0]["resources"] for service in SERVICES}

    assert {"watcher": 2, "scheduler": 3, "executor-bridge": 3, "auditor": 3} == replicas
    assert {"cpu": "1", "memory": "512Mi"} == resources["watcher"]["limits"]
    assert {"cpu": "500m", "memory": "512Mi"} == resources["auditor"]["limits"]


def test_nothing_secret_can_be_a_value() -> None:
    """Whatever is secret is named by the Secret that has it."""
    words = ("password", "token", "seed", "secret")
    program: dict[str, Any] = runpy.run_path(str(CHART / "document.py"))

    named = [path for path, _, _ in program["described"]((CHART / "values.yaml").read_text())]
    suspicious = [path for path in named if any(word in path.rpartition(".")[2].lower() for word in words)]

    assert suspicious
    assert all(path.endswith(("Secret", "Secrets", "passwordKey")) for path in suspicious)
