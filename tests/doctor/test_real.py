"""Real trouble on real servers: the doctor names it, what it says to type mends it, and then it is content."""

from __future__ import annotations

import re
import uuid
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import msgspec
import nats
import pytest
import pytest_asyncio

from auditor.migrations import migrate
from kubernaut.install_streams import install_streams
from schemas.nats_conf import conf
from schemas.nats_users import READER, USERS, permissions
from schemas.subjects import AUDITOR, BRIDGE, LOG, TIMER_STREAM
from tests.databases import an_empty_database
from tests.doctor.patient import Patient, a_nats_server
from tests.e2e.world import until
from tests.nats_server import administrator

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.nats_server import NatsServer

pytestmark = [pytest.mark.real, pytest.mark.timeout(900)]  # programs start, each a second of CPU
WORKFLOWS = "workflowexecutions.workflowexecution.kubernaut.io"
ANSWER_SECONDS = 30.0


@pytest_asyncio.fixture
async def dsn(database_url: str) -> AsyncIterator[str]:
    """A database of the test's own, with nothing in it."""
    async with an_empty_database(database_url, "doctor") as address:
        yield address


async def test_a_stream_that_somebody_removed(fresh_nats: NatsServer) -> None:
    """It is named, and made again by what is told to type."""
    patient = Patient(NATS_URL=fresh_nats.url)
    async with administrator(fresh_nats.url) as api:
        await api.api(f"STREAM.DELETE.{TIMER_STREAM.name}")

    found = await patient.wrong("stream.there")
    await patient.type(found.command)

    assert (TIMER_STREAM.name, "error") == (found.about, found.severity)
    await patient.well("stream.there")
    await patient.well("consumer.there")


async def test_a_consumer_that_somebody_changed(fresh_nats: NatsServer) -> None:
    """A consumer that gives up on messages is named with the setting, and set right."""
    patient = Patient(NATS_URL=fresh_nats.url)
    await _change_consumer(fresh_nats, BRIDGE.name, max_deliver=5)

    found = await patient.wrong("consumer.settings")
    await patient.type(found.command)

    assert "max_deliver" in found.seen
    await patient.well("consumer.settings")


async def test_a_stream_that_the_installer_would_not_change(fresh_nats: NatsServer) -> None:
    """Its refusal is told, and no command that would be refused."""
    patient = Patient(NATS_URL=fresh_nats.url)
    async with administrator(fresh_nats.url) as api:
        config = msgspec.json.decode(await api.api(f"STREAM.INFO.{LOG.name}"))["config"]
        await api.api(f"STREAM.UPDATE.{LOG.name}", config | {"subjects": [*config["subjects"], "theirs.>"]})

    found = await patient.wrong("stream.settings")

    assert "theirs.>" in found.seen
    assert found.command == ""


async def test_a_stream_near_its_limit(fresh_nats: NatsServer) -> None:
    """It is an error before it refuses what is new."""
    patient = Patient(NATS_URL=fresh_nats.url)
    async with administrator(fresh_nats.url) as api:
        config = msgspec.json.decode(await api.api(f"STREAM.INFO.{LOG.name}"))["config"]
        await api.api(f"STREAM.UPDATE.{LOG.name}", config | {"max_msgs": 2})
        await api.request("kubernaut.watch.x", b"{}", seconds=ANSWER_SECONDS)
        await api.request("kubernaut.watch.x", b"{}", seconds=ANSWER_SECONDS)

    found = await patient.wrong("stream.room")

    assert (LOG.name, "error", "2 of 2 messages (100%)") == (found.about, found.severity, found.seen)


async def test_a_freeze(fresh_nats: NatsServer) -> None:
    """Who froze it and why is told, and the thaw is what is told to type."""
    patient = Patient(NATS_URL=fresh_nats.url)
    await patient.type("kubernaut freeze --reason 'incident 4711'")

    found = await patient.wrong("consumer.paused")
    await patient.type(found.command)

    assert "incident 4711" in found.seen
    await patient.well("consumer.paused")


