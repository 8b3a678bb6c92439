"""The simulation sees what it is for: a product with a known defect fails within a few seeds."""
# ruff: noqa: SLF001 - a defect is put into the inside

from __future__ import annotations

import asyncio
import itertools
import time
from typing import TYPE_CHECKING, Any, Final

import msgspec
import pytest

import auditor.audit_loop
import executor_bridge.apply
import executor_bridge.commands
import executor_bridge.decide
import executor_bridge.handlers.check
import executor_bridge.handlers.create
import executor_bridge.handlers.show_status
import executor_bridge.handlers.tell_refusal
import scheduler.schedule_loop
import watcher.resync_loop
import watcher.watch_loop
from executor_bridge.api import Api
from executor_bridge.handlers import release
from runtime.deadletters import bury
from runtime.kinds import WORKFLOWS
from scheduler.announce_loop import Announcer
from scheduler.draft import Draft
from scheduler.queue_desk import Desk
from scheduler.schedule_loop import Batch, Scheduler
from scheduler.sweep_loop import Sweeper
from scheduler.wake import Waker
from schemas import subjects
from tests.simulation.run import simulate
from tests.simulation.scenario import draw
from watcher.floor import Floor
from watcher.publish import Publisher

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Patch = pytest.MonkeyPatch
SEEDS: Final = 500


def _does(instead: Any) -> Any:
    """An async function that does nothing, whatever it is given, and returns `instead`."""

    async def nothing(*_: Any, **__: Any) -> Any:
        return instead

    return nothing


def acks_before_it_publishes(patch: Patch) -> None:
    """The scheduler."""

    async def handle(self: Any, uid: str, deliveries: list[Any]) -> None:
        batch = Batch()
        await self._read(batch, deliveries)
        for delivery in batch.readable:
            await delivery.ack()
        if batch.inputs:
            await self._settle(uid, batch)

    patch.setattr(Scheduler, "handle", handle)


def expects_no_sequence(patch: Patch) -> None:
    """The scheduler, of the decision before."""
    before = Scheduler._publish

    async def publish(self: Any, uid: str, known: Any, *more: Any) -> Any:
        log = self._log

        class Careless:
            def __getattr__(self, name: str) -> Any:
                return getattr(log, name)

            async def publish(self, event: Any, **_: Any) -> Any:
                return await log.publish(event)

        self._log = Careless()
        try:
            return await before(self, uid, known, *more)
        finally:
            self._log = log

    patch.setattr(Scheduler, "_publish", publish)


def takes_any_object_of_the_name_for_its_own(patch: Patch) -> None:
    """The bridge, when a create says that there is one already."""
    patch.setattr(executor_bridge.handlers.create._Create, "_judged", lambda *_: None)


def does_not_ask_what_is_still_wanted(patch: Patch) -> None:
    """The bridge, before a create."""
    patch.setattr(executor_bridge.decide, "is_wanted", lambda *_: True)


def acks_before_it_creates(patch: Patch) -> None:
    """The bridge."""
    before = executor_bridge.apply.Bridge._carry_out

    async def carry_out(self: Any, item: Any, newest: Any) -> None:
        await item.delivery.ack()
        await before(self, item, newest)

    patch.setattr(executor_bridge.apply.Bridge, "_carry_out", carry_out)


def arms_no_wake_up_and_does_not_sweep(patch: Patch) -> None:
    """The scheduler."""
    patch.setattr(Waker, "arm", _does(None))
    patch.setattr(Sweeper, "sweep", _does(None))


def gives_no_place_back(patch: Patch) -> None:
    """The scheduler, when a run has ended."""
    patch.setattr(Desk, "leave", _does(None))


def shows_a_status_over_a_newer_one(patch: Patch) -> None:
    """The bridge: it looks at the resourceVersion and not at the sequence."""

    async def look(self: Any, shown: Any, decision: Any) -> bool:
        workflow = decision.workflow
        self.note(workflow.uid, await self._context.api.get(WORKFLOWS, workflow.namespace, workflow.name))
        return True

    patch.setattr(executor_bridge.handlers.show_status, "_superseded", lambda *_: False)
    patch.setattr(executor_bridge.handlers.show_status.Board, "_look", look)


def buries_what_comes_again(patch: Patch) -> None:
    """The scheduler takes for poison what somebody may have been given before."""
    before = Scheduler.handle

    async def handle(self: Any, uid: str, deliveries: list[Any]) -> None:
        for delivery in deliveries:
            if delivery.again:
                await bury(self._log, delivery, consumer=subjects.SCHEDULER.name, error="poison")
        await before(self, uid, [delivery for delivery in deliveries if not delivery.again])

    patch.setattr(Scheduler, "handle", handle)


def believes_what_it_remembers(patch: Patch) -> None:
    """The scheduler drops what changes nothing on a state that others have overtaken."""
    patch.setattr(scheduler.schedule_loop, "_may_be_news", lambda verdict, _: bool(verdict.strangers))


def counts_no_rollback_and_no_dry_run(patch: Patch) -> None:
    """The scheduler, against the limit."""
    before = Draft.put_side

    def put_side(self: Any, purpose: str, side: Any) -> None:
        flying = self.in_flight
        before(self, purpose, side)
        self.in_flight = flying

    patch.setattr(Draft, "put_side", put_side)


def skips_what_somebody_else_may_have_told(patch: Patch) -> None:
    """The announcer, after a conflict."""
    patch.setattr(Announcer, "_fill", _does_nothing_to_head)


async def _does_nothing_to_head(_self: Any, _namespace: str, _uid: str, head: Any, _until: Any) -> Any:
    return head


