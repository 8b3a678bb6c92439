"""What is wrong with PostgreSQL and with the audit in it. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from auditor.sql_files import MigrationChangedError, migrations, missing
from kubernaut.cli.times import age
from kubernaut.doctor.facts import ConsumerFacts, DatabaseFacts, NatsFacts
from kubernaut.doctor.finding import Finding, Severity, Unlooked, finding
from kubernaut.doctor.judge_nats import clock
from schemas.subjects import AUDITOR

OLDEST: Final = 150000
"""PostgreSQL 15, as `server_version_num` has it."""
UNSEALED_SECONDS: Final = 600.0
DATABASE: Final = "PostgreSQL"
AUDIT: Final = "audit"


def judge_database(facts: DatabaseFacts) -> Iterator[Finding]:
    """Return what there is to say of the server and of the tables."""
    yield finding("database.answers", "ok", DATABASE, f"{facts.address} answers, as role {facts.role}")
    major = facts.version // 10000
    old = facts.version < OLDEST
    yield finding("database.version", "error" if old else "ok", DATABASE, f"PostgreSQL {major}")
    yield _schema(facts)
    yield _rights(facts)
    yield _writer(facts)
    seen = "another machine, and not by a verified TLS" if facts.in_plain else "this machine, or by a verified TLS"
    yield finding("database.tls", "warning" if facts.in_plain else "ok", DATABASE, seen)
    off = [name for name, value in facts.settings.items() if value != "on"]
    seen = f"{' and '.join(off)} off" if off else "fsync and full_page_writes are on"
    yield finding("database.durable", "error" if off else "ok", DATABASE, seen)
    yield clock("database.clock", DATABASE, facts.ahead_seconds)
    yield _partitions(facts)
    yield finding(
        "database.size", "note", DATABASE, f"{facts.bytes} bytes; how full its disk is, PostgreSQL does not tell"
    )


def _schema(facts: DatabaseFacts) -> Finding:
    applied = facts.applied
    if isinstance(applied, Unlooked):
        return finding("database.schema", "unknown", DATABASE, applied.reason)
    known = migrations()
    try:
        needed = missing(known, applied)
    except MigrationChangedError as error:
        return finding("database.schema", "error", DATABASE, str(error), mend="put the file back", command="")
    if needed:
        names = ", ".join(each.name for each in needed)
        return finding("database.schema", "error", DATABASE, f"not applied: {names}")
    newer = sorted(name for number, (name, _) in applied.items() if number > known[-1].number)
    if newer:
        seen = f"made by a newer version ({', '.join(newer)}), which serves this one as well"
        return finding("database.schema", "note", DATABASE, seen)
    return finding("database.schema", "ok", DATABASE, f"{len(known)} migrations, all applied")


def _rights(facts: DatabaseFacts) -> Finding:
    if facts.unreadable:
        tables = ", ".join(facts.unreadable)
        command = f"psql -c 'GRANT SELECT ON {tables} TO {facts.role}'"
        seen = f"{facts.role} may not read {tables}"
        return finding("database.rights", "warning", DATABASE, seen, command=command)
    return finding("database.rights", "ok", DATABASE, f"{facts.role} may read all of it")


def _writer(facts: DatabaseFacts) -> Finding:
    about = "kubernaut_writer"
    if not facts.months:
        return finding("database.writer", "unknown", about, "there are no tables of the audit yet")
    if not facts.writer:
        return finding(
            "database.writer", "warning", about, "no such role may do anything here; the auditor owns what it writes"
        )
    if facts.writer_lacks or facts.writer_exceeds:
        parts = [f"may not {', '.join(facts.writer_lacks)}"] if facts.writer_lacks else []
        parts += [f"may {', '.join(facts.writer_exceeds)}"] if facts.writer_exceeds else []
        return finding("database.writer", "error", about, "; ".join(parts))
    return finding("database.writer", "ok", about, "may add, and change nothing")


def _partitions(facts: DatabaseFacts) -> Finding:
    if not facts.months:
        return finding("database.partitions", "unknown", DATABASE, "there are no tables of the audit yet")
    if facts.next_month in facts.months:
        return finding("database.partitions", "ok", DATABASE, f"{facts.next_month} has one")
    return finding("database.partitions", "warning", DATABASE, f"{facts.next_month} has none")


def judge_audit(facts: DatabaseFacts, nats: NatsFacts | Unlooked | None) -> Iterator[Finding]:
    """Return what there is to say of the audit, held against the log where that was seen."""
    yield _rows(facts, nats)
    unsealed = facts.unsealed_seconds
    if isinstance(unsealed, Unlooked) or isinstance(facts.sealed, Unlooked):
        reason = unsealed.reason if isinstance(unsealed, Unlooked) else "its seals cannot be read"
        yield finding("audit.sealed", "unknown", AUDIT, reason)
    elif unsealed > UNSEALED_SECONDS:
        seen = f"sealed up to {facts.sealed}; what follows waits for {age(unsealed)}"
        yield finding("audit.sealed", "warning", AUDIT, seen)
    else:
        yield finding("audit.sealed", "ok", AUDIT, f"sealed up to {facts.sealed}")
    if isinstance(facts.quarantined, Unlooked) or isinstance(facts.repeated, Unlooked):
        yield finding("audit.quarantine", "unknown", AUDIT, "its tables cannot be read")
    else:
        odd = facts.quarantined + facts.repeated
        severity: Severity = "warning" if facts.quarantined else "note" if odd else "ok"
        seen = f"{facts.quarantined} messages in quarantine, {facts.repeated} with an id that was there before"
        yield finding("audit.quarantine", severity, AUDIT, seen)


def _rows(facts: DatabaseFacts, nats: NatsFacts | Unlooked | None) -> Finding:
    newest = facts.newest
    if isinstance(newest, Unlooked):
        return finding("audit.rows", "unknown", AUDIT, newest.reason)
    if nats is None:
        seen = f"it holds messages up to {newest.sequence}; what it must hold only NATS tells"
        return finding("audit.rows", "skipped", AUDIT, seen, mend="look at NATS as well")
    auditor = nats.consumers[AUDITOR.name] if isinstance(nats, NatsFacts) else None
    if not isinstance(auditor, ConsumerFacts):
        seen = f"it holds messages up to {newest.sequence}; what the auditor acknowledged is not known"
        return finding("audit.rows", "unknown", AUDIT, seen)
    if newest.sequence < auditor.acknowledged:
        seen = f"the auditor acknowledged up to {auditor.acknowledged}, and the audit ends at {newest.sequence}"
        return finding("audit.rows", "error", AUDIT, seen)
    return finding("audit.rows", "ok", AUDIT, f"it holds messages up to {newest.sequence}")