async def test_services_that_do_not_run(fresh_nats: NatsServer) -> None:
    """Each consumer that nobody reads is named with its service."""
    patient = Patient(NATS_URL=fresh_nats.url)

    found = [each for each in await patient.findings() if each.id == "consumer.read"]

    assert {"error"} == {each.severity for each in found}
    assert "no executor bridge is running" in next(each.seen for each in found if each.about == BRIDGE.name)


async def test_a_log_that_was_removed(fresh_nats: NatsServer) -> None:
    """It is not to be installed anew: recovery is what is told to type."""
    patient = Patient(NATS_URL=fresh_nats.url)
    async with administrator(fresh_nats.url) as api:
        await api.request("kubernaut.watch.x", b"{}", seconds=ANSWER_SECONDS)
        await install_streams(api)  # vouches once more, with what is in it now
        await api.api(f"STREAM.DELETE.{LOG.name}")

    found = await patient.wrong("stream.there")

    assert (LOG.name, "kubernaut recover") == (found.about, found.command)
    assert "had messages up to 1" in found.seen


async def test_a_server_that_was_set_up_carelessly(tmp_path: Path) -> None:
    """Lazy writes and small messages are told; what no monitoring port told is not called well."""
    async with a_nats_server(tmp_path, "jetstream { store_dir: STORE }\n") as (address, monitor):
        patient = Patient(NATS_URL=f"nats://{address}")
        found = {each.id: each for each in await patient.findings(monitor=monitor)}
        blind = {each.id: each for each in await patient.findings()}

    assert ("error", "error") == (found["nats.sync"].severity, found["nats.payload"].severity)
    assert "skipped" == blind["nats.sync"].severity
    assert "ok" == found["nats.health"].severity


async def test_a_user_with_few_rights(tmp_path: Path) -> None:
    """What it may not see is unknown, with the right that is missing, and hides nothing else."""
    users = """
    jetstream { store_dir: STORE }
    max_payload: 8MB
    authorization { users: [
      { user: admin, password: a }
      { user: reader, password: r, permissions: {
          publish: { allow: ["$JS.API.>", "_INBOX.>"], deny: ["$JS.API.CONSUMER.INFO.>"] } } }
    ] }
    """
    async with a_nats_server(tmp_path, users) as (address, _):
        async with administrator(f"nats://admin:a@{address}") as api:
            await install_streams(api)
        text = await Patient(NATS_URL=f"nats://reader:r@{address}").findings(seconds=3.0)

    by_id: dict[str, set[str]] = {}
    for each in text:
        by_id.setdefault(each.id, set()).add(each.severity)
    assert {"unknown"} == by_id["consumer.there"] == by_id["consumer.read"]
    assert {"ok"} == by_id["stream.there"] == by_id["stream.settings"]


async def test_the_user_reader_is_enough(tmp_path: Path) -> None:
    """With its permissions as they are generated, the doctor sees all of NATS but what the monitoring port tells."""
    users = [
        {"user": "admin", "password": "a"},
        *({"user": each.name, "password": "r", "permissions": permissions(each)} for each in USERS),
    ]
    text = f"jetstream {{ store_dir: STORE }}\nmax_payload: 8MB\nauthorization {{\n{conf('users', users)}}}\n"
    async with a_nats_server(tmp_path, text) as (address, _):
        async with administrator(f"nats://admin:a@{address}") as api:
            await install_streams(api)
            await api.request("kubernaut.watch.x", b"{}", seconds=ANSWER_SECONDS)
        found = await Patient(NATS_URL=f"nats://{READER}:r@{address}").findings()

    assert set() == {each.id for each in found if each.severity == "unknown"}
    assert {"nats.health", "nats.sync", "mirror.follows"} == {each.id for each in found if each.severity == "skipped"}
    assert {"consumer.read"} == {each.id for each in found if each.severity == "error"}


