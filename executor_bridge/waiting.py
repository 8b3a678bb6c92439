"""What a run waits for now, as one sentence that a person at 3 am can act on. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from executor_bridge.reason_words import sentence
from executor_bridge.run_reasons import run_reasons

if TYPE_CHECKING:
    from executor_bridge.definition import Definition
    from schemas.messages import Decision


def waiting_for(decision: Decision, words: Definition) -> str:
    """Return what keeps the run from going on now; nothing when it has ended or is being decided on."""
    return sentence(run_reasons(decision.state, words), decision, words)
