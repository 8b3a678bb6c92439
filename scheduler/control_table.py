"""What a person may ask of a run, in which phase, and what comes of it: one table of words.

What is done stands in `scheduler.controls`. A test puts a run into each phase, tries each request and compares, so the
table must say no more and no less than what happens. docs/control.md is made from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

SITUATIONS: Final[Mapping[str, str]] = {
    "queued": "queued",
    "checks": "validating: checks are open",
    "dry run": "validating: dry runs are under way",
    "approval": "validating: it waits for an approval",
    "executing": "executing",
    "closing": "executing: a critical step has failed, others are in flight",
    "monitoring": "monitoring",
    "rolling_back": "rolling_back",
    "completed": "completed",
    "failed": "failed",
    "cancelled": "cancelled",
}
"""Where a run can rest, by a short name. Planning is no place to rest: it begins and ends within one decision."""
VALIDATING: Final = ("checks", "dry run", "approval")
ENDED: Final = ("completed", "failed", "cancelled")


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What comes of a request."""

    accepted: bool
    text: str
    """Accepted: the effect. Refused: the reason, in the very words in which it is told."""
    rests: str = ""
    """Accepted: the phase in which the run rests then, when all that is in flight ends well and nobody says more."""
    by_cluster: bool = False
    """Refused by the API server already: the scheduler never hears of it."""


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that a person may ask."""

    command: str
    """How to ask on the command line."""
    patch: str
    """How to ask with kubectl: the patch, or the command where it is another one."""
    note: str
    """What else there is to know of it."""
    answers: Mapping[str, Answer]
    """By situation."""


_NOTHING_STARTS: Final = "nothing starts any more that a pause could hold back"
_OVER: Final = "the run has ended; `kubernaut rerun` runs it again from a step"
_NOT_FAILED: Final = "the run has not failed; if it fails it is rolled back, to do so now cancel it with mode rollback"
_NO_PLAN: Final = "it was written before there was a plan; look at the plan and approve again"
_DECIDED: Final = "the run was approved by alice already; while it goes on, a cancel stops it"


def _yes(text: str, rests: str) -> Answer:
    return Answer(accepted=True, text=text, rests=rests)


def _no(text: str) -> Answer:
    return Answer(accepted=False, text=text)


def _all(situations: tuple[str, ...], answer: Answer) -> dict[str, Answer]:
    return dict.fromkeys(situations, answer)


def _meaningless(*phases: str) -> dict[str, Answer]:
    return {
        situation: _no(f"in phase {SITUATIONS[situation].partition(':')[0]} it means nothing") for situation in phases
    }


_PAUSE: Final = {
    "queued": _yes("it keeps its turn; once it has its place it starts nothing", "queued"),
    "checks": _yes("checks go on, no dry run and no step starts; the five minutes stand still", "executing"),
    "dry run": _yes("no further dry run starts, those in flight finish; the five minutes stand still", "validating"),
    "approval": _yes("the five minutes stand still; an approval is taken, and no step starts after it", "validating"),
    "executing": _yes("no new step starts, those in flight finish; the time of the run stands still", "executing"),
    "closing": _yes("nothing new was to start; it holds the rollback, where there is to be one", "failed"),
    "monitoring": _no(_NOTHING_STARTS),
    "rolling_back": _yes("no further rollback starts, those in flight finish", "rolling_back"),
    **_all(ENDED, _no(_NOTHING_STARTS)),
}
_RESUME: Final = {
    "queued": _yes("it begins as usual once it has its place", "queued"),
    "checks": _yes("the five minutes go on", "completed"),
    "dry run": _yes("dry runs go on, and the five minutes", "completed"),
    "approval": _yes("the five minutes go on", "validating"),
    "executing": _yes("steps that are ready start at once; the time of the run goes on", "completed"),
    "closing": _yes("the run ends as it would have", "failed"),
    "monitoring": _yes("noted; nothing was held back any more", "completed"),
    "rolling_back": _yes("rollbacks that are ready start at once", "failed"),
    **{ended: _yes("noted; nothing was held back any more", ended) for ended in ENDED},
}
_GIVEN_ONCE: Final = Answer(
    accepted=False, text="control.cancel is given once: it cannot be changed or taken back", by_cluster=True
)
_CANCELLED_AT_ONCE: Final = {
    "queued": _yes("the run is cancelled at once", "cancelled"),
    "checks": _yes("the run is cancelled at once", "cancelled"),
    "dry run": _yes("the run is cancelled at once; dry runs in flight are ended", "cancelled"),
    "approval": _yes("the run is cancelled at once", "cancelled"),
}
_NEVER_AFTER: Final = {"completed": _no(_OVER), "failed": _no(_OVER), "cancelled": _GIVEN_ONCE}
_STOP: Final = _CANCELLED_AT_ONCE | {
    "executing": _yes("no new step starts; the run is cancelled once those in flight have ended", "cancelled"),
    "closing": _yes("the run is cancelled instead once steps in flight have ended; nothing is undone", "cancelled"),
    "monitoring": _yes("the run is cancelled at once", "cancelled"),
    "rolling_back": _yes("no further rollback starts; the run is cancelled once those in flight ended", "cancelled"),
    **_NEVER_AFTER,
}
_ROLL_BACK: Final = _CANCELLED_AT_ONCE | {
    "executing": _yes("steps in flight are ended, then what was done is undone; the run is cancelled", "cancelled"),
    "closing": _yes("steps in flight are ended, then what was done is undone; the run is cancelled", "cancelled"),
    "monitoring": _yes("what was done is undone; the run is cancelled", "cancelled"),
    "rolling_back": _no("it is being rolled back already"),
    **_NEVER_AFTER,
}
_TERMINATE: Final = _CANCELLED_AT_ONCE | {
    "executing": _yes("steps in flight are ended now, nothing is undone; the run is cancelled", "cancelled"),
    "closing": _yes("steps in flight are ended now, nothing is undone; the run is cancelled", "cancelled"),
    "monitoring": _yes("the run is cancelled at once", "cancelled"),
    "rolling_back": _yes("rollbacks in flight are ended now, none begins; the run is cancelled", "cancelled"),
    **_NEVER_AFTER,
}
_SKIP: Final = {
    "queued": _yes("kept, and done once there is a plan", "queued"),
    "checks": _yes("the step is skipped", "completed"),
    "dry run": _yes("the step is skipped; a dry run of it that fails is not held against the run", "completed"),
    "approval": _yes("the step is skipped", "validating"),
    "executing": _yes("a pending step is skipped at once, one in flight is ended first", "completed"),
    "closing": _yes("as in executing; the run ends as it would have", "failed"),
    **_meaningless("monitoring", "rolling_back"),
    **_all(ENDED, _no(_OVER)),
}
_RETRY: Final = {
    **_meaningless("queued", *VALIDATING),
    "executing": _yes("it is tried once more; what was skipped because of it waits for it again", "completed"),
    "closing": _yes("it is tried once more, and the run goes on when no other critical step has failed", "completed"),
    **_meaningless("monitoring", "rolling_back"),
    **_all(ENDED, _no(_OVER)),
}
_ROLLBACK: Final = {
    **_all(("queued", *VALIDATING, "executing", "closing", "monitoring"), _no(_NOT_FAILED)),
    "rolling_back": _no("it is being rolled back already"),
    "completed": _no("only a failed run can be rolled back, this one is completed"),
    "failed": _yes("what was done is undone; then the run has failed again, for the reason that it had", "failed"),
    "cancelled": _no("only a failed run can be rolled back, this one is cancelled"),
}
_TOO_LATE: Final = _all(("executing", "closing", "monitoring", "rolling_back", *ENDED), _no(_DECIDED))
_APPROVE: Final = {
    "queued": _no(_NO_PLAN),
    "checks": _yes("recorded; the run starts once the checks have passed", "completed"),
    "dry run": _yes("recorded; the run starts once the dry runs have passed", "completed"),
    "approval": _yes("the run starts", "completed"),
    **_TOO_LATE,
}
_REJECT: Final = {
    "queued": _no(_NO_PLAN),
    **_all(VALIDATING, _yes("the run has failed, with the reason approval_rejected", "failed")),
    **_TOO_LATE,
}
_GOES: Final = "what is in flight is ended, the run is cancelled, and the object goes"
_DELETE: Final = {
    **_all(
        ("queued", "checks", "approval", "monitoring"), _yes("the run is cancelled, and the object goes", "cancelled")
    ),
    **_all(("dry run", "executing", "closing", "rolling_back"), _yes(_GOES, "cancelled")),
    **{ended: _yes("the object goes; the run stays what it is, in the log and in the audit", ended) for ended in ENDED},
}

_APPROVAL_NOTE: Final = """For runs that ask for an approval; any other answers `this run asks for none`, in every
phase. The first word counts: here alice has approved the run before it was executed. What was written while the run was
queued is taken all the same where it names the plan by its digest."""
_CANCEL_NOTE: Final = "A cancel is given once; the API server refuses to change it or to take it back."
OPERATIONS: Final[Mapping[str, Operation]] = {
    "pause": Operation(
        command="kubernaut pause NAME",
        patch='{"spec":{"control":{"paused":true}}}',
        note="A pause that stands holds a rollback too. The timeouts of steps in flight do not stand still.",
        answers=_PAUSE,
    ),
    "resume": Operation(
        command="kubernaut resume NAME",
        patch='{"spec":{"control":{"paused":false}}}',
        note="Of a run that is paused; of any other it asks for nothing, so there is no answer.",
        answers=_RESUME,
    ),
    "cancel (stop)": Operation(
        command="kubernaut cancel NAME --mode stop",
        patch='{"spec":{"control":{"cancel":{"mode":"stop","reason":"..."}}}}',
        note=_CANCEL_NOTE,
        answers=_STOP,
    ),
    "cancel (rollback)": Operation(
        command="kubernaut cancel NAME --mode rollback",
        patch='{"spec":{"control":{"cancel":{"mode":"rollback","reason":"..."}}}}',
        note=f"{_CANCEL_NOTE} Works whatever the rollback strategy.",
        answers=_ROLL_BACK,
    ),
    "cancel (terminate)": Operation(
        command="kubernaut cancel NAME --mode terminate",
        patch='{"spec":{"control":{"cancel":{"mode":"terminate","reason":"..."}}}}',
        note=_CANCEL_NOTE,
        answers=_TERMINATE,
    ),
    "skip": Operation(
        command='kubernaut skip NAME STEP --reason "..."',
        patch='{"spec":{"control":{"overrides":[{"stepNumber":2,"operation":"skip"}]}}}',
        note="""Here of a step that has not ended. It counts as completed for those that depend on it, whatever becomes