async def test_nothing_answers(tmp_path: Path) -> None:
    """Each part is told by itself, without a password, and the exit code says that something is wrong."""
    (tmp_path / "config").write_text(
        '{"clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:1"}}], "current-context": "c",'
        ' "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}], "users": [{"name": "u", "user": {}}]}'
    )
    patient = Patient(
        NATS_URL="nats://me:s3cret@127.0.0.1:1",
        DATABASE_URL="postgresql://me:s3cret@127.0.0.1:1/kubernaut",
        KUBECONFIG=str(tmp_path / "config"),
    )

    text = await patient.type("kubernaut doctor --timeout 3", code=1)

    assert 3 == len(re.findall(r"^  error     \w+\.answers", text, re.MULTILINE))
    assert "s3cret" not in text


async def test_migrations_that_are_missing(dsn: str) -> None:
    """They are named, and applied by what is told to type; so are the roles."""
    patient = Patient(DATABASE_URL=dsn)

    found = await patient.wrong("database.schema")
    await patient.type(found.command)

    assert "0001_messages" in found.seen
    await patient.well("database.schema")
    await patient.well("database.partitions")
    told = await patient.type("kubernaut doctor --only database")
    assert "skipped   audit.rows" in told


async def test_a_writer_that_may_delete(dsn: str) -> None:
    """What it may beyond its work is named, and taken away by what is told to type."""
    patient = Patient(DATABASE_URL=dsn)
    await patient.type("python -m kubernaut.install --only roles --only migrations")
    await patient.well("database.writer")
    await _execute(dsn, "GRANT DELETE ON audit_message TO kubernaut_writer")

    found = await patient.wrong("database.writer")
    await patient.type(found.command)

    assert "may DELETE audit_message" == found.seen
    await patient.well("database.writer")


async def test_a_reader_that_may_not_read(dsn: str) -> None:
    """The table is named; what is behind it is unknown; the grant that is told mends it."""
    await migrate(dsn)
    role = f"reader_{uuid.uuid4().hex}"
    await _execute(dsn, f"CREATE ROLE {role} LOGIN PASSWORD 'r'")
    await _execute(dsn, f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}")
    await _execute(dsn, f"REVOKE ALL ON audit_seal FROM {role}")
    parts = urlsplit(dsn)
    patient = Patient(DATABASE_URL=urlunsplit(parts._replace(netloc=f"{role}:r@{parts.hostname}:{parts.port}")))
    try:
        found = await patient.wrong("database.rights")
        sealed = [each.severity for each in await patient.findings() if each.id == "audit.sealed"]
        statement = re.fullmatch(r"psql -c '(.*)'", found.command)
        assert statement is not None
        await _execute(dsn, statement[1])

        assert ["unknown"] == sealed
        await patient.well("database.rights")
        await patient.well("audit.sealed")
    finally:
        await _execute(dsn, f"DROP OWNED BY {role}; DROP ROLE {role}")


async def test_rows_that_are_gone(fresh_nats: NatsServer, dsn: str) -> None:
    """An audit that ends before what the auditor acknowledged is named, and filled in by what is told to type."""
    await migrate(dsn)
    patient = Patient(NATS_URL=fresh_nats.url, DATABASE_URL=dsn)
    async with await nats.connect(fresh_nats.url) as client:
        stream = client.jetstream()
        for number in range(3):
            await stream.publish("kubernaut.watch.x", b"{}", headers={"Nats-Msg-Id": str(number)})
        waiting = await stream.pull_subscribe_bind(AUDITOR.name, LOG.name)
        for message in await waiting.fetch(3):
            await message.ack_sync(ANSWER_SECONDS)

    found = await patient.wrong("audit.rows")
    await patient.type(found.command)

    assert "acknowledged up to 3, and the audit ends at 0" in found.seen
    await patient.well("audit.rows")


