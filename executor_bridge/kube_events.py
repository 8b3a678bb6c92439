"""Kubernetes Events on a workflow, made from a decision: phase changes, words of people, failures and refusals. Pure.

They are for eyes only: nothing reads them back. A chain of phases that one decision runs through is told as one Event,
because each is a write to the API server (about 2 ms of its CPU). A failed attempt that is tried again is not told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

from executor_bridge.times import rfc3339
from executor_bridge.wording import camel
from schemas.messages import Decision, Transition
from schemas.names import WORKFLOW_API, WORKFLOW_KIND, digest

if TYPE_CHECKING:
    from schemas.run_state import SideState

COMPONENT: Final = "kubernaut-workflow"
_MESSAGE_LIMIT: Final = 1024
"""Bytes of UTF-8 that the API server takes in an Event's message."""
_NAME_SHARE: Final = 200
"""Characters of a workflow's name in that of an Event, which may have 253."""
_BAD_PHASES: Final = frozenset({"failed", "rolling_back"})
_WORDS_OF_PEOPLE: Final = ("approved", "rejected", "paused", "resumed")
"""Public events of a run that are told as well, although they leave its phase as it is."""
_BAD_WORDS: Final = frozenset({"rejected"})
_CANCELLING: Final = frozenset({"cancelled", "workflow_deleted"})
"""Reasons of a change within a phase: what is in flight is ended before the run is."""


def events_of(decision: Decision) -> tuple[dict[str, Any], ...]:
    """Return the Events of a decision as core/v1 objects; none once the workflow is gone.

    Names are made of the decision's version and the place in this list, so that a repeat finds its own.
    """
    if decision.state.gone:
        return ()
    told = [
        *_people(decision.transitions),
        *_phases(decision.transitions),
        *_failures(decision.transitions),
        *_rollbacks(decision),
        *_refusals(decision),
    ]
    return tuple(_event(decision, index, *words) for index, words in enumerate(told))


_Kind = Literal["Normal", "Warning"]
_Words = tuple[_Kind, str, str]
"""Type, reason, message."""


def _people(transitions: tuple[Transition, ...]) -> list[_Words]:
    told: list[_Words] = []
    for t in transitions:
        if t.entity != "workflow" or t.before != t.after:
            continue
        if t.what in _WORDS_OF_PEOPLE:
            kind: _Kind = "Warning" if t.what in _BAD_WORDS else "Normal"
            told.append((kind, camel(t.what), t.message or f"The run was {t.what}."))
        elif t.reason in _CANCELLING:
            told.append(("Normal", "Cancelling", t.message or "The run is being cancelled."))
    return told


def _phases(transitions: tuple[Transition, ...]) -> list[_Words]:
    passed = [t for t in transitions if t.entity == "workflow" and t.before != t.after]
    if not passed:
        return []
    last = passed[-1]
    way = " -> ".join([passed[0].before or "new", *(t.after for t in passed)])
    message = f"{last.message} ({way})" if last.message else f"The run went {way}."
    return [("Warning" if last.after in _BAD_PHASES else "Normal", camel(last.after), message)]


def _failures(transitions: tuple[Transition, ...]) -> list[_Words]:
    return [("Warning", "StepFailed", _failure(t)) for t in transitions if t.entity == "step" and t.after == "failed"]


def _failure(t: Transition) -> str:
    what = f"Step {t.step} ({t.action})" if t.action else f"Step {t.step}"
    return f"{what} failed in attempt {t.attempt}: {t.message or t.reason or 'no reason was given'}"


def _rollbacks(decision: Decision) -> list[_Words]:
    """Escalate each rollback that failed by this decision: a person must look, however the run ends."""
    failed = [s for s in decision.state.rollbacks if s.phase == "failed" and s.ended_at == decision.now]
    return [("Warning", "RollbackFailed", _not_undone(side)) for side in failed]


def _not_undone(side: SideState) -> str:
    why = side.error or side.reason or "no reason was given"
    return f"Step {side.number} could not be undone, a person must look: {why}"


def _refusals(decision: Decision) -> list[_Words]:
    # An operation on one step is named with its number: `skip-3`. Reasons are few words, the message tells which step.
    return [("Warning", f"{camel(r.operation.partition('-')[0])}Refused", r.message) for r in decision.refusals]


def _event(decision: Decision, index: int, kind: str, reason: str, message: str) -> dict[str, Any]:
    workflow = decision.workflow
    time = rfc3339(decision.now)
    name = f"{workflow.name[:_NAME_SHARE].rstrip('.-')}.{_id(decision, index)}"
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": name, "namespace": workflow.namespace},
        "involvedObject": {
            "apiVersion": WORKFLOW_API,
            "kind": WORKFLOW_KIND,
            "namespace": workflow.namespace,
            "name": workflow.name,
            "uid": workflow.uid,
        },
        "type": kind,
        "reason": reason,
        "message": _cut(message),
        "source": {"component": COMPONENT},
        "firstTimestamp": time,
        "lastTimestamp": time,
        "count": 1,
    }


def _id(decision: Decision, index: int) -> str:
    return digest("event", decision.workflow.uid, str(decision.version), str(index), characters=16)


def _cut(message: str) -> str:
    if len(message) <= _MESSAGE_LIMIT // 4:  # a character has four bytes at most
        return message
    return message.encode()[:_MESSAGE_LIMIT].decode(errors="ignore")