of it afterwards. One that has ended answers `step 2 is completed already`. The list is append only: the patch holds all
that are there already.""",
        answers=_SKIP,
    ),
    "retry": Operation(
        command='kubernaut retry NAME STEP --reason "..."',
        patch='{"spec":{"control":{"overrides":[{"stepNumber":2,"operation":"retry"}]}}}',
        note="""Here of a step that has failed, whatever its retries. One that waits for its retry is tried at once;
any other answers `step 2 is executing; only a failed step can be tried again`. A run that is about to be cancelled,
that has used up its time or that a condition rolls back answers `the run is about to end`. The list is append only: the
patch holds all that are there already.""",
        answers=_RETRY,
    ),
    "rollback": Operation(
        command="kubernaut rollback NAME",
        patch='{"spec":{"control":{"rollback":{"reason":"..."}}}}',
        note="""Given once, and not for a run whose strategy is none, that was rolled back already, or that has
completed no step. One that comes too early stays on the object: if the run fails it is carried out with the next
version of the object, such as the one without our finalizer.""",
        answers=_ROLLBACK,
    ),
    "approve": Operation(
        command="kubernaut approve NAME",
        patch="kubectl annotate wfe NAME workflowexecution.kubernaut.io/approval=approved "
        "workflowexecution.kubernaut.io/approver=YOU",
        note=_APPROVAL_NOTE,
        answers=_APPROVE,
    ),
    "reject": Operation(
        command='kubernaut reject NAME --reason "..."',
        patch="kubectl annotate wfe NAME workflowexecution.kubernaut.io/approval=rejected "
        "workflowexecution.kubernaut.io/approver=YOU",
        note=_APPROVAL_NOTE,
        answers=_REJECT,
    ),
    "delete the object": Operation(
        command="",
        patch="kubectl delete wfe NAME",
        note="Never refused by us. Our finalizer comes off as soon as the end of the run is in the log.",
        answers=_DELETE,
    ),
}
