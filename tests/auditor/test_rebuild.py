"""The way back: an audit is lost, hurt, or an older copy, and is made again from the log or from an export."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import asyncpg
import pytest
import pytest_asyncio
from click.testing import CliRunner

from auditor.migrations import migrate
from kubernaut.audit.export_file import export, verify_file
from kubernaut.audit.export_lines import FORMATS, header, written
from kubernaut.audit.reader import reading
from kubernaut.cli.audit import audit
from kubernaut.cli.audit_rebuild import remade
from runtime.errors import RefusedError
from tests.auditor.accounts import RealAudit
from tests.auditor.builders import UID
from tests.auditor.sealed import audited, checkpoints, fresh, publish, sealed, verdict_on
from tests.fakes.clock import ManualClock
from tests.fakes.log import FakeLog

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.auditor.accounts import Connection
    from tests.auditor.sealed import SealedAudit

pytestmark = pytest.mark.real

EVERYTHING = "DELETE FROM audit_message; DELETE FROM audit_identity; DELETE FROM audit_seal; DELETE FROM workflow_run"
DAMAGE = {
    "everything is gone": EVERYTHING,
    "an older copy": (
        "DELETE FROM audit_message WHERE stream_sequence > 15; DELETE FROM audit_identity WHERE stream_sequence > 15;"
        " DELETE FROM audit_seal WHERE number > 1"
    ),
    "a row is gone": "DELETE FROM audit_message WHERE stream_sequence = 5",
    "a column was changed": "UPDATE audit_message SET subject = 'kubernaut.signal.x' WHERE stream_sequence = 5",
    "a payload was changed": "UPDATE audit_message SET raw = raw || ' ' WHERE stream_sequence = 17",
    "a body was taken away": "UPDATE audit_message SET body = NULL WHERE stream_sequence = 27",
    "an identity was moved": "UPDATE audit_identity SET stream_sequence = 500 WHERE stream_sequence = 5",
    "an event became another one": (
        "UPDATE audit_message SET event_id = 'forged', event_key = md5('x')::uuid WHERE stream_sequence = 5"
    ),
    "a seal was changed": "UPDATE audit_seal SET digest = repeat('0', 64) WHERE number = 1",
    "a seal is gone": "DELETE FROM audit_seal WHERE number = 1",
}


def quiet(_sequence: int, _last: int) -> None:
    """Progress that nobody looks at."""


@pytest_asyncio.fixture
async def database(sealed_copy: SealedAudit) -> AsyncIterator[Connection]:
    """A connection of the owner to the audit that is to be hurt."""
    connection = await asyncpg.connect(sealed_copy.dsn)
    yield connection
    await connection.close()


async def exported(dsn: str, file: Path, form: str = "ndjson", first: int = 1, last: int = 2**62) -> Path:
    """Write an export."""
    async with reading(dsn) as reader:
        lines = [written(line, form) async for line in export(reader, first, last, tell=quiet)]
    write(file, header(form) + "".join(lines))
    return file


def write(file: Path, text: str) -> None:
    """Fill a file."""
    file.write_text(text, encoding="utf-8")


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
async def test_what_is_lost_or_hurt_is_made_again_from_the_log(
    sealed_copy: SealedAudit, database: Connection, damage: str
) -> None:
    """Afterwards the audit is sound, has the same seals, and the same report of the run."""
    log = sealed_copy.log
    before = await verdict_on(sealed_copy.dsn, log)
    await database.execute(damage)
    hurt = await verdict_on(sealed_copy.dsn, log)

    done, verdict = await remade(sealed_copy.dsn, log, ())

    assert (True, False, True) == (before.sound, hurt.sound, verdict.sound), verdict.findings
    assert (before.digest, 28) == (verdict.digest, done.added + done.replaced + done.good)
    assert [(UID, 4, "memory-leak", "completed")] == await RealAudit(sealed_copy.dsn).runs()


async def test_what_is_good_is_left_as_it_is(sealed_copy: SealedAudit, database: Connection) -> None:
    """A second rebuild does nothing; rows keep their place on the disk."""
    log = sealed_copy.log
    places = "SELECT ctid::text, xmin::text FROM audit_message ORDER BY stream_sequence"
    before = await database.fetch(places)

    done, _ = await remade(sealed_copy.dsn, log, ())

    assert (0, 0, 28, 0) == (done.added, done.replaced, done.good, done.seals)
    assert before == await database.fetch(places)


async def test_the_log_of_another_system_overwrites_nothing(sealed_copy: SealedAudit, database: Connection) -> None:
    """Where log and database hold different messages, and nothing says that the row is bad, nothing is touched."""
    another = FakeLog(clock=ManualClock())
    await publish(another, *range(700, 740))
    before = await database.fetch("SELECT * FROM audit_message ORDER BY stream_sequence")

    with pytest.raises(RefusedError, match="message 1 is another one in the log than in the database"):
        await remade(sealed_copy.dsn, another, ())

    assert before == await database.fetch("SELECT * FROM audit_message ORDER BY stream_sequence")


async def test_an_empty_database_gets_its_tables_first(empty_database: str) -> None:
    """A server that has nothing but a database."""
    log = FakeLog(clock=ManualClock())
    await publish(log, 1, 2, 3)
    await migrate(empty_database)

    done, verdict = await remade(empty_database, log, ())

    assert (3, True) == (done.added, verdict.sound)


@pytest.mark.parametrize("form", FORMATS)
async def test_an_export_stands_for_itself(sealed_audit: SealedAudit, tmp_path: Path, form: str) -> None:
    """It is verified without any server, and says what it covers, in each form the same."""
    file = await exported(sealed_audit.dsn, tmp_path / "audit", form)
    last = checkpoints(sealed_audit.log)[-1]

    verdict = verify_file(file, known=(last.number, last.digest), tell=quiet)

    assert ((), 28, 2, last.digest) == (verdict.findings, verdict.messages, verdict.ranges, verdict.digest)
    assert ("the last 4 messages are not sealed, and nothing vouches for them",) == verdict.notes


@pytest.mark.parametrize(("first", "last"), [(5, 20), (13, 24), (26, 28), (1, 12), (7, 7)])
@pytest.mark.parametrize("form", FORMATS)
async def test_a_part_of_the_audit_is_exported_and_verified(
    sealed_audit: SealedAudit, tmp_path: Path, first: int, last: int, form: str
) -> None:
    """Wherever it begins and ends; the seals that it touches come with it."""
    verdict = verify_file(await exported(sealed_audit.dsn, tmp_path / "audit", form, first, last), tell=quiet)

    assert ((), last - first + 1, first, last) == (verdict.findings, verdict.messages, verdict.first, verdict.last)


@pytest.mark.parametrize(
    ("change", "sequence"),
    [
        (lambda lines: lines[:5] + lines[6:], 4),
        (lambda lines: lines[:-1], 28),
        (lambda lines: lines[:-5] + lines[-1:], 25),
        (lambda lines: [*lines[:5], lines[5].replace("status-changed", "another-changed"), *lines[6:]], 4),
        (lambda lines: [*lines[:5], lines[6], lines[5], *lines[7:]], 4),
        (lambda lines: [*lines[:5], lines[5], lines[5], *lines[6:]], 4),
        (lambda lines: [*lines[:5], "{", *lines[6:]], 3),
        (lambda lines: lines[:1] + lines[2:], 1),
        (lambda lines: [*lines[:1], lines[1].replace('"messages":12', '"messages":11'), *lines[2:]], 1),
        (lambda lines: [*lines, lines[5]], 28),
    ],
    ids=[
        "a message left out",
        "the last line cut off",
        "messages left out at the end",
        "a message changed",
        "two messages swapped",
        "a message twice",
        "a line that is none",
        "a seal left out",
        "a seal changed",
        "something behind the end",
    ],
)
async def test_an_export_that_was_changed_is_found(
    sealed_audit: SealedAudit, tmp_path: Path, change: object, sequence: int
) -> None:
    """(F49) And the first bad place is named."""
    file = await exported(sealed_audit.dsn, tmp_path / "audit.ndjson")
    lines = file.read_text(encoding="utf-8").splitlines()
    file.write_text("\n".join(change(lines)) + "\n", encoding="utf-8")  # type: ignore[operator]

    verdict = verify_file(file, tell=quiet)

    assert sequence == verdict.findings[0].sequence, verdict.findings


async def test_beyond_the_retention_of_the_log_an_export_gives_it_back(
    sealed_copy: SealedAudit, database: Connection, tmp_path: Path
) -> None:
    """A database that is gone, a log that begins in the middle, an export of before: together they are everything."""
    log = sealed_copy.log
    before = await verdict_on(sealed_copy.dsn, log)
    file = await exported(sealed_copy.dsn, tmp_path / "audit.ndjson", last=20)
    await database.execute(EVERYTHING)
    old = OldLog(log.broker, 15)

    _, from_log_alone = await remade(sealed_copy.dsn, old, ())
    done, verdict = await remade(sealed_copy.dsn, old, (file,))

    assert not from_log_alone.sound
    assert (True, before.digest) == (verdict.sound, verdict.digest), verdict.findings
    assert 28 == len(await RealAudit(sealed_copy.dsn).accounted())
    assert 2 == done.seals
    assert [(UID, 4, "memory-leak", "completed")] == await RealAudit(sealed_copy.dsn).runs()


class OldLog(FakeLog):
    """A log whose retention has dropped what was before a sequence."""

    def __init__(self, broker: object, first: int) -> None:
        super().__init__(broker)  # type: ignore[arg-type]
        self._oldest = first

    async def get(self, stream: str, sequence: int) -> object:  # type: ignore[override]
        """See `Log.get`."""
        return await super().get(stream, sequence) if sequence >= self._oldest else None

    async def scan(self, stream: str, subject: str, *, last_per_subject: bool = False, start: int = 1):  # type: ignore[no-untyped-def,override]  # noqa: ANN201
        """See `Log.scan`."""
        start = max(start, self._oldest)
        async for message in super().scan(stream, subject, last_per_subject=last_per_subject, start=start):
            yield message


async def test_sealing_goes_on_after_a_rebuild(sealed_copy: SealedAudit, database: Connection) -> None:
    """The chain that hangs on the log's goes on where it was."""
    log = sealed_copy.log
    await database.execute(EVERYTHING)
    await remade(sealed_copy.dsn, log, ())
    await publish(log, *range(400, 410))
    await audited(fresh(log), sealed_copy.dsn)

    await sealed(log, sealed_copy.dsn)

    assert [1, 2, 3] == [each.number for each in checkpoints(log)]
    assert (await verdict_on(sealed_copy.dsn, log)).sound


