"""What makes streams, consumers and tables when a release is installed or upgraded."""

from __future__ import annotations

import os
from typing import Any

import pytest

from kubernaut.install import main as install
from runtime.settings import database_address, read
from schemas.subjects import CONSUMERS, STREAMS
from tests.chart.releases import MINIMAL, TRYING, Values
from tests.chart.values import over
from tests.tools.charts import Helm, objects, of_kind, refusal, rendered

pytestmark = pytest.mark.real


def jobs(helm: Helm, values: Values) -> dict[str, dict[str, Any]]:
    """The jobs by their component."""
    found = of_kind(rendered(helm, values), "Job").values()
    return {job["metadata"]["labels"]["app.kubernetes.io/component"]: job for job in found}


def pod(job: dict[str, Any]) -> dict[str, Any]:
    """The spec of its pod."""
    spec: dict[str, Any] = job["spec"]["template"]["spec"]
    return spec


def arguments(container: dict[str, Any]) -> list[str]:
    """What `kubernaut.install` is told."""
    assert ["python", "-m", "kubernaut.install"] == container["command"][:3]
    return [*container["command"][3:], *container["args"]]


@pytest.mark.parametrize("values", [MINIMAL, TRYING, over(MINIMAL, {"setup": {"streams": "nack"}})])
def test_the_installer_understands_what_it_is_told(helm: Helm, values: Values) -> None:
    """Each container of each job, by the installer's own reading of arguments."""
    containers = [each for job in jobs(helm, values).values() for each in _containers(job)]

    told = [install.make_context("install", arguments(each)).params for each in containers]

    assert all(each["parts"] and each["seconds"] == 300 for each in told)


def _containers(job: dict[str, Any]) -> list[dict[str, Any]]:
    return [*pod(job).get("initContainers", ()), *pod(job)["containers"]]


def test_two_jobs_make_streams_and_tables_each_with_its_own_login(helm: Helm) -> None:
    """The streams as user `setup` of NATS, the tables as their owner; neither can ask the Kubernetes API anything."""
    found = jobs(helm, MINIMAL)
    streams, migrations = pod(found["streams"]), pod(found["migrations"])

    assert {"streams", "migrations"} == found.keys()
    assert ["--only", "streams", "--replicas", "1"] == streams["containers"][0]["args"]
    assert ["--only", "migrations"] == migrations["containers"][0]["args"]
    assert [{"key": "setup", "path": "seed"}] == _volume(streams, "nats")["secret"]["items"]
    assert "postgresql-writer" == _volume(streams, "database")["secret"]["secretName"]
    assert "postgresql-owner" == _volume(migrations, "database")["secret"]["secretName"]
    assert all(each["automountServiceAccountToken"] is False for each in (streams, migrations))
    assert not [each for each in (*streams["volumes"], *migrations["volumes"]) if "projected" in each]


def _volume(spec: dict[str, Any], name: str) -> dict[str, Any]:
    (found,) = [each for each in spec["volumes"] if each["name"] == name]
    return dict(found)


def test_a_job_reads_its_environment_as_the_chart_means_it(helm: Helm) -> None:
    """By the code that reads it."""
    environment = {each["name"]: each["value"] for each in pod(jobs(helm, MINIMAL)["streams"])["containers"][0]["env"]}
    environment.pop("KUBERNAUT_DATABASE_PASSWORD_FILE")

    settings = read({name: value for name, value in environment.items() if not name.endswith("_FILE")})

    assert MINIMAL["nats"]["url"] == settings.nats_url
    assert database_address(environment).startswith(
        "postgresql://kubernaut_writer@postgresql.db.svc:5432/kubernaut?sslmode="
    )


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"image": {"tag": "9.9.9"}}, id="another version"),
        pytest.param({"nats": {"url": "tls://other.example:4222"}}, id="another address"),
        pytest.param({"commonLabels": {"team": "sre"}}, id="another label"),
        pytest.param({"setup": {"resources": {"limits": {"memory": "1Gi"}}}}, id="other resources"),
    ],
)
def test_a_job_that_is_told_something_else_has_another_name(helm: Helm, change: Values) -> None:
    """So that an upgrade runs it anew and never changes one that is there, which Kubernetes refuses."""
    before, again, after = (
        jobs(helm, values)["streams"]["metadata"]["name"] for values in (MINIMAL, MINIMAL, over(MINIMAL, change))
    )

    assert before == again != after


