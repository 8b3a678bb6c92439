"""Sealing, on the log in memory and a real PostgreSQL: kills, rivals, older copies, and a system at rest."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import asyncpg
import msgspec
import pytest

from auditor import chain, metrics
from auditor.seal_loop import ContradictionError
from auditor.seal_store import PostgresSeals
from auditor.sealing import Leaf, next_range
from runtime.errors import UnavailableError
from schemas import subjects
from schemas.subjects import LOG
from tests.auditor.running import count, until
from tests.auditor.sealed import a_sealer, audited, checkpoints, fresh, publish, sealed, verdict_on
from tests.fakes.clock import ManualClock
from tests.fakes.log import FakeLog

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from runtime.ports import Stored
    from tests.auditor.accounts import Connection
    from tests.fakes.broker import Broker

real = pytest.mark.real


@pytest.fixture
def log() -> FakeLog:
    """An empty log."""
    return FakeLog(clock=ManualClock())


def rows(*sequences: int, checkpoint: bool = False) -> list[Leaf]:
    """Return rows at these sequences."""
    return [Leaf(each, bytes([each]) * 32, checkpoint) for each in sequences]


@pytest.mark.parametrize(
    ("there", "lost", "until_sequence"),
    [
        (rows(1, 2, 3), (), 3),
        (rows(1, 2, 4), (), 2),
        (rows(1, 2, 4), (3,), 4),
        (rows(2, 3), (), None),
        ([], (), None),
        (rows(1, 2, checkpoint=True), (), None),
        ([*rows(1, checkpoint=True), *rows(2)], (), 2),
        ([], (1, 2, 3), 3),
    ],
    ids=[
        "all that is there",
        "up to the first that is missing",
        "past one that the log itself had lost",
        "nothing while the first is missing",
        "nothing of nothing",
        "nothing of checkpoints alone",
        "checkpoints together with something else",
        "a window of which the log had lost everything",
    ],
)
def test_what_is_sealed(there: list[Leaf], lost: tuple[int, ...], until_sequence: int | None) -> None:
    """A range holds everything from where the last one ended, and a checkpoint is no reason for another."""
    made = next_range("KUBERNAUT", None, 1, there, lost)

    assert until_sequence == (made.to_sequence if made else None)


@real
async def test_a_system_at_rest_comes_to_rest(log: FakeLog, audit_database: str) -> None:
    """A checkpoint is a message and is audited, but never sealed alone: after one of them there is no further one."""
    await publish(log, 1, 2, 3)
    for _ in range(4):
        await audited(fresh(log), audit_database)
        await sealed(log, audit_database)

    assert [(1, 3)] == [(each.from_sequence, each.to_sequence) for each in checkpoints(log)]
    assert 4 == len(log.stored())
    assert (await verdict_on(audit_database, log)).sound


@real
async def test_several_auditors_at_once_make_one_chain(log: FakeLog, audit_database: str) -> None:
    """Four sealers that all look at the same time, again and again, make one chain without holes or doubles."""
    stores = [PostgresSeals(audit_database) for _ in range(4)]
    sealers = [a_sealer(fresh(log), seals) for seals in stores]
    for start in range(0, 60, 10):
        await publish(log, *range(start, start + 10))
        await audited(fresh(log), audit_database)
        await asyncio.gather(*(sealer.turn(least=1) for sealer in sealers))
    await sealed(log, audit_database)
    for seals in stores:
        await seals.close()

    told = checkpoints(log)
    assert list(range(1, len(told) + 1)) == [each.number for each in told]
    assert 6 <= len(told)
    verdict = await verdict_on(audit_database, log)
    assert ((), len(told)) == (verdict.findings, verdict.ranges)


@real
@pytest.mark.parametrize("lost", ["the answer of the log", "the process before the database"])
async def test_killed_between_log_and_database_it_goes_on(log: FakeLog, audit_database: str, lost: str) -> None:
    """(F46) What the log was told is taken over by the next process; it is not sealed a second time."""
    await publish(log, 1, 2, 3)
    await audited(fresh(log), audit_database)
    seals = PostgresSeals(audit_database)
    first = fresh(log)
    if lost == "the answer of the log":
        first.lose_answers = 1
    else:
        seals.add = dies  # type: ignore[method-assign]
    with contextlib.suppress(UnavailableError):
        await a_sealer(first, seals).turn(least=1)
    await seals.close()
    await publish(log, 4)
    await audited(fresh(log), audit_database)

    await sealed(log, audit_database)

    assert [(1, 3), (4, 5)] == [(each.from_sequence, each.to_sequence) for each in checkpoints(log)]
    assert (await verdict_on(audit_database, log)).sound


async def dies(_made: chain.Seal) -> bool:
    """Be killed."""
    raise UnavailableError("killed")


@real
async def test_it_waits_for_a_thousand_or_for_its_time(log: FakeLog, audit_database: str) -> None:
    """Fewer messages than are enough are left alone until they are due."""
    await publish(log, 1, 2, 3)
    await audited(fresh(log), audit_database)
    seals = PostgresSeals(audit_database)

    await a_sealer(log, seals).turn(least=4)
    before = checkpoints(log)
    await a_sealer(log, seals).turn(least=3)
    await seals.close()

    assert ([], [3]) == (before, [each.to_sequence for each in checkpoints(log)])


@real
async def test_rows_that_are_gone_are_said_and_nothing_is_sealed_over_them(
    log: FakeLog, audit_database: str, database: Connection
) -> None:
    """Rows that were acknowledged and are not there: said by number, metric and readiness until they are back."""
    await publish(log, *range(1, 9))
    await audited(fresh(log), audit_database)
    await database.execute("CREATE TABLE aside AS SELECT * FROM audit_message WHERE stream_sequence IN (3, 4)")
    await database.execute("DELETE FROM audit_message WHERE stream_sequence IN (3, 4)")
    seals = PostgresSeals(audit_database)
    sealer = a_sealer(fresh(log), seals, interval=0.01)
    running = asyncio.create_task(sealer.seal_loop())

    await until(lambda: "messages 3, 4 of the log" in sealer.health.detail)
    said = (sealer.health.well, count(metrics.MISSING), count(metrics.UNSOUND), checkpoints(log))
    await database.execute("INSERT INTO audit_message SELECT * FROM aside")
    await until(lambda: sealer.health.well and bool(checkpoints(log)))
    running.cancel()
    await asyncio.wait([running])
    await seals.close()

    assert (False, 2, 1, []) == said
    assert (0, 0) == (count(metrics.MISSING), count(metrics.UNSOUND))
    assert [8] == [each.to_sequence for each in checkpoints(log)]


@real
async def test_a_database_that_contradicts_the_log_is_not_sealed_further(
    log: FakeLog, audit_database: str, database: Connection
) -> None:
    """Rows that were changed after they were sealed, in a copy from before the seal, are not sealed a second way."""
    await publish(log, *range(1, 9))
    await audited(fresh(log), audit_database)
    await sealed(log, audit_database)
    await database.execute("DELETE FROM audit_seal; UPDATE audit_message SET phase = 'x' WHERE stream_sequence = 3")

    with pytest.raises(ContradictionError, match="1 to 8 in the database are not those of checkpoint 1"):
        await sealed(log, audit_database)

    assert 1 == len(checkpoints(log))


@real
async def test_a_log_that_was_made_anew_is_not_sealed_onto_the_old_one(log: FakeLog, audit_database: str) -> None:
    """The seals of the old log stay what they are; a person must look."""
    await publish(log, *range(1, 9))
    await audited(fresh(log), audit_database)
    await sealed(log, audit_database)
    another = FakeLog(clock=ManualClock())
    await publish(another, 1)

    with pytest.raises(ContradictionError, match="made anew or restored from an older copy"):
        await sealed(another, audit_database)

    assert [] == checkpoints(another)


@real
async def test_a_log_that_was_made_anew_far_behind_the_old_one_is_sealed_on(
    log: FakeLog, audit_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What lies between the two was never there: it is sealed as lost, window by window, and verify says so."""
    monkeypatch.setattr("auditor.seal_loop.MOST_SEQUENCES", 10)
    await publish(log, 1, 2, 3)
    await audited(fresh(log), audit_database)
    await sealed(log, audit_database)
    behind = Behind(log.broker, 5)
    await publish(log, *range(100, 140))
    await audited(fresh(log), audit_database)
    connection = await asyncpg.connect(audit_database)
    await connection.execute("DELETE FROM audit_message WHERE stream_sequence BETWEEN 5 AND 29")
    await connection.close()
    behind.oldest = 30

    await sealed(behind, audit_database)

    seals = [(each.from_sequence, each.to_sequence, each.messages) for each in checkpoints(log)]
    assert [(1, 3, 3), (4, 13, 1)] == seals[:2]
    assert 44 == seals[-1][1]
    assert 0 == seals[2][2]
    verdict = await verdict_on(audit_database, log)
    assert [(5, "the log lost messages 5 to 29 before the audit had it")] == [
        (each.sequence, each.what) for each in verdict.findings
    ]
    assert 1 == verdict.found


