"""What of a run was undone, what could not be, and what can still be on demand: facts for every sentence. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from executor_bridge.wording import words_of
from schemas.actions import INVERTIBLE
from schemas.run_state import SideState
from schemas.workflow_status import TERMINAL_STEP_PHASES

if TYPE_CHECKING:
    from executor_bridge.definition import Definition
    from schemas.run_state import RunState, StepState

NO_ROLLBACK_SPEC: Final = "no_rollback_spec"
"""Reason of a skipped rollback: the step was done, and nothing says how it is undone. Other reasons mean that there was
nothing to undo."""


class Undoing(msgspec.Struct, frozen=True, kw_only=True):
    """The rollbacks of a run, by what came of each; in rising order of step numbers."""

    undone: tuple[SideState, ...]
    failed: tuple[SideState, ...]
    stopped: tuple[SideState, ...]
    """Ended by a person or with the run before they were done."""
    unknown_how: tuple[SideState, ...]
    """Steps that were done and have no rollbackSpec."""
    open: tuple[SideState, ...]
    """Not ended yet."""


def undoing(state: RunState) -> Undoing:
    """Return what came of each rollback so far."""
    sides = state.rollbacks
    return Undoing(
        undone=tuple(s for s in sides if s.phase in {"completed", "rolled_back"}),
        failed=tuple(s for s in sides if s.phase == "failed"),
        stopped=tuple(s for s in sides if s.phase == "cancelled"),
        unknown_how=tuple(s for s in sides if s.phase == "skipped" and s.reason == NO_ROLLBACK_SPEC),
        open=tuple(s for s in sides if s.phase not in TERMINAL_STEP_PHASES),
    )


def can_be_undone(step: StepState, words: Definition) -> bool:
    """Whether a completed step has a rollbackSpec, or its inverse can be derived from what was reported of it."""
    known = words_of(step.number, words)
    return known.has_rollback or (step.pre_image is not None and known.action in INVERTIBLE)