def test_a_pod_of_a_job_keeps_to_the_restricted_standard(helm: Helm) -> None:
    """And writes nowhere but in memory; the API server is asked in test_apply."""
    for job in jobs(helm, TRYING).values():
        assert pod(job)["securityContext"]["runAsNonRoot"] is True
        for container in _containers(job):
            security = container["securityContext"]
            assert (False, True) == (security["allowPrivilegeEscalation"], security["readOnlyRootFilesystem"])


def test_nack_makes_them_instead_and_the_job_only_vouches(helm: Helm) -> None:
    """Never both: the job has nothing that makes a stream."""
    manifests = rendered(helm, over(MINIMAL, {"setup": {"streams": "nack", "streamReplicas": 3}}))
    streams, consumers = of_kind(manifests, "Stream"), of_kind(manifests, "Consumer")
    (job,) = [each for name, each in of_kind(manifests, "Job").items() if "streams" in name]

    assert {stream.name for stream in STREAMS} == {each["spec"]["name"] for each in streams.values()}
    assert {3} == {each["spec"]["replicas"] for each in streams.values()}
    assert {each.name for each in CONSUMERS} == {each["spec"]["durableName"] for each in consumers.values()}
    assert ["--only", "vouch"] == pod(job)["containers"][0]["args"]


def test_the_job_makes_them_by_itself_where_nack_does_not(helm: Helm) -> None:
    """No resource of NACK is rendered."""
    assert not [each for each in objects(rendered(helm, MINIMAL)) if each["apiVersion"].startswith("jetstream")]


def test_there_is_no_third_way_and_no_way_at_all_can_be_chosen(helm: Helm) -> None:
    """A word that is none is refused; `none` leaves streams to somebody else."""
    assert "streams" in refusal(helm, over(MINIMAL, {"setup": {"streams": "both"}}))
    assert {"migrations"} == jobs(helm, over(MINIMAL, {"setup": {"streams": "none"}})).keys()


def test_servers_for_trying_are_reached_by_what_is_rendered_with_them(helm: Helm) -> None:
    """The services, the jobs and the servers agree on names, and the roles are made before the tables."""
    manifests = rendered(helm, TRYING)
    services = of_kind(manifests, "Service")
    environment = [
        each
        for kind in ("Deployment", "Job")
        for found in of_kind(manifests, kind).values()
        for container in _containers(found)
        for each in container["env"]
    ]
    addresses = {each["value"] for each in environment if each["name"] == "NATS_URL"}

    assert {"nats://kubernaut-nats.kubernaut.svc:4222"} == addresses
    assert {"kubernaut-nats", "kubernaut-postgresql"} <= services.keys()
    hosts = {each["value"].split("@")[1].split("/")[0] for each in environment if each["name"] == "DATABASE_URL"}
    assert {"kubernaut-postgresql.kubernaut.svc", "kubernaut-postgresql.kubernaut.svc:5432"} >= hosts
    roles, migrations = _containers(jobs(helm, TRYING)["migrations"])
    assert (["--only", "roles"], ["--only", "migrations"]) == (roles["args"], migrations["args"])


def test_nats_for_trying_with_users_includes_them(helm: Helm) -> None:
    """In the account of the services, as deploy/nats has them; without, it says what is missing."""
    users = {"nats": {"builtin": {"usersSecret": "nats-users"}, "auth": {"method": "seed", "existingSecret": "seeds"}}}

    configuration = of_kind(rendered(helm, over(TRYING, users)), "ConfigMap")["kubernaut-nats"]["data"]
    told = refusal(helm, over(TRYING, users, {"nats": {"builtin": {"usersSecret": ""}}}))

    assert "KUBERNAUT {\n    jetstream: enabled\n    include ./users/users.conf" in configuration["nats-server.conf"]
    assert "nats.builtin.usersSecret" in told


def test_nothing_secret_is_in_what_is_rendered(helm: Helm) -> None:
    """Secrets are named, never made."""
    assert {} == of_kind(rendered(helm, TRYING), "Secret")
    assert "KUBERNAUT_DATABASE_PASSWORD=" not in rendered(helm, TRYING)
    assert os.environ.get("HOME", "/nowhere") not in rendered(helm, MINIMAL)
