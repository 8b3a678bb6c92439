"""The state machine: the legal (phase, event) pairs of a run and of a step, as two tables. Pure.

An absent pair raises and changes nothing. The diagram in docs/states.md is made from these tables (`diagram`).
"""

from __future__ import annotations

import sys
from typing import Final, cast

from schemas.workflow_status import Phase, StepPhase

RUN: Final[dict[tuple[str, str], Phase]] = {
    ("", "queued"): "queued",
    ("", "admitted"): "planning",
    ("queued", "admitted"): "planning",
    ("queued", "cancelled"): "cancelled",
    ("planning", "planned"): "validating",
    ("planning", "refused"): "failed",
    ("planning", "cancelled"): "cancelled",
    ("validating", "started"): "executing",
    ("validating", "refused"): "failed",
    ("validating", "cancelled"): "cancelled",
    ("executing", "steps_ended"): "completed",
    ("executing", "steps_ended_monitored"): "monitoring",
    ("executing", "run_failed"): "failed",
    ("executing", "roll_back"): "rolling_back",
    ("executing", "cancelled"): "cancelled",
    ("monitoring", "verified"): "completed",
    ("monitoring", "monitoring_timed_out"): "completed",
    ("monitoring", "alert_fired"): "failed",
    ("monitoring", "roll_back"): "rolling_back",
    ("monitoring", "cancelled"): "cancelled",
    ("rolling_back", "rolled_back"): "failed",
    ("rolling_back", "rolled_back_cancelled"): "cancelled",
    ("rolling_back", "cancelled"): "cancelled",
    ("failed", "rollback_asked"): "rolling_back",
}

STEP: Final[dict[tuple[str, str], StepPhase]] = {
    ("pending", "commanded"): "executing",
    ("pending", "skipped"): "skipped",
    ("pending", "failed"): "failed",
    ("pending", "cancelled"): "cancelled",
    ("pending", "retry_planned"): "waiting_retry",
    ("executing", "observed"): "executing",
    ("executing", "completed"): "completed",
    ("executing", "failed"): "failed",
    ("executing", "cancelled"): "cancelled",
    ("executing", "skipped"): "skipped",
    ("executing", "retry_planned"): "waiting_retry",
    ("waiting_retry", "commanded"): "executing",
    ("waiting_retry", "retry_planned"): "waiting_retry",
    ("waiting_retry", "failed"): "failed",
    ("waiting_retry", "cancelled"): "cancelled",
    ("waiting_retry", "skipped"): "skipped",
    ("completed", "rolled_back"): "rolled_back",
    ("failed", "retry_asked"): "waiting_retry",
    ("skipped", "revived"): "pending",
}


class IllegalTransitionError(ValueError):
    """The event has no place in that phase."""


def run_after(phase: str, event: str) -> Phase:
    """Return the phase of a run after an event. Raises IllegalTransitionError for a pair that is not in the table."""
    return cast("Phase", _after(RUN, "run", phase, event))


def step_after(phase: str, event: str) -> StepPhase:
    """Return the phase of a step after an event. Raises IllegalTransitionError for a pair that is not in the table."""
    return cast("StepPhase", _after(STEP, "step", phase, event))


def _after(
    table: dict[tuple[str, str], Phase] | dict[tuple[str, str], StepPhase], what: str, phase: str, event: str
) -> str:
    try:
        return table[phase, event]
    except KeyError:
        message = f"a {what} in phase {phase or 'none'!r} knows no event {event!r}"
        raise IllegalTransitionError(message) from None


_HEAD = """# States

Made by `make generate` from the tables in `scheduler/transitions.py`; a pair that is not drawn is refused."""


def diagram() -> str:
    """Return the page of the docs that shows both tables, as Mermaid state diagrams."""
    blocks = [_HEAD]
    for title, table, start in (("Run", RUN, ""), ("Step", STEP, "pending")):
        lines = ["```mermaid", "stateDiagram-v2"]
        if start:
            lines.append(f"    [*] --> {start}")
        for (before, event), after in table.items():
            lines.append(f"    {before or '[*]'} --> {after}: {event}")
        targets, sources = set(table.values()), {before for before, _ in table}
        lines.extend(f"    {end} --> [*]" for end in sorted(targets - sources))
        blocks.append(f"## {title}\n\n" + "\n".join([*lines, "```"]))
    return "\n\n".join(blocks) + "\n"


if __name__ == "__main__":
    sys.stdout.write(diagram())