def gives_up_when_the_log_does_not_answer(patch: Patch) -> None:
    """The watcher, about a version that it wanted to publish."""
    before = Publisher._settle

    async def settle(self: Any, uid: str, sighting: Any) -> None:
        try:
            async with asyncio.timeout(0.5):
                await before(self, uid, sighting)
        except TimeoutError:
            return

    patch.setattr(Publisher, "_settle", settle)


def acks_before_the_commit(patch: Patch) -> None:
    """The auditor."""
    before = auditor.audit_loop.Auditor._store_batch

    async def store_batch(self: Any, batch: list[Any]) -> None:
        for delivery in batch:
            await delivery.ack()
        await before(self, batch)

    patch.setattr(auditor.audit_loop.Auditor, "_store_batch", store_batch)


def forgets_who_is_gone(patch: Patch) -> None:
    """The watcher: what a list has not got any more gets no tombstone."""
    patch.setattr(watcher.watch_loop, "bury", _does(None))
    patch.setattr(watcher.resync_loop, "bury", _does(None))


def claims_what_it_has_only_read(patch: Patch) -> None:
    """The watcher's floor rises with what was read, and not with what is on the log."""
    before = Floor.begin

    def begin(self: Any, version: int) -> Any:
        self.version = max(self.version, version)
        return before(self, version)

    patch.setattr(Floor, "begin", begin)


def tries_again_with_the_new_sequence(patch: Patch) -> None:
    """The scheduler, after a conflict: the same decision once more, behind that of the other."""
    before = Scheduler._publish

    async def publish(self: Any, uid: str, known: Any, *more: Any) -> Any:
        published = await before(self, uid, known, *more)
        while published is None:
            last = await self._log.last(subjects.LOG.name, subjects.decision(uid))
            known = msgspec.structs.replace(known, sequence=last.sequence if last else 0)
            published = await before(self, uid, known, *more)
        return published

    patch.setattr(Scheduler, "_publish", publish)


def deletes_by_name_and_not_by_uid(patch: Patch) -> None:
    """The bridge, whatever has the name by now."""
    before = Api.delete

    async def delete(self: Any, resource: Any, namespace: str, name: str, *, uid: str) -> None:
        found = await self.get(resource, namespace, name)
        await before(self, resource, namespace, name, uid=found["metadata"]["uid"] or uid)

    patch.setattr(Api, "delete", delete)


def makes_up_an_id_each_time(patch: Patch) -> None:
    """The bridge, for what came of a command; made up from a seed, so that a run can be repeated."""
    numbers = itertools.count()
    for handler in (executor_bridge.handlers.check, executor_bridge.handlers.tell_refusal):

        def event(before: Any = handler.Event, **fields: Any) -> Any:
            return before(**fields | {"id": f"random-{next(numbers)}"})

        patch.setattr(handler, "Event", event)


def tells_the_time_by_its_own_clock(patch: Patch) -> None:
    """The scheduler, of what it decides on."""
    before = scheduler.schedule_loop.read_input

    def read_input(message: Any) -> Any:
        seen = before(message)
        return seen and msgspec.structs.replace(seen, time_ms=int(time.time() * 1000))

    patch.setattr(scheduler.schedule_loop, "read_input", read_input)


def counts_what_somebody_else_has_counted(patch: Patch) -> None:
    """The watcher: every version that it saw on its way into the log, whoever was first."""
    before = Publisher._note

    def note(self: Any, uid: str, message: Any, sequence: int) -> None:
        self._count(message, synthesized=False)
        before(self, uid, message, sequence)

    patch.setattr(Publisher, "_note", note)


def leaves_its_finalizers(patch: Patch) -> None:
    """The bridge, on executions."""
    patch.setattr(executor_bridge.commands, "release_execution", _does(None))
    patch.setattr(release, "release_execution", _does(None))


PATCHES: Final[tuple[tuple[Callable[[Patch], None], str], ...]] = (
    (acks_before_it_publishes, "0"),
    (expects_no_sequence, "1"),
    (takes_any_object_of_the_name_for_its_own, "36"),
    (does_not_ask_what_is_still_wanted, "0"),
    (acks_before_it_creates, "0"),
    (arms_no_wake_up_and_does_not_sweep, "0"),
    (gives_no_place_back, "0"),
    (shows_a_status_over_a_newer_one, "0"),
    (buries_what_comes_again, "0"),
    (believes_what_it_remembers, "24@2"),
    (counts_no_rollback_and_no_dry_run, "1"),
    (skips_what_somebody_else_may_have_told, "0"),
    (gives_up_when_the_log_does_not_answer, "79@2"),
    (acks_before_the_commit, "67@2"),
    (leaves_its_finalizers, "0"),
    (forgets_who_is_gone, "1"),
    (claims_what_it_has_only_read, "2"),
    (tries_again_with_the_new_sequence, "1"),
    (deletes_by_name_and_not_by_uid, "127"),
    (makes_up_an_id_each_time, "0"),
    (tells_the_time_by_its_own_clock, "36"),
    (counts_what_somebody_else_has_counted, "0"),
)
"""Each with the first seed that has found it, where the search begins to save time."""


def seeds_from(first: str) -> Iterator[str]:
    """Seeds of one edition, one after the other."""
    number, at, edition = first.partition("@")
    return (f"{int(number) + more}{at}{edition}" for more in range(SEEDS))


@pytest.mark.parametrize(("patch", "first"), [pytest.param(*each, id=each[0].__name__) for each in PATCHES])
def test_a_known_defect_is_found(patch: Callable[[Patch], None], first: str, monkeypatch: Patch) -> None:
    """Within so many seeds, by a guarantee that it breaks, and not because a service fell over it."""
    patch(monkeypatch)

    found = next(filter(None, (simulate(draw(seed)).failure for seed in seeds_from(first))), "nothing")

    assert found != "nothing"
    assert "ended unexpectedly" not in found
