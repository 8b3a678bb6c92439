"""What the world did in a recorded run, as answers to what a simulated one will ask: how long, how it ended. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import median
from typing import Final

import msgspec

from kubernaut.replay.recording import Chain
from runtime.ports import Stored
from scheduler.definition import Definition
from scheduler.gather import read_input
from scheduler.inputs import Earlier, Execution
from scheduler.plan import Plan
from scheduler.redecide import MissingError, inputs_of, learned_of, plan_of
from schemas.actions import ACTIONS
from schemas.messages import (
    AlertFired,
    CheckReported,
    CommandRefused,
    CreateExecution,
    Decision,
    DeleteExecution,
    RunCheck,
    TimerDue,
    decode,
)
from schemas.run_state import RunState
from schemas.workflow_status import TERMINAL_PHASES

SOON_MS: Final = 50
"""How long the cluster takes for what was never recorded."""
Which = tuple[str, int, int]
"""Purpose, step, attempt."""
Seen = tuple[int, Execution | CommandRefused]
"""Milliseconds after the command, and what was seen then."""


class Attempt(msgspec.Struct, frozen=True):
    """What came of one command to create an execution."""

    seen: tuple[Seen, ...]
    """Up to its end, or to when its end was commanded."""
    cut: bool = False
    """Its end was commanded: how long it would have taken is not known."""


class Act(msgspec.Struct, frozen=True):
    """What came from outside: a newer version of the object, an alert."""

    phase: str
    """The phase of the run in which it came; empty before the first decision."""
    after_ms: int
    """How long after the beginning of that phase."""
    fact: Definition | AlertFired


class Oracle(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that was recorded of the world around a run."""

    plan: Plan
    definition: Definition
    begins_at: int
    """When the object was seen first, in ms since 1970."""
    waited_ms: int
    """How long it waited for its place."""
    earlier: Earlier | None
    attempts: dict[Which, Attempt]
    checks: dict[str, tuple[int, CheckReported]]
    """By the id of the check: how long it took, and what it found."""
    acts: tuple[Act, ...]
    took_ms: dict[str, int]
    """Median of the attempts of each action that completed."""
    soon_ms: int
    """Median from a command to the first sight of its execution."""
    late_ms: int
    """Median lateness of a wake-up."""


def consult(chain: Chain) -> Oracle:
    """Read a recorded run. Raises MissingError when its definition or its beginning is not there."""
    first = chain.made[0].decision
    plan = plan_of(first, learned_of([each.decision for each in chain.made]), chain.at.get)
    messages = _readable(chain)
    attempts = _attempts(chain, messages)
    firsts = [attempt.seen[0][0] for attempt in attempts.values() if attempt.seen]
    begins_at = min(
        [stored.time_ms for stored, fact in messages if isinstance(fact, Definition)],
        default=chain.made[0].stored.time_ms,
    )
    planned = next((each.decision.state for each in chain.made if "planning" in each.decision.state.phase_times), None)
    return Oracle(
        plan=plan,
        definition=plan.definition,
        begins_at=begins_at,
        waited_ms=max(planned.phase_times["planning"] - begins_at, 0) if planned else 0,
        earlier=_earlier(chain),
        attempts=attempts,
        checks=_checks(chain, messages),
        acts=tuple(_acts(chain, messages, plan.definition.sequence)),
        took_ms=_took(plan, attempts),
        soon_ms=round(median(firsts)) if firsts else SOON_MS,
        late_ms=_lateness(chain),
    )


def first_end(chain: Chain) -> Decision | None:
    """Return the decision by which a run ended for the first time; None when it has not."""
    return next((each.decision for each in chain.made if each.decision.state.phase in TERMINAL_PHASES), None)


def _readable(chain: Chain) -> list[tuple[Stored, object]]:
    found: list[tuple[Stored, object]] = []
    for stored in chain.own_messages():
        try:
            seen = read_input(stored)
        except (ValueError, msgspec.MsgspecError):
            continue
        if seen is not None:
            found.append((stored, seen.fact))
    return found


