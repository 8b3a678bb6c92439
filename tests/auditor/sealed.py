"""A small audit that is sealed, on the log in memory and in a real PostgreSQL."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import structlog

from auditor import chain
from auditor.seal_loop import Sealer
from auditor.seal_store import PostgresSeals
from auditor.store import PostgresStore
from kubernaut.audit.from_log import Witness, witness
from kubernaut.audit.reader import Reader, reading
from kubernaut.audit.verifying import Verdict, Verifying
from runtime.health import Dependency
from schemas.messages import AuditSealed
from schemas.subjects import AUDITOR, CHECKPOINTS
from tests.auditor.builders import a_decision, a_status_change, a_workflow_change
from tests.auditor.running import Running, until
from tests.fakes.clock import ManualClock
from tests.fakes.log import FakeLog

if TYPE_CHECKING:
    from auditor.seal_store import Seals
    from runtime.ports import Log
    from tests.auditor.accounts import Connection


class SealedAudit(msgspec.Struct, frozen=True):
    """What `a_sealed_audit` made."""

    dsn: str
    log: FakeLog


def a_sealer(log: FakeLog, seals: Seals, *, interval: float = 60.0, look: float = 0.01) -> Sealer:
    """Return the sealer of one process."""
    return Sealer(
        log, seals, interval=interval, look=look, health=Dependency("audit whole"), logger=structlog.get_logger()
    )


async def publish(log: FakeLog, *numbers: int) -> None:
    """Put one small message into the log for each number."""
    for number in numbers:
        await log.publish(a_status_change(number))


async def audited(log: FakeLog, dsn: str) -> None:
    """Have all of the log written down by a process that is killed afterwards."""
    store = PostgresStore(dsn)
    async with Running(log, store):
        await until(lambda: log.broker.acknowledged(AUDITOR) >= len(log.stored()), seconds=60)
    await store.close()


async def sealed(log: FakeLog, dsn: str) -> None:
    """Have all of it sealed."""
    seals = PostgresSeals(dsn)
    try:
        while await a_sealer(log, seals).turn(least=1):
            pass
    finally:
        await seals.close()


async def a_sealed_audit(dsn: str) -> FakeLog:
    """Fill a database: two sealed ranges (1-12 and 13-24), and messages 25-28 behind them that are not sealed yet."""
    log = FakeLog(clock=ManualClock())
    await log.publish(a_workflow_change())
    await publish(log, *range(100, 110))
    await log.publish(a_decision(4))
    await audited(fresh(log), dsn)
    await sealed(log, dsn)
    await publish(log, *range(200, 211))
    await audited(fresh(log), dsn)
    await sealed(log, dsn)
    await publish(log, *range(300, 303))
    await audited(fresh(log), dsn)
    return log


def fresh(log: FakeLog) -> FakeLog:
    """Return the log of another process."""
    return FakeLog(log.broker)


def copied(log: FakeLog) -> FakeLog:
    """Return a log that holds the same, all of it acknowledged by the auditor."""
    copy = FakeLog(clock=ManualClock())
    copy.broker.streams = {name: list(messages) for name, messages in log.broker.streams.items()}
    copy.broker.durable(AUDITOR).next = len(log.stored()) + 1
    return copy


def checkpoints(log: FakeLog) -> list[AuditSealed]:
    """Return what the log was told."""
    found = [chain.read(message.data) for message in log.stored(CHECKPOINTS)]
    return [each for each in found if each is not None]


async def verified(connection: Connection, seen: Witness | None, **options: int) -> Verdict:
    """Verify over a connection that has a transaction open."""
    return await Verifying(Reader(connection), seen, tell=lambda _sequence, _last: None).verify(**options)


async def verdict_on(dsn: str, log: Log | None) -> Verdict:
    """Verify a database as it is now."""
    seen = None if log is None else await witness(log, patience=0)
    async with reading(dsn) as reader:
        return await Verifying(reader, seen, tell=lambda _sequence, _last: None).verify()
