"""What must hold of every decision, and at the end of every run, whatever happened (design.md section 4, issue 4).

Each is a function of its own, named for what it finds; it counts anew what the scheduler keeps count of.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from executor_bridge.decide import is_wanted
from scheduler.decide import decide
from scheduler.definition import Definition
from scheduler.plan import make
from schemas.messages import CreateExecution, Decision, TimerDue, encode
from schemas.run_state import SideState, StepState
from schemas.workflow_status import TERMINAL_PHASES
from tests.scheduler import counted_anew, of_commands
from tests.scheduler.watched import OPEN

if TYPE_CHECKING:
    from tests.scheduler.world import World

PAUSABLE: Final = {"queued", "planning", "validating", "executing", "rolling_back"}


def check_decision(world: World, before: Decision | None, decision: Decision) -> None:
    """Hold a decision against everything that must be true of any."""
    assert world.plan is not None
    of_commands.check(world, before, decision)
    if decision.state.steps:
        counted_anew.check(world.plan, decision)


def check_at_rest(world: World) -> None:
    """Hold what is so after each message against what must be, whether or not it led to a decision."""
    if world.last is None:
        return
    check_limit(world)
    nothing_is_asleep(world)
    requests_are_answered(world)
    old_news_changes_nothing(world)


def check_limit(world: World) -> None:
    """Never more than the limit in flight as counted at the cluster: created or still to be, and not ended (G6).

    Without those that were given up: nothing starts after them, or they did not show up for minutes.
    """
    if world.plan is None or not world.plan.limit or not world.chain:
        return
    coming = [
        pending.command
        for pending in world.pending
        if isinstance(pending.command, CreateExecution)
        and pending.command.name not in world.cluster.made
        and is_wanted(pending.command, world.state)
    ]
    given_up = world.watched.given_up
    running = [m for m in world.running() if (m.create.purpose, m.create.step, m.create.attempt) not in given_up]
    assert len(running) + len(coming) <= world.plan.limit, (running, coming)


def nothing_is_asleep(world: World) -> None:
    """Whatever is due some time has a wake-up by then, unless one was lost; the sweep finds the run then.

    One that overtook an older message counts as lost: it found nothing due and left no trace, and the older message may
    lead to a timer for which it seems to be on its way still.
    """
    assert world.last is not None
    timers = world.state.timers
    if any(i.time_ms > world.last.now for i in world.delivered.values() if isinstance(i.fact, TimerDue)):
        world.lost_a_wake_up = True
    if not timers or world.lost_a_wake_up or world.state.gone:
        return
    on_its_way = any(isinstance(each.fact, TimerDue) for each in world.undelivered)
    assert on_its_way or min(world.armed, default=0) in range(1, min(timers.values()) + 2), (world.armed, timers)


def requests_are_answered(world: World) -> None:
    """What the object asks for holds, or it stands in the refusals why not; nothing is ignored in silence."""
    assert world.plan is not None
    seen = [each.fact for each in world.delivered.values() if isinstance(each.fact, Definition)]
    newest = max([world.plan.definition, *seen], key=lambda each: each.version)
    state, refused = world.state, world.state.refusals
    if newest.deleting or newest.deleted:
        assert state.phase in TERMINAL_PHASES
        return
    assert newest.spec is not None
    asked, known = newest.spec.control, state.control
    assert not asked.paused or known.paused or "pause" in refused
    assert bool(state.paused_at) == (known.paused and state.phase in PAUSABLE), (state.paused_at, state.phase)
    assert asked.cancel is None or known.cancel == asked.cancel.mode or "cancel" in refused
    assert asked.rollback is None or known.rollback or "rollback" in refused
    assert len(asked.overrides) == known.overrides
    assert not known.later or state.phase in {"queued", "planning"}
    said = newest.approval
    if said is not None and world.plan.strategy.approval_required:
        taken = state.approval is not None and (state.approval.verdict, state.approval.by) == (said.verdict, said.by)
        assert taken or "approval" in refused or said.mark == state.early_approval  # that one was refused before


def old_news_changes_nothing(world: World) -> None:
    """Everything that came so far once more, in order and the other way round, leads to no decision (G5).

    What was stored after the time that the run knows is left out: by then something may be due. So may be what was
    armed for this very moment.
    """
    assert world.plan is not None
    assert world.last is not None
    if world.last.now in world.state.timers.values():
        return
    again = [each for each in world.delivered.values() if each.time_ms <= world.last.now]
    assert decide(world.plan, world.last, again).decision is None
    assert decide(world.plan, world.last, again[::-1]).decision is None


def check_end(world: World) -> None:
    """Hold a run that is over against everything that must be true then."""
    it_has_ended(world)
    nothing_is_left_in_the_cluster(world)
    its_object_goes_in_its_time(world)
    a_word_to_end_it_was_the_last(world)
    the_causes_alone_give_the_same_decisions(world)


def it_has_ended(world: World) -> None:
    """Every run ends once the faults have (G8): all of its steps, with nothing in flight and nothing due."""
    state = world.state
    assert state.phase in TERMINAL_PHASES
    assert 0 == state.in_flight
    rows: list[StepState | SideState] = [*state.steps, *state.dry_runs, *state.rollbacks]
    assert all(row.phase not in OPEN for row in rows), state
    outcomes = {
        "completed": {"success", "partial_success", "unknown"},
        "failed": {"failed"},
        "cancelled": {"cancelled"},
    }
    assert state.outcome in outcomes[state.phase]
    assert {} == state.timers


def nothing_is_left_in_the_cluster(world: World) -> None:
    """No execution runs on that nobody waits for, and none carries our finalizer any more."""
    left = [made for made in world.cluster.made.values() if not made.kept and (made.running or made.held)]
    assert [] == left


def its_object_goes_in_its_time(world: World) -> None:
    """What a RemediationRequest owns stays, everything else is deleted once the audit holds it."""
    assert world.state.gone == world.cluster.gone
    assert world.cluster.gone or world.cluster.owned


def check_deletion(world: World) -> None:
    """The bridge deletes nothing that a RemediationRequest owns, as far as the run knows."""
    assert not world.state.owned


def a_word_to_end_it_was_the_last(world: World) -> None:
    """Who cancels a run gets a cancelled run."""
    assert not world.state.control.cancel or world.state.phase == "cancelled"


def the_causes_alone_give_the_same_decisions(world: World) -> None:
    """Replayed in any process, on any day, byte for byte (G10)."""
    planned = next(each.fact for each in world.log if each.cause.sequence == world.state.definition_sequence)
    assert isinstance(planned, Definition)
    plan, previous = make(planned, world.state.learned), None
    for decided, batch in zip(world.chain, world.batches, strict=True):
        again = decide(plan, previous, batch).decision
        assert again is not None
        assert encode(again) == encode(decided)
        previous = msgspec.json.decode(encode(again), type=Decision)