def _attempts(chain: Chain, messages: list[tuple[Stored, object]]) -> dict[Which, Attempt]:
    commanded: dict[Which, int] = {}
    cut: dict[str, int] = {}
    for made in chain.made:
        for command in made.decision.commands:
            if isinstance(command, CreateExecution):
                commanded[command.purpose, command.step, command.attempt] = made.decision.now
            elif isinstance(command, DeleteExecution):
                cut[command.uid] = made.decision.now
    found: dict[Which, Attempt] = {which: Attempt(()) for which in commanded}
    for stored, fact in messages:
        if not isinstance(fact, Execution | CommandRefused):
            continue
        which = (fact.purpose, fact.step, fact.attempt)
        known = found.get(which)
        if known is None or known.cut or (known.seen and _ends(known.seen[-1][1])):
            continue
        if isinstance(fact, Execution) and stored.time_ms >= cut.get(fact.uid, stored.time_ms + 1):
            found[which] = Attempt(known.seen, cut=True)
        else:
            found[which] = Attempt((*known.seen, (max(stored.time_ms - commanded[which], 0), fact)))
    return found


def _ends(fact: Execution | CommandRefused) -> bool:
    return isinstance(fact, CommandRefused) or bool(fact.ending)


def _checks(chain: Chain, messages: list[tuple[Stored, object]]) -> dict[str, tuple[int, CheckReported]]:
    asked = {
        command.check: made.decision.now
        for made in chain.made
        for command in made.decision.commands
        if isinstance(command, RunCheck)
    }
    return {
        fact.check: (max(stored.time_ms - asked[fact.check], 0), fact)
        for stored, fact in reversed(messages)
        if isinstance(fact, CheckReported) and fact.check in asked
    }


def _acts(chain: Chain, messages: list[tuple[Stored, object]], planned: int) -> Iterable[Act]:
    end = next((each.stored for each in chain.made if each.decision.state.phase in TERMINAL_PHASES), None)
    for stored, fact in messages:
        if not isinstance(fact, Definition | AlertFired) or stored.sequence <= planned:
            continue
        if end is not None and stored.sequence > end.sequence:
            return
        index = chain.index_at_sequence(stored.sequence)
        if index < 0:
            yield Act("", 0, fact)
            continue
        state = chain.made[index].decision.state
        began = state.phase_times.get(state.phase, state.started_at)
        yield Act(state.phase, max(stored.time_ms - began, 0), fact)


def _earlier(chain: Chain) -> Earlier | None:
    for made in chain.made[:3]:
        try:
            facts = [each.fact for each in inputs_of(made.decision, chain.at.get)]
        except MissingError:
            continue
        for fact in facts:
            if isinstance(fact, Earlier):
                return fact
    return None


def _took(plan: Plan, attempts: dict[Which, Attempt]) -> dict[str, int]:
    times: dict[str, list[int]] = {}
    for (purpose, step, _), attempt in attempts.items():
        last = attempt.seen[-1] if attempt.seen else None
        if purpose == "execute" and last and isinstance(last[1], Execution) and last[1].ending == "completed":
            times.setdefault(plan.step(step).action, []).append(last[0])
    return {action: round(median(each)) for action, each in times.items()}


def expected_ms(oracle: Oracle, action: str) -> tuple[int, str]:
    """Return how long an attempt takes that was never recorded, and where that is known from."""
    if action in oracle.took_ms:
        return oracle.took_ms[action], f"as others of {action} in this run"
    learned = oracle.plan.learned.get(action)
    if learned is not None:
        return round(learned.p50 * 1000), "as earlier runs"
    known = ACTIONS.get(action)
    return (round(known.typical_seconds * 1000) if known else 1000), f"as is typical of {action}"


def _lateness(chain: Chain) -> int:
    late = []
    for stored in chain.recording.timers:
        body = decode(stored.headers.get("ce-type", ""), stored.data)
        if isinstance(body, TimerDue):
            late.append(max(stored.time_ms - body.due_at, 0))
    return round(median(late)) if late else 0


def state_of(decision: Decision | None) -> RunState:
    """Return the state after a decision, or that of a run about which nothing was decided."""
    return decision.state if decision is not None else RunState(phase="queued")
