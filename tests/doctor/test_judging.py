"""What is found of what was seen: a table of troubles, each in an installation in which all else is well."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from auditor.newest import Newest
from kubernaut.cli.freeze_lines import Frozen
from kubernaut.doctor.checks import CHECKS
from kubernaut.doctor.facts import Facts, Memory, Monitor, PolicyFacts, RightsFacts
from kubernaut.doctor.finding import Unlooked, exit_code
from kubernaut.doctor.gather_database import WRITES
from kubernaut.doctor.judge import NO_ADDRESS, findings
from kubernaut.doctor.judge_cluster import POLICY_NAMES
from tests.doctor.builders import (
    NOW,
    a_run,
    a_service,
    a_stream,
    cluster,
    database,
    definitions,
    facts,
    nats,
    with_consumer,
    with_stream,
)

ROOT = Path(__file__).parents[2]
CLOSED = Unlooked("permission denied")
LAZY = Monitor(health="ok", sync_always=False, sync_seconds=120.0, max_storage=0, storage=0)
WORKFLOWS = "workflowexecutions.workflowexecution.kubernaut.io"


def a_definition(**spec: Any) -> dict[str, Any]:
    """Return the definitions, that of workflows with another spec."""
    known = definitions()
    return known | {WORKFLOWS: known[WORKFLOWS] | {"spec": known[WORKFLOWS]["spec"] | spec}}


def in_cluster(*replicas: dict[str, Any], **config: Any) -> Any:
    """Return the log in a group of servers."""
    found = a_stream(**config)
    return msgspec.structs.replace(found, cluster={"name": "c", "leader": "a", "replicas": list(replicas)})


TROUBLES: dict[str, tuple[Facts, str, str]] = {
    "NATS is away": (facts(nats=Unlooked("connection refused")), "nats.answers", "error"),
    "NATS is spoken to in plain": (facts(nats=nats(in_plain=True)), "nats.tls", "warning"),
    "NATS is too old": (facts(nats=nats(version="2.11.9")), "nats.version", "error"),
    "NATS has no JetStream": (
        facts(nats=nats(account=CLOSED, streams=dict.fromkeys(nats().streams, CLOSED))),
        "nats.jetstream",
        "error",
    ),
    "messages are small": (facts(nats=nats(max_payload=1024 * 1024)), "nats.payload", "error"),
    "messages are nearly large enough": (facts(nats=nats(max_payload=4 * 1024 * 1024)), "nats.payload", "warning"),
    "one server syncs lazily": (facts(nats=nats(monitor=LAZY)), "nats.sync", "error"),
    "the server is not healthy": (
        facts(nats=nats(monitor=msgspec.structs.replace(LAZY, health="disk", sync_always=True))),
        "nats.health",
        "error",
    ),
    "the account is nearly full": (
        facts(nats=nats(account={"storage": 81, "limits": {"max_storage": 100}})),
        "nats.room",
        "warning",
    ),
    "the account is full": (
        facts(nats=nats(account={"storage": 96, "limits": {"max_storage": 100}})),
        "nats.room",
        "error",
    ),
    "the clock of NATS is behind": (facts(nats=nats(ahead_seconds=-7.0)), "nats.clock", "warning"),
    "a stream is missing": (facts(nats=with_stream("KUBERNAUT_TIMERS", None)), "stream.there", "error"),
    "a stream drops old messages": (
        facts(nats=with_stream("KUBERNAUT", a_stream(discard="old"))),
        "stream.settings",
        "error",
    ),
    "a stream is in memory": (
        facts(nats=with_stream("KUBERNAUT", a_stream(storage="memory"))),
        "stream.settings",
        "error",
    ),
    "one copy in a cluster": (facts(nats=with_stream("KUBERNAUT", in_cluster())), "stream.copies", "warning"),
    "a copy is away": (
        facts(nats=with_stream("KUBERNAUT", in_cluster({"name": "b", "offline": True}, num_replicas=3))),
        "stream.copies",
        "error",
    ),
    "a copy is behind": (
        facts(nats=with_stream("KUBERNAUT", in_cluster({"name": "b", "current": False}, num_replicas=3))),
        "stream.copies",
        "warning",
    ),
    "a stream is nearly full": (
        facts(nats=with_stream("KUBERNAUT", a_stream(max_bytes=1100))),
        "stream.room",
        "warning",
    ),
    "a stream is full": (facts(nats=with_stream("KUBERNAUT", a_stream(max_msgs=10))), "stream.room", "error"),
    "nobody has vouched": (
        facts(nats=nats(memory=nats().memory | {"KUBERNAUT": Memory(vouched=False, had=0)})),  # type: ignore[operator]
        "stream.vouched",
        "error",
    ),
    "the log lost its end": (
        facts(nats=nats(memory=nats().memory | {"KUBERNAUT": Memory(vouched=True, had=10, loss="lost its end")})),  # type: ignore[operator]
        "stream.whole",
        "error",
    ),
    "a consumer is missing": (
        facts(nats=nats(consumers=nats().consumers | {"bridge": None})),
        "consumer.there",
        "error",
    ),
    "a consumer gives up": (
        facts(nats=with_consumer("bridge", config={"max_deliver": 5, "ack_policy": "explicit"})),
        "consumer.settings",
        "error",
    ),
    "nobody reads": (facts(nats=with_consumer("auditor", readers=0, waiting=3)), "consumer.read", "error"),
    "a message waits": (
        facts(nats=with_consumer("scheduler", waiting=3, oldest_ms=round(NOW * 1000) - 61_000)),
        "consumer.fresh",
        "warning",
    ),
    "the audit is behind": (
        facts(nats=with_consumer("auditor", waiting=3, oldest_ms=round(NOW * 1000) - 601_000)),
        "consumer.fresh",
        "warning",
    ),
    "everything is frozen": (
        facts(nats=with_consumer("bridge", pause=Frozen(paused=True))),
        "consumer.paused",
        "warning",
    ),
    "the scheduler is paused": (
        facts(nats=with_consumer("scheduler", pause=Frozen(paused=True))),
        "consumer.paused",
        "error",
    ),
    "a dead letter waits": (facts(nats=nats(letters={"bridge": 2})), "letters.none", "warning"),
    "the mirror is missing": (facts(nats=nats(mirror=None)), "mirror.follows", "error"),
    "the mirror is none": (facts(nats=nats(mirror=a_stream())), "mirror.follows", "error"),
    "the mirror is behind": (facts(nats=nats(mirror_lag=5)), "mirror.follows", "warning"),
    "PostgreSQL is away": (facts(database=Unlooked("refused")), "database.answers", "error"),
    "PostgreSQL is too old": (facts(database=database(version=140001)), "database.version", "error"),
    "a migration is missing": (facts(database=database(applied={})), "database.schema", "error"),
    "a migration was changed": (
        facts(database=database(applied={1: ("0001_messages", "x")})),
        "database.schema",
        "error",
    ),
    "a table may not be read": (facts(database=database(unreadable=("audit_seal",))), "database.rights", "warning"),
    "there is no writer": (facts(database=database(writer=False)), "database.writer", "warning"),
    "the writer may delete": (
        facts(database=database(writer_exceeds=("DELETE audit_message",))),
        "database.writer",
        "error",
    ),
    "the writer may not add": (
        facts(database=database(writer_lacks=("INSERT audit_message",))),
        "database.writer",
        "error",
    ),
    "the audit travels in plain": (facts(database=database(in_plain=True)), "database.tls", "warning"),
    "PostgreSQL does not sync": (facts(database=database(settings={"fsync": "off"})), "database.durable", "error"),
    "the clock of PostgreSQL is ahead": (facts(database=database(ahead_seconds=9.0)), "database.clock", "warning"),
    "next month has no partition": (facts(database=database(next_month="202701")), "database.partitions", "warning"),
    "rows are gone": (facts(database=database(newest=Newest(9, "a"))), "audit.rows", "error"),
    "nothing is sealed": (facts(database=database(unsealed_seconds=601.0)), "audit.sealed", "warning"),
    "a message is in quarantine": (facts(database=database(quarantined=1)), "audit.quarantine", "warning"),
    "the API is away": (facts(cluster=Unlooked("refused")), "cluster.answers", "error"),
    "Kubernetes is too old": (
        facts(cluster=cluster(version={"major": "1", "minor": "29+", "gitVersion": "v1.29"})),
        "cluster.version",
        "error",
    ),
    "the clock of the API is behind": (facts(cluster=cluster(ahead_seconds=-6.0)), "cluster.clock", "warning"),
    "a definition is missing": (
        facts(cluster=cluster(definitions=definitions() | {WORKFLOWS: None})),
        "definition.there",
        "error",
    ),
    "a definition is not established": (
        facts(cluster=cluster(definitions=definitions() | {WORKFLOWS: definitions()[WORKFLOWS] | {"status": {}}})),
        "definition.there",
        "error",
    ),
    "the names of a definition are taken": (
        facts(
            cluster=cluster(
                definitions=definitions()
                | {
                    WORKFLOWS: definitions()[WORKFLOWS]
                    | {"status": {"conditions": [{"type": "NamesAccepted", "status": "False", "message": "wfe"}]}}
                }
            )
        ),
        "definition.there",
        "error",
    ),
    "a definition is of another version": (
        facts(cluster=cluster(definitions=a_definition(scope="Cluster"))),
        "definition.current",
        "error",
    ),
    "a workflow is not taken in": (
        facts(cluster=cluster(runs=[a_run(observed=0, phase="", changed=NOW - 61)])),
        "runs.taken",
        "error",
    ),
    "a change is not taken in": (
        facts(cluster=cluster(runs=[a_run(generation=2, changed=NOW - 61)])),
        "runs.taken",
        "error",
    ),
    "a deletion hangs": (facts(cluster=cluster(runs=[a_run(deleted=NOW - 301)])), "runs.deleted", "error"),
    "a finished workflow stays": (
        facts(cluster=cluster(runs=[a_run(phase="completed", ended=NOW - 4000, kept_seconds=60.0)])),
        "runs.kept",
        "warning",
    ),
    "the policies are missing": (facts(cluster=cluster(policies=[])), "admission.there", "warning"),
    "a policy is not bound": (
        facts(cluster=cluster(policies=[PolicyFacts(name=each, bound=False) for each in POLICY_NAMES])),
        "admission.there",
        "warning",
    ),
    "a policy has a fault": (
        facts(
            cluster=cluster(
                policies=[PolicyFacts(name=each, bound=True, warnings=("no field",)) for each in POLICY_NAMES]
            )
        ),
        "admission.sound",
        "warning",
    ),
    "a service has no Deployment": (facts(cluster=cluster(services=[a_service()])), "service.there", "error"),
    "a service has no replica": (facts(cluster=cluster(services=[a_service(ready=0)])), "service.ready", "error"),
    "a service is scaled to nothing": (
        facts(cluster=cluster(services=[a_service(wanted=0)])),
        "service.ready",
        "error",
    ),
    "a replica is missing": (facts(cluster=cluster(services=[a_service(ready=1)])), "service.ready", "warning"),
    "a rollout stands": (facts(cluster=cluster(services=[a_service(updated=1)])), "service.ready", "warning"),
    "a change is not rolled out": (
        facts(cluster=cluster(services=[a_service(current=False)])),
        "service.ready",
        "warning",
    ),
    "versions differ": (
        facts(cluster=cluster(services=[a_service(), a_service("watcher", version="0.0.9")])),
        "service.version",
        "warning",
    ),
    "the doctor is of another version": (
        facts(own_version="9.9.9"),
        "service.version",
        "warning",
    ),
    "an account may too little": (
        facts(cluster=cluster(rights=[RightsFacts(account="a", lacks=("get workflowexecutions",))])),
        "rights.enough",
        "error",
    ),
    "an account may too much": (
        facts(cluster=cluster(rights=[RightsFacts(account="a", exceeds=("get secrets",))])),
        "rights.narrow",
        "error",
    ),
}
EVERYWHERE: dict[str, Facts] = {
    "NATS": facts(
        nats=nats(
            version="",
            account=CLOSED,
            monitor=CLOSED,
            ahead_seconds=CLOSED,
            now_ms=0,
            streams=dict.fromkeys(nats().streams, CLOSED),
            consumers=dict.fromkeys(nats().consumers, CLOSED),
            memory=CLOSED,
            letters=CLOSED,
            mirror=CLOSED,
        )
    ),
    "PostgreSQL": facts(
        database=database(
            applied=CLOSED, months=(), newest=CLOSED, sealed=CLOSED, unsealed_seconds=CLOSED, quarantined=CLOSED
        )
    ),
    "the cluster": facts(
        cluster=cluster(
            version={},
            user=CLOSED,
            ahead_seconds=CLOSED,
            definitions=dict.fromkeys(definitions(), CLOSED),
            runs=CLOSED,
            policies=CLOSED,
            services=CLOSED,
            rights=CLOSED,
        )
    ),
}
"""Each part answers, and lets the doctor see nothing."""


def test_where_all_is_well_nothing_else_is_said() -> None:
    """Every check is made, and the exit code is 0."""
    found = findings(facts())

    assert {each.severity for each in found} == {"ok", "note"}
    assert CHECKS.keys() == {each.id for each in found}
    assert exit_code(found, strict=True) == 0


@pytest.mark.parametrize("name", TROUBLES)
def test_a_trouble_is_named(name: str) -> None:
    """With its severity, why it matters and what to do."""
    seen, check, severity = TROUBLES[name]

    told = [each for each in findings(seen) if each.id == check and each.severity not in {"ok", "note"}]

    assert [severity] == list(dict.fromkeys(each.severity for each in told))
    assert all(each.why and each.mend and each.seen for each in told)
    assert exit_code(told, strict=False) == (1 if severity == "error" else 0)
    assert exit_code(told, strict=True) == 1


def test_every_check_has_a_trouble() -> None:
    """But the one that only tells how large the database is."""
    assert CHECKS.keys() - {check for _, check, _ in TROUBLES.values()} == {"database.size"}


@pytest.mark.parametrize("part", EVERYWHERE)
def test_what_cannot_be_looked_at_is_never_well(part: str) -> None:
    """Nothing of a part that shows nothing is called well, but that it answers and what it says of itself."""
    of_itself = {
        *("nats.answers", "nats.payload", "nats.tls"),
        *("database.answers", "database.version", "database.rights", "database.durable", "database.clock"),
        *("database.tls", "cluster.answers"),
    }
    kind = {"NATS": "nats", "PostgreSQL": "database", "the cluster": "cluster"}[part]

    found = [each for each in findings(EVERYWHERE[part]) if CHECKS[each.id].part == kind]

    assert {each.id for each in found if each.severity == "ok"} <= of_itself
    assert {each.severity for each in found if each.id not in of_itself} <= {"unknown", "note", "error"}


@pytest.mark.parametrize("part", ["nats", "database", "cluster"])
def test_a_part_that_does_not_answer_hides_no_other(part: str) -> None:
    """It is the one error; all else of it is not known, and the others are told."""
    found = findings(facts(**{part: Unlooked("refused")}))

    assert [f"{part}.answers"] == [each.id for each in found if each.severity == "error"]
    of_part = {each.severity for each in found if CHECKS[each.id].part == part and not each.id.endswith("answers")}
    assert of_part == {"unknown"}
    assert CHECKS.keys() == {each.id for each in found}


def test_a_part_without_an_address_is_no_error() -> None:
    """Nothing is known to be wrong, and the exit code says that not all was looked at."""
    found = findings(facts(database=Unlooked(f"{NO_ADDRESS}: neither …")))

    assert [] == [each for each in found if each.severity == "error"]
    assert exit_code(found, strict=True) == 2


def test_a_part_that_is_not_asked_for_is_not_told() -> None:
    """`--only` leaves the others out; what the audit is held against is then skipped."""
    found = findings(Facts(database=database()))

    assert {"database"} == {CHECKS[each.id].part for each in found}
    assert ["audit.rows"] == [each.id for each in found if each.severity == "skipped"]
    assert exit_code(found, strict=True) == 0


def test_what_was_not_asked_for_is_skipped() -> None:
    """Neither the monitoring port nor a user of the subscribers' account is given: all is well nevertheless."""
    found = findings(facts(nats=nats(monitor=None, mirror=None, mirror_asked=False)))

    skipped = {each.id: each.mend for each in found if each.severity == "skipped"}
    assert skipped.keys() == {"nats.health", "nats.sync", "mirror.follows"}
    assert "--monitor" in skipped["nats.health"]
    assert "--subscribers" in skipped["mirror.follows"]
    assert exit_code(found, strict=True) == 0


