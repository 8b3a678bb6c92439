"""The messages of the log that prove a reason: since which decision it stands, and what led to that. Pure.

Must never show the body of a message: what it says is named, not quoted, but for the errors that statuses show, too.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, Final

import msgspec

from executor_bridge import reasons as kinds
from executor_bridge.reasons import Reason
from kubernaut.cli.times import clock_time
from kubernaut.explain.told import told
from kubernaut.replay.recording import Chain
from runtime.ports import Stored
from schemas import subjects
from schemas.messages import TYPE_OF, Cause, TimerDue, Transition
from schemas.run_state import RunState, SideState, StepState

CAUSES: Final = 5
HOLDERS: Final = 10
"""How many messages are shown of one kind."""


class Proof(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A message: where it is in the log, who wrote it, what it says; and what led to it."""

    sequence: int
    id: str
    time: str = ""
    """RFC 3339; empty when the message is not there any more."""
    by: str = ""
    """The service, or the person where one is known."""
    says: str = ""
    because: tuple[Proof, ...] = ()


_Fact = Callable[[RunState], Hashable]


def proofs_of(reason: Reason, chain: Chain, index: int) -> tuple[Proof, ...]:
    """Return the messages that prove a reason that stands after a decision of the chain."""
    if isinstance(reason, kinds.Condition | kinds.Skipped):
        return _definition(chain, index)
    if isinstance(reason, kinds.Slot):
        held = [_row(number, "") for number in reason.holders[:HOLDERS]]
        return tuple(
            decided(chain, since(chain, index, fact), step) for fact, step in zip(held, reason.holders, strict=False)
        )
    fact = _fact(reason)
    if fact is None:
        return ()
    found = (decided(chain, since(chain, index, fact), getattr(reason, "step", 0)),)
    return found + _last_seen(reason, chain, index)


def since(chain: Chain, index: int, fact: _Fact) -> int:
    """Return the index of the decision since which a fact has been as it is after decision `index`."""
    stands = fact(chain.made[index].decision.state)
    while index and fact(chain.made[index - 1].decision.state) == stands:
        index -= 1
    return index


def decided(chain: Chain, index: int, step: int = 0) -> Proof:
    """Return a decision as a proof: what it changed of a step (0: of the run), and the messages that it was made of."""
    made = chain.made[index]
    changes = [transition(each) for each in made.decision.transitions if each.step == step]
    commands = [command(each) for each in made.decision.commands if getattr(each, "step", 0) == step]
    what = "; ".join([*changes, *commands])
    return Proof(
        **_where(made.stored),
        says=f"decision {made.decision.version}" + (f": {what}" if what else ""),
        because=tuple(caused(chain, cause) for cause in made.decision.causes[:CAUSES]),
    )


def transition(each: Transition) -> str:
    """Return `pending > executing (attempt 1), rule commanded`."""
    who = "" if each.step else "run "
    attempt = f" (attempt {each.attempt})" if each.attempt else ""
    said = f": {each.message}" if each.message else ""
    return f"{who}{each.before or 'new'} > {each.after}{attempt}, rule {each.reason}{said}"


def command(each: Any) -> str:
    """Return `create_execution leak-step-1`."""
    which = getattr(each, "name", "") or getattr(each, "check", "")
    return f"commands {each.__struct_config__.tag} {which}".rstrip()


def caused(chain: Chain, cause: Cause) -> Proof:
    """Return a message that a decision was made of; one that is gone has no time."""
    stored = chain.at.get(cause.sequence)
    if stored is None or stored.headers.get("ce-id") != cause.id:
        wake_up = cause.type == TYPE_OF[TimerDue]
        says = (
            "a wake-up (of the stream of timers): something was due" if wake_up else f"{cause.type}, not kept any more"
        )
        return Proof(sequence=cause.sequence, id=cause.id, says=says)
    return seen(stored)


def seen(stored: Stored) -> Proof:
    """Return any message as a proof."""
    said = told(stored)
    where = _where(stored)
    return Proof(**(where | ({"by": said.by} if said.by else {})), says=said.says)


def _where(stored: Stored) -> dict[str, Any]:
    source = stored.headers.get("ce-source", "")
    return {
        "sequence": stored.sequence,
        "id": stored.headers.get("ce-id", ""),
        "time": clock_time(stored.time_ms),
        "by": source.removeprefix("/kubernaut/"),
    }


def _definition(chain: Chain, index: int) -> tuple[Proof, ...]:
    stored = chain.at.get(chain.made[index].decision.state.definition_sequence)
    return () if stored is None else (seen(stored),)


def _last_seen(reason: Reason, chain: Chain, index: int) -> tuple[Proof, ...]:
    """Return the last that was seen of an execution in flight."""
    if not isinstance(reason, kinds.End | kinds.CommandedEnd):
        return ()
    made = chain.made[index]
    row = _find(made.decision.state, reason.step, reason.purpose)
    uid = row.execution_uid if row is not None else ""
    until = made.stored.sequence if index + 1 < len(chain.made) else 0  # since the last one nothing was decided on
    subject = subjects.execution_change(made.decision.workflow.namespace, made.decision.workflow.uid, uid)
    found = [each for each in chain.recording.messages if each.subject == subject]
    shown = [each for each in found if not until or each.sequence <= until]
    return (seen(shown[-1]),) if uid and shown else ()


def _row(number: int, purpose: str) -> _Fact:
    def fact(state: RunState) -> Hashable:
        purposes = (purpose,) if purpose else ("execute", "dry_run", "rollback")
        rows = [_find(state, number, each) for each in purposes]
        return tuple(
            None if row is None else (row.phase, row.attempt, row.retries, bool(row.execution_uid), row.ending)
            for row in rows
        )

    return fact


def _find(state: RunState, number: int, purpose: str) -> StepState | SideState | None:
    rows: dict[str, tuple[StepState | SideState, ...]]
    rows = {"execute": state.steps, "dry_run": state.dry_runs, "rollback": state.rollbacks}
    return next((row for row in rows[purpose] if row.number == number), None)


def _fact(reason: Reason) -> _Fact | None:
    """Return what must have stayed the same since the reason stands."""
    match reason:
        case kinds.Flight() | kinds.Retry() | kinds.Dependency():
            return _row(reason.step, reason.purpose)
        case kinds.DryRun():
            return _row(reason.step, "dry_run")
        case kinds.Doomed():
            return _row(reason.step, "execute")
        case kinds.Result():
            return _open_check(reason.check)
        case _:
            return _RUN.get(type(reason))


def _open_check(check: str) -> _Fact:
    return lambda state: any(each.id == check and each.passed is None for each in state.checks)


_RUN: Final[dict[type[Reason], _Fact]] = {
    kinds.Place: lambda state: state.phase,
    kinds.Resume: lambda state: state.paused_at,
    kinds.Approval: lambda state: (state.phase, state.approval is None, state.early_approval),
    kinds.Closing: lambda state: (state.closing, state.failing),
    kinds.Health: lambda state: (state.phase, state.monitor.healthy_since if state.monitor else 0),
    kinds.Expiry: lambda state: (state.phase, state.audit_looks),
}
