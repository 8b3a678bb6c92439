"""`kubernaut recover` dies at each of its effects: nobody acts on half of it, and run again it ends well (F1, F35)."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest
import structlog

from auditor.migrations import migrate
from auditor.store import PostgresStore
from kubernaut.install_streams import install_streams, stream_config
from kubernaut.recovery.renew import GAP, RECOVERED, renew
from kubernaut.recovery.survey import Found, look
from runtime.continuity import HALT, Halt, Record
from runtime.errors import ConflictError, KubernautError, NotFoundError, RefusedError, UnavailableError
from runtime.kinds import WORKFLOWS
from runtime.nats_connection import Connection
from runtime.nats_continuity import Continuity, LogRenewedError, remember
from runtime.nats_leader import info_of, message_of
from schemas.cloudevents import Event, attribute, to_headers
from schemas.messages import LossAccepted
from schemas.names import FINALIZER
from schemas.nats_users import RECOVERY
from schemas.run_state import RunState, StepState
from schemas.subjects import (
    CONSUMERS,
    EVENT_STREAM,
    LOG,
    RECOVERIES,
    STORAGE_STREAM,
    STREAMS,
    decision,
    workflow_change,
)
from tests.auditor.builders import a_decision, a_workflow_change, entries, stored
from tests.databases import an_empty_database
from tests.dying import DiedError, Life, MortalCluster, a_process
from tests.e2e.world import until
from tests.eventually import eventually
from tests.nats_server import NatsServer, administrator
from tests.storage.damage import store_below

pytestmark = [pytest.mark.real, pytest.mark.timeout(900)]

AUDITED, LEFT, BEGUN, NEW = "u-audited", "u-left", "u-begun", "u-new"
"""Runs: one that the audit knows, one that the log alone knows, one whose object alone shows it, one to come."""
UNDER_WAY = RunState(phase="executing", steps=(StepState(1, "completed", 1, execution_uid="x1"),))
FIRST = 5000
"""Of the log, so that what is left of it shows far higher sequences than anybody remembers."""
REMEMBERED = 7
_LOG_KEY, _EVENTS_KEY = f"$KV.KUBERNAUT_STORAGE.{LOG.name}", f"$KV.KUBERNAUT_STORAGE.{EVENT_STREAM.name}"
_CONSUMERS = [f"CONSUMER.CREATE.{each.stream}.{each.name}" for each in CONSUMERS]


def brought_back(uid: str) -> list[str]:
    """The effects by which a run gets into the new log."""
    return [workflow_change("shop", uid), decision(uid)]


EFFECTS = {
    "halted": [
        f"status of {BEGUN}",
        _LOG_KEY,
        f"STREAM.DELETE.{LOG.name}",
        f"STREAM.CREATE.{LOG.name}",
        RECOVERIES,
        *brought_back(AUDITED),
        *brought_back(LEFT),
        *(each for each in _CONSUMERS if f".{LOG.name}." in each),
        _LOG_KEY,
        _EVENTS_KEY,
    ],
    "wiped": [
        f"status of {BEGUN}",
        f"status of {LEFT}",
        f"STREAM.CREATE.{STORAGE_STREAM.name}",
        _LOG_KEY,
        f"STREAM.CREATE.{LOG.name}",
        RECOVERIES,
        *brought_back(AUDITED),
        *(f"STREAM.CREATE.{each.name}" for each in STREAMS if each not in (LOG, STORAGE_STREAM)),
        *_CONSUMERS,
        _LOG_KEY,
        _EVENTS_KEY,
    ],
}
"""What the command does, in order, by what was lost: a part of the log, or the whole store."""


class Scene:
    """A log, the audit of it, the objects in the cluster, and a service that knows the log."""

    def __init__(self, url: str, store: Path, connection: Connection, audit: str) -> None:
        """`store`: of the server; `connection`: of an administrator."""
        self.url = url
        self.store = store
        self.connection = connection
        self.audit = audit
        self.cluster = MortalCluster()
        self.highest = 0
        """Sequence that was ever given out."""

    async def damaged(self, how: str) -> Continuity:
        """Make it anew and lose something; return what a service knows that has seen the log before."""
        self.cluster = a_cluster()
        await self.remove_all()
        await until(self._made, "the server makes the log", 30)
        await install_streams(self.connection)
        for event in (*events_of(AUDITED), *events_of(LEFT)):
            await stored_in(self.connection, event)
        knower = self.a_service()
        assert await self.acting(knower) == 1
        seen = (await info_of(self.connection, LOG.name)).seen
        self.highest = seen.last
        if how == "wiped":
            await self.remove_all()
            self.highest = REMEMBERED
        else:
            await remember(self.connection, LOG.name, Record(created=seen.created, last=REMEMBERED))
            halt = Halt(stream=LOG.name, reason="the disk is damaged", by="test", accepted=0)
            await remember(self.connection, HALT, halt)
        return knower

    async def _made(self) -> bool:
        """Make the log; False while a busy server still takes away the files of the one before."""
        try:
            await self.connection.api(f"STREAM.CREATE.{LOG.name}", stream_config(LOG) | {"first_seq": FIRST})
        except UnavailableError:
            return False
        return True

    async def remove_all(self) -> None:
        """Remove every stream with its files: one that is removed again before those are gone leaves its own behind."""
        for stream in STREAMS:
            with contextlib.suppress(NotFoundError):
                await self.connection.api(f"STREAM.DELETE.{stream.name}")
        await eventually(lambda: not [*self.store.glob("jetstream/*/streams/.*")], seconds=60.0)

    def a_service(self) -> Continuity:
        """One that starts now."""
        return Continuity(self.connection, "test", structlog.get_logger(), lambda: None)

    async def recover(self, life: Life) -> Found:
        """Run the command as a process of its own."""
        self.cluster.life = life
        async with a_process(self.url, RECOVERY, life) as connection:
            found = await look(connection, self.cluster, self.audit, print)
            if found.losses:
                await renew(connection, self.cluster, found)
        return found

    async def acting(self, *services: Continuity) -> int:
        """How many of these services would act on what is there now; each looks every few seconds."""
        count = 0
        for each in services:
            with contextlib.suppress(KubernautError, LogRenewedError):
                before = await each.recollect()
                infos = {one.name: (await info_of(self.connection, one.name)).seen for one in STREAMS}
                await each.judge(before, infos)
                count += not each.closed
        return count

    async def install(self) -> None:
        """Run the installer, as somebody does who upgrades the chart meanwhile; it may refuse to."""
        with contextlib.suppress(RefusedError):
            await install_streams(self.connection, audited=REMEMBERED)

    async def is_whole(self) -> None:
        """Everything is in the log, no sequence was used twice, and nothing begins that had begun."""
        seen = (await info_of(self.connection, LOG.name)).seen
        assert seen.first > self.highest + GAP
        first = await message_of(self.connection, LOG.name, {"seq": seen.first})
        assert first is not None
        accepted = msgspec.json.decode(first.data, type=LossAccepted)
        assert (RECOVERIES, REMEMBERED, seen.first) == (first.subject, accepted.lost_after, accepted.lost_before)
        back = {uid: await self.is_back(uid) for uid in (AUDITED, LEFT, BEGUN, NEW)}
        shown = {each["metadata"]["uid"]: each["status"].get("sequence", 0) for each in self.cluster.of(WORKFLOWS)}
        assert (True, True, False) == (back[AUDITED], back[LEFT] or shown[LEFT] > 0, back[BEGUN] or back[NEW])
        assert (1, 0) == (shown[BEGUN], shown[NEW])
        for each in CONSUMERS:
            await self.connection.api(f"CONSUMER.INFO.{each.stream}.{each.name}")

    async def is_back(self, uid: str) -> bool:
        """Whether the last decision of a run was brought back."""
        last = await message_of(self.connection, LOG.name, {"last_by_subj": decision(uid)})
        return last is not None and attribute(last.headers, f"ce-{RECOVERED}") == "true"


def a_cluster() -> MortalCluster:
    """The objects of the four runs."""
    cluster = MortalCluster()
    for uid in (AUDITED, LEFT, BEGUN, NEW):
        held = [FINALIZER] if uid in (LEFT, BEGUN) else []
        status = {"sequence": 1, "phase": "executing"} if uid == AUDITED else {}
        cluster.put(
            WORKFLOWS,
            {"metadata": {"namespace": "shop", "name": uid, "uid": uid, "finalizers": held}, "status": status},
        )
    return cluster


def events_of(uid: str) -> tuple[Event, Event]:
    """The object of a run and its last decision, as the log had them."""
    definition = msgspec.structs.replace(a_workflow_change(uid), extensions={"version": "1"})
    return definition, a_decision(1, uid=uid, state=UNDER_WAY)


async def stored_in(connection: Connection, event: Event) -> None:
    """Store a message."""
    block = "".join(f"{name}: {value}\r\n" for name, value in to_headers(event).items())
    await connection.request(event.subject, event.data, headers=f"NATS/1.0\r\n{block}\r\n".encode())


@asynccontextmanager
async def a_scene(nats: NatsServer, database_url: str, folder: Path) -> AsyncIterator[Scene]:
    """The servers, and an audit that knows one of the runs."""
    async with an_empty_database(database_url, "recover") as audit, administrator(nats.url) as connection:
        await migrate(audit)
        store = PostgresStore(audit)
        await store.write(entries(*(stored(event, REMEMBERED - n) for n, event in enumerate(events_of(AUDITED)))))
        await store.close()
        yield Scene(nats.url, store_below(folder), connection, audit)


@pytest.mark.parametrize("installer", [False, True], ids=["alone", "the installer runs in between"])
@pytest.mark.parametrize("how", ["halted", "wiped"])
async def test_wherever_it_dies_nobody_acts_on_half_of_it_and_the_next_run_ends_well(
    fresh_nats: NatsServer, database_url: str, tmp_path: Path, how: str, *, installer: bool
) -> None:
    """In place of each effect, in the order in which they take place."""
    async with a_scene(fresh_nats, database_url, tmp_path) as scene:
        for number in range(len(EFFECTS[how])):
            knower, life = await scene.damaged(how), Life(number)
            with pytest.raises(DiedError):
                await scene.recover(life)
            assert EFFECTS[how][:number] == life.done

            if installer:
                await scene.install()
            if await scene.acting(knower, scene.a_service()):
                await scene.is_whole()
            await scene.recover(Life())
            await scene.is_whole()
            assert {} == (await scene.recover(Life(0))).losses
            assert await scene.acting(scene.a_service()) == 1


@pytest.mark.parametrize("how", ["halted", "wiped"])
async def test_what_it_does_is_known_and_whoever_knew_the_log_before_starts_anew(
    fresh_nats: NatsServer, database_url: str, tmp_path: Path, how: str
) -> None:
    """So no effect is left out above."""
    async with a_scene(fresh_nats, database_url, tmp_path) as scene:
        knower, life = await scene.damaged(how), Life()
        await scene.recover(life)

        assert EFFECTS[how] == life.done
        await scene.is_whole()
        with pytest.raises(LogRenewedError):
            await knower.judge(await knower.recollect(), {})
        assert await scene.acting(scene.a_service()) == 1


@pytest.mark.parametrize("how", ["halted", "wiped"])
async def test_of_two_who_recover_at_once_none_vouches_for_half_of_it(
    fresh_nats: NatsServer, database_url: str, tmp_path: Path, how: str
) -> None:
    """One stands still at any effect, and is refused when the other is done: nobody acts but on a whole log."""
    effects = EFFECTS[how][:-1]  # before the last one the log is whole already
    async with a_scene(fresh_nats, database_url, tmp_path) as scene:
        for number in [n for n, effect in enumerate(effects) if not effect.startswith("status")]:
            knower, first = await scene.damaged(how), Life()
            first.stand_still(number, lambda: scene.recover(Life()))

            with pytest.raises(KubernautError):
                await scene.recover(first)

            if await scene.acting(knower, scene.a_service()):
                await scene.is_whole()
            await scene.recover(Life())
            await scene.is_whole()
            assert await scene.acting(scene.a_service()) == 1


async def test_a_server_that_cannot_make_the_log_yet_is_asked_again(
    fresh_nats: NatsServer, database_url: str, tmp_path: Path
) -> None:
    """As right after the log before was removed: its files are still being taken away."""
    async with a_scene(fresh_nats, database_url, tmp_path) as scene:
        await scene.damaged("halted")
        life, create = Life(), f"STREAM.CREATE.{LOG.name}"
        life.not_yet = create

        await scene.recover(life)

        assert 2 == life.done.count(create)
        await scene.is_whole()


async def test_who_looked_before_another_recovered_makes_nothing_anew(
    fresh_nats: NatsServer, database_url: str, tmp_path: Path
) -> None:
    """The log that the other has made is there, and what was written to it since."""
    async with a_scene(fresh_nats, database_url, tmp_path) as scene:
        await scene.damaged("halted")
        late = await look(scene.connection, scene.cluster, scene.audit, print)
        await scene.recover(Life())
        made = (await info_of(scene.connection, LOG.name)).seen

        with pytest.raises(ConflictError, match="somebody else recovers KUBERNAUT"):
            await renew(scene.connection, scene.cluster, late)

        assert made == (await info_of(scene.connection, LOG.name)).seen


async def test_a_record_that_is_not_taken_is_no_success(
    fresh_nats: NatsServer, database_url: str, tmp_path: Path
) -> None:
    """Services would stay closed, and nobody knew why."""
    async with a_scene(fresh_nats, database_url, tmp_path) as scene:
        await scene.damaged("halted")
        config = stream_config(STORAGE_STREAM) | {"max_msg_size": 10}
        await scene.connection.api(f"STREAM.UPDATE.{STORAGE_STREAM.name}", config)

        with pytest.raises(UnavailableError, match=f"a note of {LOG.name}"):
            await scene.recover(Life())