async def test_the_commands_work_together(sealed_copy: SealedAudit, tmp_path: Path) -> None:
    """Export, verify the file, rebuild into it again, verify the database: by the program, with its exit codes."""
    file = tmp_path / "audit.csv"
    there = ("--database", sealed_copy.dsn)
    commands = [
        ("export", *there, "-o", "csv", "-f", str(file)),
        ("verify", "--file", str(file)),
        ("verify", *there, "--no-log", "-o", "json"),
        ("rebuild", *there, "--no-log", "--file", str(file)),
        ("verify", *there, "--no-log", "--expect", "2:wrong"),
        ("query", *there, "--what", "approved"),
        ("query", *there, "--type", "status-changed", "--limit", "2"),
        ("query", *there, "--workflow", UID, "--limit", "0", "-o", "ndjson"),
    ]

    said = [await program(*command) for command in commands]

    assert [0, 0, 0, 0, 1, 0, 0, 0] == [code for code, _ in said], said
    assert "audit sound: 28 messages" in said[1][1]
    assert '"sound": true' in said[2][1]
    assert "0 rows added, 0 bad ones replaced, 28 good ones left" in said[3][1]
    assert "BAD  13: sealed range 2: its digest was written down otherwise" in said[4][1]
    assert "nothing found" in said[5][1]
    assert 3 == len(said[6][1].splitlines())
    assert 26 == len(said[7][1].splitlines())


async def program(*arguments: str) -> tuple[int | None, str]:
    """Run `kubernaut audit` and return its exit code and what it printed."""
    done = await asyncio.to_thread(CliRunner().invoke, audit, arguments)
    return done.exit_code, done.stdout