class Behind(FakeLog):
    """A log that begins at a sequence, but for the checkpoints."""

    def __init__(self, broker: Broker, oldest: int) -> None:
        super().__init__(broker)
        self.oldest = oldest

    async def get(self, stream: str, sequence: int) -> Stored | None:
        """See `Log.get`."""
        return await super().get(stream, sequence) if sequence >= self.oldest else None

    async def scan(
        self, stream: str, subject: str, *, last_per_subject: bool = False, start: int = 1
    ) -> AsyncGenerator[Stored, None]:
        """See `Log.scan`."""
        async for message in super().scan(
            stream, subject, last_per_subject=last_per_subject, start=max(start, self.oldest)
        ):
            yield message


@real
async def test_a_forged_checkpoint_in_the_log_stops_the_sealing(log: FakeLog, audit_database: str) -> None:
    """A message on the subject that is none is not built upon."""
    await publish(log, 1)
    await audited(fresh(log), audit_database)
    made = chain.seal(LOG.name, None, 1, [b"x" * 32])
    forged = msgspec.structs.replace(
        chain.event(made), data=chain.event(made).data.replace(b'"number":1', b'"number":2')
    )
    await log.publish(forged)

    with pytest.raises(ContradictionError, match="is no checkpoint"):
        await sealed(log, audit_database)


