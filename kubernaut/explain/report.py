"""What is to be told of a run at a moment: what it and its steps wait for, with proofs; what became of one. Pure.

Docs: docs/explain.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from executor_bridge import definition
from executor_bridge import reasons as kinds
from executor_bridge.definition import Definition as Words
from executor_bridge.reason_words import clause, sentence
from executor_bridge.reasons import Reason
from executor_bridge.run_reasons import run_reasons
from executor_bridge.wording import NO_WORDS, words_of
from kubernaut.cli.times import clock_time
from kubernaut.explain.proofs import Proof, command, decided, proofs_of, seen
from kubernaut.explain.step_reasons import reasons
from kubernaut.replay.recording import Chain, RecordingError
from runtime.ports import Stored
from scheduler.plan import Plan
from scheduler.redecide import MissingError, learned_of, plan_of
from schemas.messages import Decision, WorkflowChanged, WorkflowRef, decode
from schemas.workflow_status import TERMINAL_STEP_PHASES


class Why(msgspec.Struct, frozen=True, omit_defaults=True):
    """One reason: what it is, in words, and the messages that prove it."""

    reason: Any
    """A `Reason`, as JSON with its kind."""
    text: str
    proofs: tuple[Proof, ...] = ()


class StepReport(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """One step."""

    step: int
    name: str = ""
    action: str = ""
    phase: str
    reason: str = ""
    """Why it is in that phase, in one word."""
    waiting_for: str = ""
    """One sentence; empty when it has ended."""
    reasons: tuple[Why, ...] = ()
    story: tuple[Proof, ...] = ()
    """Every decision about it and what led to each, in order; only where it was asked for."""


class Report(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A run at a moment."""

    workflow: WorkflowRef
    phase: str
    outcome: str = ""
    version: int
    """Of the decision that it is about."""
    sequence: int
    time: str
    waiting_for: str = ""
    """The sentence of status.waitingFor."""
    reasons: tuple[Why, ...] = ()
    steps: tuple[StepReport, ...] = ()
    notes: tuple[str, ...] = ()


class Outside(msgspec.Struct, frozen=True, kw_only=True):
    """What no state of the run knows: looked up by whoever asks."""

    freeze: kinds.Freeze | None = None
    place: kinds.Place | None = None
    """The run's turn in the queue."""
    queue: Stored | None = None
    """The message that says so."""


class Explained:
    """A run after one decision of its chain."""

    def __init__(self, chain: Chain, index: int, outside: Outside | None = None) -> None:
        """`index`: of the decision in the chain."""
        self._chain = chain
        self._index = index
        self._outside = outside or Outside()
        self._decision: Decision = chain.made[index].decision
        self._words = _words(chain, self._decision)
        self._plan = _plan(chain, self._decision)

    def report(self, step: int | None = None) -> Report:
        """Return the whole run and each step that has not ended; or one step, with its story. Raises RecordingError."""
        if step is None:
            numbers = self._open()
        elif self._plan is not None and step in self._plan.place:
            numbers = [step]
        else:
            known = ", ".join(str(number) for number in sorted(self._plan.place)) if self._plan else "not known"
            raise RecordingError(f"there is no step {step}; the steps are {known or 'none'}")
        made, state = self._chain.made[self._index], self._decision.state
        found = run_reasons(state, self._words)
        return Report(
            workflow=self._decision.workflow,
            phase=state.phase,
            outcome=state.outcome,
            version=self._decision.version,
            sequence=made.stored.sequence,
            time=clock_time(made.stored.time_ms),
            waiting_for=sentence(found, self._decision, self._words),
            reasons=self._why(self._looked_up(found)),
            steps=tuple(self._step(number, told=step is not None) for number in numbers),
            notes=self._chain.recording.notes,
        )

    def _open(self) -> list[int]:
        """Return the steps that anything can still come of."""
        if self._plan is None:
            return []
        numbers = sorted(self._plan.place)
        return [number for number in numbers if reasons(self._plan, self._decision.state, number)]

    def _step(self, number: int, *, told: bool) -> StepReport:
        assert self._plan is not None  # noqa: S101 - asked before
        state = self._decision.state
        known = words_of(number, self._words)
        row = state.steps[self._plan.place[number]] if state.steps else None
        found = self._looked_up(reasons(self._plan, state, number))
        return StepReport(
            step=number,
            name=known.name,
            action=known.action,
            phase=row.phase if row else "pending",
            reason=row.reason if row and row.phase in TERMINAL_STEP_PHASES else "",
            waiting_for=sentence(found, self._decision, self._words),
            reasons=self._why(found),
            story=self._story(number) if told else (),
        )

    def _looked_up(self, found: Sequence[Reason]) -> tuple[Reason, ...]:
        """Add what the state does not know: the place in the queue, and a freeze, where something new is to be done."""
        place, freeze = self._outside.place, self._outside.freeze
        known = tuple(place if place is not None and isinstance(each, kinds.Place) else each for each in found)
        goes_on = kinds.End | kinds.Closing | kinds.Expiry
        return (*known, freeze) if freeze and not all(isinstance(each, goes_on) for each in known) else known

    def _why(self, found: Sequence[Reason]) -> tuple[Why, ...]:
        return tuple(Why(each, clause(each, self._decision, self._words), self._proofs(each)) for each in found)

    def _proofs(self, reason: Reason) -> tuple[Proof, ...]:
        found = proofs_of(reason, self._chain, self._index)
        queue = self._outside.queue
        return (*found, seen(queue)) if queue is not None and isinstance(reason, kinds.Place) else found

    def _story(self, number: int) -> tuple[Proof, ...]:
        """Return every decision about a step, with the rules that fired and the messages that led to it."""
        told, before = [], False
        for index, made in enumerate(self._chain.made[: self._index + 1]):
            decision = made.decision
            about = any(each.step == number for each in decision.transitions) or any(
                getattr(each, "step", 0) == number and command(each) for each in decision.commands
            )
            ready = number in decision.state.ready
            if about:
                told.append(decided(self._chain, index, number))
            elif ready and not before:
                proof = decided(self._chain, index, number)
                limit = decision.state.limit
                told.append(msgspec.structs.replace(proof, says=f"{proof.says}: ready, at most {limit} in flight"))
            before = ready
        return tuple(told)


def _plan(chain: Chain, decision: Decision) -> Plan | None:
    """Return the plan of a run; None where its definition is not kept any more."""
    learned = learned_of([made.decision for made in chain.made])
    try:
        return plan_of(decision, learned, chain.at.get)
    except MissingError:
        return None


def _words(chain: Chain, decision: Decision) -> Words:
    stored = chain.at.get(decision.state.definition_sequence)
    if stored is None:
        return NO_WORDS
    try:
        body = decode(stored.headers.get("ce-type", ""), stored.data)
    except (ValueError, msgspec.MsgspecError):
        return NO_WORDS
    found = definition.read(body.object) if isinstance(body, WorkflowChanged) else None
    return found or NO_WORDS