def test_what_was_asked_for_in_vain_is_not_skipped() -> None:
    """A monitoring port that does not answer is not known, and the exit code says so."""
    found = findings(facts(nats=nats(monitor=Unlooked("refused"))))

    assert {"nats.health", "nats.sync"} == {each.id for each in found if each.severity == "unknown"}
    assert exit_code(found, strict=False) == 2


def test_a_lost_log_is_not_installed_anew() -> None:
    """The installer would refuse; what is told to type is recovery."""
    seen = facts(nats=with_stream("KUBERNAUT", None))

    told = next(each for each in findings(seen) if each.id == "stream.there" and each.severity == "error")

    assert told.command == "kubernaut recover"


def test_a_lazy_sync_in_a_cluster_is_a_warning() -> None:
    """Three copies survive the loss of one server's power."""
    streams = {name: msgspec.structs.replace(a_stream(), config={"num_replicas": 3}) for name in nats().streams}

    told = [each for each in findings(facts(nats=nats(monitor=LAZY, streams=streams))) if each.id == "nats.sync"]

    assert ["warning"] == [each.severity for each in told]


def test_the_policies_are_those_that_are_deployed() -> None:
    """The names in the code are the names in deploy/admission."""
    text = "".join(file.read_text() for file in sorted((ROOT / "deploy" / "admission").glob("*.yaml")))
    found = re.findall(r"^kind: ValidatingAdmissionPolicy\nmetadata:\n  name: (\S+)", text, re.MULTILINE)

    assert set(POLICY_NAMES) == set(found)


def test_the_rights_of_the_writer_are_those_that_are_granted() -> None:
    """What is asked of PostgreSQL is what the migrations grant."""
    text = (ROOT / "auditor" / "sql" / "grants.sql").read_text()
    granted: dict[str, set[str]] = {}
    for verbs, tables, roles in re.findall(r"GRANT ([A-Z, ]+) ON\s+([\w\s,]+?)\s+TO ([\w, ]+);", text):
        if "kubernaut_writer" in roles:
            for table in re.findall(r"\w+", tables):
                granted.setdefault(table, set()).update(re.findall(r"[A-Z]+", verbs))

    assert {table: set(verbs) for table, verbs in WRITES.items()} == {table: granted[table] for table in WRITES}
    assert {"audit_migration", "audit_accounted"} == granted.keys() - WRITES.keys() - {"FUNCTION"}