async def test_a_definition_that_was_changed(kubeconfig: str) -> None:
    """The place of the difference is named, and the definition of this version installed by what is told to type."""
    patient = Patient(KUBECONFIG=kubeconfig)
    await patient.type("python -m kubernaut.install --only crds")
    change = '[{"op": "remove", "path": "/spec/versions/0/additionalPrinterColumns/0"}]'
    await patient.type(f"kubectl patch crd {WORKFLOWS} --type json -p '{change}'")

    found = await patient.wrong("definition.current")
    await patient.type(found.command)

    assert (WORKFLOWS, True) == (found.about, "additionalPrinterColumns" in found.seen)
    await patient.well("definition.current")


async def test_policies_that_are_missing(kubeconfig: str) -> None:
    """They are named, and installed by what is told to type."""
    patient = Patient(KUBECONFIG=kubeconfig)
    await patient.type("python -m kubernaut.install --only crds")

    found = await patient.wrong("admission.there")
    try:
        await patient.type(found.command)

        assert "approval.workflowexecution.kubernaut.io" in found.seen
        await patient.well("admission.there")
    finally:
        await patient.type("kubectl delete --ignore-not-found -f deploy/admission")


async def test_an_account_without_its_rights(kubeconfig: str) -> None:
    """What a service may not is named for the account that its Deployment runs under, and given by what is told."""
    namespace = f"doctor-{uuid.uuid4().hex[:8]}"
    patient = Patient(KUBECONFIG=kubeconfig)
    account = f"system:serviceaccount:{namespace}:kubernaut-watcher"
    await patient.type(f"kubectl create namespace {namespace}")
    await patient.type(f"kubectl -n {namespace} create serviceaccount kubernaut-watcher")
    await patient.type(f"kubectl create -f - <<'EOF'\n{msgspec.json.encode(_deployment(namespace)).decode()}\nEOF")
    try:
        found = await patient.wrong("rights.enough", about=account)
        await patient.type(found.command)

        assert "watch workflowexecutions.workflowexecution.kubernaut.io" in found.seen
        await until(partial(_is, patient, "ok", "rights.enough", account), "the account has its rights", 60)
        await patient.well("rights.enough", about=account)
        await patient.well("rights.narrow", about=account)

        await patient.type(
            f"kubectl create clusterrolebinding far-{namespace} --clusterrole cluster-admin "
            f"--serviceaccount {namespace}:kubernaut-watcher"
        )
        await until(partial(_is, patient, "error", "rights.narrow", account), "the account may everything", 60)
        assert "get secrets" in (await patient.wrong("rights.narrow", about=account)).seen
    finally:
        await patient.type(
            f"kubectl delete clusterrolebinding far-{namespace} kubernaut-watcher-{namespace}", code=None
        )
        await patient.type(f"kubectl delete namespace {namespace} --wait=false")


async def _is(patient: Patient, severity: str, check: str, account: str) -> bool:
    """Whether it is found so of an account by now: what is given is in force a moment later."""
    found = [each.severity for each in await patient.findings() if each.id == check and account in each.about]
    return found == [severity]


def _deployment(namespace: str) -> dict[str, Any]:
    """Return a Deployment of a watcher; there is no kubelet that would run it."""
    labels = {
        "app.kubernetes.io/part-of": "kubernaut-workflow",
        "app.kubernetes.io/component": "watcher",
        "app.kubernetes.io/version": "0.1.0",
    }
    pod = {"serviceAccountName": "kubernaut-watcher", "containers": [{"name": "watcher", "image": "none"}]}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "watcher", "namespace": namespace, "labels": labels},
        "spec": {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": pod}},
    }


async def _change_consumer(server: NatsServer, name: str, **changes: Any) -> None:
    async with administrator(server.url) as api:
        info = msgspec.json.decode(await api.api(f"CONSUMER.INFO.{LOG.name}.{name}"))
        body = {"stream_name": LOG.name, "config": info["config"] | changes, "action": "update"}
        await api.api(f"CONSUMER.CREATE.{LOG.name}.{name}", body)


async def _execute(dsn: str, statement: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