@real
async def test_the_table_takes_no_range_twice_and_none_out_of_turn(audit_database: str) -> None:
    """Also not by two auditors at the same moment."""
    first = chain.seal(LOG.name, None, 1, [b"x" * 32])
    second = chain.seal(LOG.name, first, 2, [b"y" * 32])
    seals, another = PostgresSeals(audit_database), PostgresSeals(audit_database)

    early = await seals.add(second)
    both = await asyncio.gather(seals.add(first), another.add(first))
    after = await another.add(second)
    head = await seals.head(LOG.name)
    await seals.close()
    await another.close()

    assert (False, [False, True], True) == (early, sorted(both), after)
    assert second == head


@real
async def test_without_the_database_the_sealing_waits(log: FakeLog) -> None:
    """A database that is not there is told and tried again; the loop lives on."""
    seals = PostgresSeals("postgresql://127.0.0.1:1/none")
    failures = count(metrics.SEAL_FAILURES)
    running = asyncio.create_task(a_sealer(log, seals).seal_loop())

    await until(lambda: count(metrics.SEAL_FAILURES) > failures)

    assert not running.done()
    running.cancel()
    await asyncio.wait([running])


def test_a_checkpoint_says_all_that_its_digest_is_made_of() -> None:
    """Whoever has the message alone can see whether it was tampered with."""
    made = chain.seal(LOG.name, chain.seal(LOG.name, None, 1, [b"x" * 32]), 2, [b"y" * 32, bytes(32)])

    body = chain.read(chain.event(made).data)

    assert made.checkpoint == body
    assert (2, 2, 3, 1) == (body.number, body.from_sequence, body.to_sequence, body.messages)
    assert subjects.CHECKPOINTS == chain.event(made).subject
    assert all(
        chain.read(chain.event(made).data.replace(old, new)) is None
        for old, new in ((b'"toSequence":3', b'"toSequence":4'), (b'"messages":1', b'"messages":2'))
    )
