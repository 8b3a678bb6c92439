"""What must hold (the guarantees of the design, G1 to G13), by the journal of the cluster and what the broker stored.

Never by what a service says of itself. `written`, `stored` and `acknowledged` look at each fact as it happens;
`missing` says what still keeps the world from being at rest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from runtime.kinds import EXECUTIONS, WORKFLOWS
from schemas import subjects
from schemas.actions import ACTIONS
from schemas.messages import (
    TYPE_OF,
    CommandRefused,
    CreateExecution,
    Decision,
    DeleteExecution,
    DeleteWorkflow,
    ExecutionChanged,
    QueueDecided,
    decode,
)
from schemas.names import FINALIZER
from schemas.queue_state import QueueState
from schemas.workflow_status import TERMINAL_PHASES
from tests.simulation.floors import Floors

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runtime.ports import Object, Stored
    from tests.simulation.cluster import Write
    from tests.simulation.world import World

_ANY: Final = msgspec.json.Decoder()
ENDS: Final = frozenset({"completed", "failed"})
TOLD_WITHIN: Final = 120.0
"""Seconds in which a change is in the log once all is healed; the back-offs of the watcher go up to 30 s each."""
TOLD_LATE: Final = 15.0
"""Seconds in which a watcher that has seen something tells it once all is healed: it may try twice, 5 s apart."""
RESYNCED_WITHIN: Final = 1000.0
"""Seconds more where a watch has left something out: the resync looks every 8 to 12 minutes, and may fail once."""
KNOWN_WITHIN: Final = 0.1
"""Seconds for which the bridge may not know of a decision when it asks: it looked 10 ms ago, and answers take time."""
KEPT: Final = frozenset({"24h"})
"""Times to live that no simulation waits for."""


class Run(msgspec.Struct):
    """What is known of one workflow."""

    name: str
    spec: dict[str, Any]
    exists: bool = True
    shown: int = 0
    """status.sequence."""
    last: Decision | None = None
    before: list[tuple[float, Decision | None]] = []
    """What was the last until when, in seconds."""
    ended: bool = False
    """It was in a final phase once: what comes after needs no place in the queue."""
    public: list[str] = []
    """Ids of the events that must be told, in order."""
    told: list[str] = []


class Oracle:
    """Watches one world."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.runs: dict[str, Run] = {}
        self._created: dict[tuple[Any, ...], str] = {}
        self._versions: dict[str, int] = {}
        """Of each object the last one in the log."""
        self._gone: set[str] = set()
        self._deleted: dict[str, float] = {}
        """When objects went, by their uid."""
        self._touched: dict[str, float] = {}
        """When objects changed last, by their uid."""
        self.late = 0
        """Creations that were on their way when the one before was deleted."""
        self._ids: set[tuple[str, str]] = set()
        self._queue = QueueDecided(version=0, now=0, causes=(), state=QueueState())
        self._refused: set[str] = set()
        """Ids of commands that the cluster refused."""
        self._outcomes: set[tuple[str, str]] = set()
        """Ids of commands, and what was told of them."""
        self._deletions: set[str] = set()
        """Uids of the objects that decisions command to delete."""
        self._leaving: set[str] = set()
        """Uids of objects that somebody has deleted."""
        self._holders: dict[str, str] = {}
        """By the uid of a workflow that carries our finalizer: who put it on when it was no longer wanted, if so."""
        self._floors = Floors()
        self.swept = 0
        """Wake-ups that the sweep sent."""

    @property
    def creations(self) -> int:
        """Executions that were created."""
        return len(self._created)

    @property
    def patience(self) -> float:
        """Seconds that everything may take longer, because a watch left something out."""
        return RESYNCED_WITHIN if self._world.cluster.swallowed else 0.0

    # The cluster

    def written(self, write: Write) -> None:
        """Look at a change of an object."""
        plural, meta = write.key[0], write.body["metadata"]
        self._touched[meta["uid"]] = write.time
        if write.what == "DELETED" and plural in {WORKFLOWS.plural, EXECUTIONS.plural}:
            self._deleted[meta["uid"]] = write.time
        if plural in {WORKFLOWS.plural, EXECUTIONS.plural}:
            version, deleted = int(meta["resourceVersion"]), write.what == "DELETED"
            self._floors.written(plural, meta["uid"], version, deleted=deleted)
            self._leaves(write, meta)
        if plural == WORKFLOWS.plural:
            self._workflow(write, meta)
        elif plural == EXECUTIONS.plural and write.what == "ADDED":
            self._execution(write.body)

    def _leaves(self, write: Write, meta: Object) -> None:
        """Of the services only the bridge deletes, and only the very objects that a decision names."""
        leaves = write.what == "DELETED" or "deletionTimestamp" in meta
        if not leaves or meta["uid"] in self._leaving:
            return
        self._leaving.add(meta["uid"])
        if write.by.startswith("bridge") and meta["uid"] not in self._deletions:
            self._world.broken("G5", f"{write.by} deletes {meta['name']} ({meta['uid']}), and no decision says so")

    def _workflow(self, write: Write, meta: Object) -> None:
        run = self.runs.setdefault(meta["uid"], Run(name=meta["name"], spec=write.body["spec"]))
        if write.what == "DELETED":
            run.exists = False
            return
        if FINALIZER not in (meta.get("finalizers") or ()):
            self._holders.pop(meta["uid"], None)
        elif meta["uid"] not in self._holders:
            over = run.last is not None and not run.last.state.held
            self._holders[meta["uid"]] = write.by if over else ""
        shown = (write.body.get("status") or {}).get("sequence", 0)
        if shown < run.shown:
            self._world.broken("G7", f"the status of {run.name} goes back from {run.shown} to {shown}")
        run.shown = shown

    def _execution(self, body: Object) -> None:
        spec, name = body["spec"], body["metadata"]["name"]
        uid = spec["workflowExecutionRef"]["uid"]
        identity = (uid, spec["stepNumber"], spec.get("attempt", 1), spec.get("purpose", "execute"))
        if identity in self._created and not self._may_come_again(identity, spec["action"]):
            self._world.broken("G5", f"{name} is created twice")
        self._created[identity] = body["metadata"]["uid"]
        run = self.runs[uid]
        limit = run.spec["executionStrategy"]["parallelismLimit"]
        flying = self.in_flight(uid)
        if len(flying) > limit:
            names = sorted(each["metadata"]["name"] for each in flying)
            self._world.broken("G6", f"{len(flying)} of {run.name} are in flight, {limit} may be: {names}")
        if identity[3] == "execute":
            self._in_order(run, identity[1], flying)

    def _may_come_again(self, identity: tuple[Any, ...], action: str) -> bool:
        """Whether an execution that is no more may be created once more.

        Nobody can take back a request that was on its way when it was deleted: the executor knows its idempotency key.
        And of what nobody had seen when it was asked for again, because somebody had deleted it, only what may be done
        twice is created again: a dry run, or an action that is idempotent.
        """
        uid, number, attempt, purpose = identity
        deleted_at = self._deleted.get(self._created[identity])
        if deleted_at is None:
            return False
        if self._world.cluster.asked_at < deleted_at:
            self.late += 1
            return True
        row = _row(_as_of(self.runs[uid], self._world.cluster.asked_at - KNOWN_WITHIN), purpose, number)
        waits = row is not None and row.phase == "executing" and row.attempt == attempt and not row.execution_uid
        return bool(waits and (purpose == "dry_run" or ACTIONS[action].idempotent))

    def _in_order(self, run: Run, number: int, flying: list[Object]) -> None:
        """No step begins while one that it depends on is in flight."""
        (step,) = [each for each in run.spec["workflowDefinition"]["steps"] if each["stepNumber"] == number]
        for each in flying:
            if each["spec"].get("purpose", "execute") == "execute" and each["spec"]["stepNumber"] in step["dependsOn"]:
                self._world.broken(
                    "order", f"step {number} of {run.name} begins before {each['metadata']['name']} has ended"
                )

    def in_flight(self, uid: str) -> list[Object]:
        """Executions of a workflow that the API server has, that have not ended, and that are to go on."""
        found = [body for key, body in self._world.cluster.objects.items() if key[0] == EXECUTIONS.plural]
        return [
            body
            for body in found
            if body["spec"]["workflowExecutionRef"]["uid"] == uid
            and (body.get("status") or {}).get("phase") not in ENDS
            and "deletionTimestamp" not in body["metadata"]
        ]

    # The log

    def stored(self, message: Stored) -> None:
        """Look at a message."""
        words = message.subject.split(".")
        identity = (message.stream, message.headers.get("ce-id", ""))
        if message.stream != subjects.TIMER_STREAM.name:
            if identity in self._ids:
                self._world.broken("G2", f"{identity[1]} is in {message.stream} twice")
            self._ids.add(identity)
        if message.stream == subjects.EVENT_STREAM.name:
            self.runs[words[3]].told.append(identity[1])
        elif words[1] == "decision":
            self._decided(words[2], message)
        elif words[1] == "outcome":
            self._come_of(message)
        elif words[1] == "change":
            self._changed(message)
            self._claimed(EXECUTIONS.plural if words[2] == "execution" else WORKFLOWS.plural, message)
        elif words[1] == "watch":
            self._claimed(words[2], message)
        elif words[1] == "timer" and "/sweep/" in identity[1]:
            self.swept += 1
        elif words[1] == "deadletter":
            self._world.broken("G11", f"a message was buried: {message.data[:2000]!r}")

    def _come_of(self, message: Stored) -> None:
        command, kind = _ANY.decode(message.data)["commandId"], message.headers["ce-type"]
        if (command, kind) in self._outcomes:
            self._world.broken("G2", f"what came of {command} is told twice")
        self._outcomes.add((command, kind))
        if kind == TYPE_OF[CommandRefused]:
            self._refused.add(command)

    def _claimed(self, plural: str, message: Stored) -> None:
        floor = message.headers.get("ce-floor", "")
        if not floor or self._world.cluster.swallowed:
            return
        for wrong in self._floors.wrong(plural, int(floor)):
            self._world.broken("G1", wrong)

    def _changed(self, message: Stored) -> None:
        uid, version = message.headers["ce-uid"], int(message.headers["ce-version"])
        if version <= self._versions.get(uid, 0):
            self._world.broken("G2", f"{message.subject} goes from {self._versions[uid]} to {version}")
        if uid in self._gone:
            self._world.broken("G2", f"{message.subject} follows its own tombstone")
        self._versions[uid] = version
        gone = "ce-deleted" in message.headers
        if gone:
            self._gone.add(uid)
        plural = EXECUTIONS.plural if message.subject.split(".")[2] == "execution" else WORKFLOWS.plural
        self._floors.logged(plural, uid, version, gone=gone)

    def _decided(self, uid: str, message: Stored) -> None:
        body = decode(message.headers["ce-type"], message.data)
        if uid == subjects.QUEUE:
            assert isinstance(body, QueueDecided)
            if body.version != self._queue.version + 1:
                self._world.broken("G3", f"the queue goes from version {self._queue.version} to {body.version}")
            if len(body.state.active) > self._world.scenario.places:
                self._world.broken("queue", f"{len(body.state.active)} runs have places")
            self._queue = body
            return
        assert isinstance(body, Decision)
        run = self.runs[uid]
        before = run.last.version if run.last else 0
        if body.version != before + 1:
            self._world.broken("G3", f"{run.name} goes from version {before} to {body.version}")
        if not (run.last.now if run.last else 0) <= body.now <= message.time_ms:
            self._world.broken("P20", f"{run.name} decides at {body.now}, the broker's time is {message.time_ms}")
        run.before.append((self._world.cluster.time(), run.last))
        run.last = body
        self._deletions |= {each.uid for each in body.commands if isinstance(each, DeleteExecution)}
        self._deletions |= {uid for each in body.commands if isinstance(each, DeleteWorkflow)}
        run.ended = run.ended or body.state.phase in TERMINAL_PHASES
        run.public += [f"{uid}/{body.version}/{place}" for place, each in enumerate(body.transitions) if each.what]
        active = [each.name for each in self.runs.values() if _needs_place(each)]
        if len(active) > self._world.scenario.places:
            self._world.broken("queue", f"{active} run, {self._world.scenario.places} may")

    # Acknowledgements: after the effect, never before

    def acknowledged(self, consumer: str, message: Stored) -> None:
        """Look at a message that the broker counts as done."""
        kind = message.headers.get("ce-type", "")
        if consumer == subjects.BRIDGE.name and kind == TYPE_OF[Decision]:
            self._carried_out(decode(kind, message.data))
        elif consumer == subjects.SCHEDULER.name and kind == TYPE_OF[ExecutionChanged]:
            self._taken_in(decode(kind, message.data))

    def _carried_out(self, decision: Any) -> None:
        """What a decision commanded was done, refused on the log, or is no longer wanted."""
        uid = decision.workflow.uid
        run = self.runs[uid]
        for index, command in enumerate(decision.commands):
            if not isinstance(command, CreateExecution) or f"{uid}/{decision.version}/{index}" in self._refused:
                continue
            row = _row(run.last, command.purpose, command.step)
            identity = (uid, command.step, command.attempt, command.purpose)
            wanted = row is not None and row.phase == "executing" and row.attempt == command.attempt and not row.ending
            if wanted and run.exists and identity not in self._created and command.attempt != row.abandoned:
                self._world.broken("G5", f"{command.name} was acknowledged and never created")

    def _taken_in(self, changed: Any) -> None:
        """The end of an execution is in the state of its run."""
        seen = _ANY.decode(changed.object)
        spec = seen["spec"]
        if not changed.deleted and (seen.get("status") or {}).get("phase") not in ENDS:
            return
        run = self.runs[spec["workflowExecutionRef"]["uid"]]
        row = _row(run.last, spec.get("purpose", "execute"), spec["stepNumber"])
        waits = row is not None and row.phase == "executing" and row.attempt == spec.get("attempt", 1)
        if waits and row.execution_uid in {"", seen["metadata"]["uid"]} and row.abandoned != row.attempt:
            self._world.broken("G8", f"the end of {seen['metadata']['name']} was acknowledged and not taken in")

    # At rest

    def missing(self) -> Iterator[str]:
        """Say what is not as it must be in the end."""
        for uid, run in self.runs.items():
            yield from self._unfinished(uid, run)
        yield from (f"{name} is to be applied again" for name in self._world.applying)
        yield from self._left_over()
        if self._queue.state.active or self._queue.state.waiting:
            yield f"queue: still holds {self._queue.state}"
        yield from self._unread()
        yield from self._unwatched()
        yield from self._unaudited()

    def _unfinished(self, uid: str, run: Run) -> Iterator[str]:
        state = run.last.state if run.last else None
        if not run.exists and uid not in self._versions:
            yield from self._perhaps_seen(uid, run)
            return
        if state is None or run.last is None:
            yield f"G8: {run.name} was never decided on"
            return
        if state.phase not in TERMINAL_PHASES:
            yield f"G8: {run.name} is {state.phase} with timers {state.timers}, {state.in_flight} in flight"
        if not run.exists and not state.gone:
            yield f"G8: {run.name} is gone, and its state does not know"
        kept = run.spec["executionStrategy"]["ttlAfterFinished"] in KEPT
        if run.exists and not kept:
            yield f"retention: {run.name} is still there"
        if run.exists and run.shown != run.last.version:
            yield f"status: {run.name} shows {run.shown}, decided is {run.last.version}"
        if run.told != run.public:
            yield f"G4: events of {run.name} are {run.told}, and should be {run.public}"
        if state.in_flight:
            yield f"G8: {run.name} counts {state.in_flight} in flight"
        if self.in_flight(uid):
            yield f"G8: {[each['metadata']['name'] for each in self.in_flight(uid)]} have not ended"

    def _perhaps_seen(self, uid: str, run: Run) -> Iterator[str]:
        """It came and went, and is not in the log: whoever has seen it may still tell it, or nobody watched."""
        if self._world.milliseconds() / 1000 - max(self._world.healed_at, self._deleted[uid]) < TOLD_LATE:
            yield f"G1: {run.name} came and went, and may still be told"

    def _is_left(self, meta: Object) -> bool:
        """Whether a bridge put our finalizer on too late, when another had its message acknowledged, and then it died.

        Nobody has been told to take it off. It comes off when somebody, or the time to live, deletes the workflow.
        """
        holder = self._holders.get(meta["uid"], "")
        alive = {process.name for process in self._world.processes.values()}
        return bool(holder) and holder not in alive and "deletionTimestamp" not in meta

    def _left_over(self) -> Iterator[str]:
        for key, body in self._world.cluster.objects.items():
            meta = body["metadata"]
            if key[0] == EXECUTIONS.plural and not self.runs[body["spec"]["workflowExecutionRef"]["uid"]].exists:
                yield f"garbage: {key[2]} is still there, and its workflow is gone"
            if key[0] in {WORKFLOWS.plural, EXECUTIONS.plural}:
                if FINALIZER in (meta.get("finalizers") or ()) and not self._is_left(meta):
                    yield f"finalizer: {key[2]} is still held"
                if "deletionTimestamp" in meta:
                    yield f"finalizer: {key[2]} is being deleted and does not go"

    def _unread(self) -> Iterator[str]:
        for consumer in subjects.CONSUMERS:
            end = len(self._world.broker.streams.get(consumer.stream, ()))
            done = self._world.broker.acknowledged(consumer)
            if done < end:
                yield f"G8: {consumer.name} has acknowledged {done} of {end}"

    def overdue(self) -> Iterator[str]:
        """Say what the log should have got long ago: no watch here swallows a change, so no resync is to find it."""
        within = TOLD_WITHIN + self.patience
        if self._world.milliseconds() / 1000 - self._world.healed_at > within:
            yield from self._unwatched(within)

    def _unwatched(self, at_least: float = 0.0) -> Iterator[str]:
        """Say what the log has not got of the cluster's objects, and is so for some seconds at least."""
        since = self._world.milliseconds() / 1000 - at_least
        for key, body in self._world.cluster.objects.items():
            meta = body["metadata"]
            if self._touched.get(meta["uid"], since) > since:
                continue
            if key[0] in {WORKFLOWS.plural, EXECUTIONS.plural} and self._versions.get(meta["uid"]) != int(
                meta["resourceVersion"]
            ):
                yield f"G1: of {key[2]} v{meta['resourceVersion']} the log has {self._versions.get(meta['uid'])}"
        for uid in sorted(self._deleted.keys() - self._gone):
            if uid in self._versions and self._deleted[uid] <= since:
                yield f"G1: {uid} is gone, and the log has no tombstone"

    def _unaudited(self) -> Iterator[str]:
        log, database = subjects.LOG.name, self._world.database
        expected = {(log, message.sequence) for message in self._world.broker.stored(log)}
        rows = {(row.stream, row.stream_sequence) for row in database.messages.values()}
        if database.quarantined or database.repeats:
            yield f"G9: quarantined {list(database.quarantined)}, repeats {list(database.repeats)}"
        if lost := sorted(expected - rows):
            yield f"G9: {len(lost)} messages are not in the audit, first {lost[0]}"
        if more := sorted(rows - expected):
            yield f"G9: {len(more)} rows are of no message, first {more[0]}"


def _as_of(run: Run, time: float) -> Decision | None:
    """Return the last decision that there was at a time."""
    return next((decision for until, decision in run.before if until > time), run.last)


def _row(decision: Decision | None, purpose: str, number: int) -> Any:
    """Return what a decision says of a step, its dry run or its rollback."""
    if decision is None:
        return None
    state = decision.state
    rows: Any = {"execute": state.steps, "dry_run": state.dry_runs, "rollback": state.rollbacks}[purpose]
    return next((row for row in rows if row.number == number), None)


def _needs_place(run: Run) -> bool:
    return run.last is not None and not run.ended and run.last.state.phase != "queued"
