"""Builders of what a status is made of, and readers of what came out; no engine is needed."""

from __future__ import annotations

from typing import Any

import msgspec

from executor_bridge.definition import Definition, StepWords
from executor_bridge.status import status_of
from executor_bridge.waiting import waiting_for
from schemas.messages import Decision
from schemas.run_state import ApprovalState, CheckState, RunState, SideState
from tests.executor_bridge.builders import START, a_decision, a_state

NOW = START + 4000
"""The time that a decision of version 4 knows: 2026-01-01T00:00:04Z."""
MINUTE = 60_000


def some_words(*steps: StepWords, **fields: Any) -> Definition:
    """Words of three steps with a rollbackSpec each, unless others are given."""
    default = tuple(
        StepWords(number, name=f"name-{number}", action="scale_deployment", retries=3, has_rollback=True)
        for number in (1, 2, 3)
    )
    return Definition(steps={step.number: step for step in steps or default}, **fields)


def a_side(number: int, phase: str = "completed", **fields: Any) -> SideState:
    """A dry run or a rollback; one that ended did so in its first attempt, a second after the start."""
    if phase not in {"pending", "skipped"}:
        fields = {"attempt": 1, "started_at": START + number} | fields
    if phase in {"completed", "failed", "cancelled"}:
        fields = {"ended_at": START + 1000} | fields
    return SideState(number=number, phase=phase, **fields)  # type: ignore[arg-type]


def a_check(kind: str = "health", **fields: Any) -> CheckState:
    """A required check that passed."""
    fields = {"passed": True, "required": True} | fields
    return CheckState(id=f"check-{kind}", type=kind, **fields)


def an_approval(verdict: str = "approved", **fields: Any) -> ApprovalState:
    """A word of Alice, two seconds after the start."""
    return ApprovalState(verdict=verdict, at=START + 2000, plan="p1", **({"by": "alice"} | fields))  # type: ignore[arg-type]


def validating(**fields: Any) -> RunState:
    """A run in the validating phase, without any step started."""
    return a_state(phase="validating", **({"phase_times": {"planning": START, "validating": START + 5}} | fields))


def decided(state: RunState) -> Decision:
    """Decision 4 with this state."""
    return a_decision(4, state)


def shown(state: RunState, words: Definition | None = None) -> dict[str, Any]:
    """The status as the API server gets it."""
    encoded = msgspec.json.encode(status_of(decided(state), words or some_words()))
    return msgspec.json.decode(encoded, type=dict[str, Any])


def sentence(state: RunState, words: Definition | None = None) -> str:
    """What the run waits for."""
    return waiting_for(decided(state), words or some_words())


def told(state: RunState, kind: str, words: Definition | None = None) -> tuple[str, str, str, str] | None:
    """Status, reason, message and time of one condition; None when the run does not have it."""
    for one in shown(state, words)["conditions"]:
        if one["type"] == kind:
            return one["status"], one["reason"], one.get("message", ""), one["lastTransitionTime"][11:]
    return None
