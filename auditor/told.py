"""What a body and a subject tell of their workflow, as far as the audit has a column for it. Pure and total."""

from __future__ import annotations

import re
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from schemas import subjects
from schemas.messages import TYPE_OF, Decision, QueueDecided, StatusChanged, WorkflowChanged

_VERSIONED: Final = frozenset({TYPE_OF[Decision], TYPE_OF[QueueDecided]})
_STATUS: Final = TYPE_OF[StatusChanged]
_WORKFLOW: Final = TYPE_OF[WorkflowChanged]
_TOKENS: Final = tuple(
    (pattern.removesuffix(">"), namespace, uid)
    for pattern, namespace, uid in (
        (subjects.WORKFLOW_CHANGES, 0, 1),
        (subjects.STATUS_CHANGES, 0, 1),
        (subjects.EXECUTION_CHANGES, 0, 1),
        (subjects.DECISIONS, None, 0),
        (subjects.OUTCOMES, None, 0),
        (subjects.SIGNALS, None, 0),
        (subjects.SHADOW_STORY, None, 1),
        # Not on the log, but in the dead letters about it.
        (subjects.TIMERS_DUE, None, 0),
    )
)
"""Which tokens after the start of a subject are the namespace and the workflow's uid."""
_QUEUE: Final = subjects.decision(subjects.QUEUE)
"""Where the queue of runs stands for a workflow: it is none."""
_NUL: Final = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")

Natural = Annotated[int, Meta(ge=0, le=2**31 - 1)]
Version = Annotated[int, Meta(ge=0, le=2**63 - 1)]


class Workflow(msgspec.Struct, frozen=True):
    """The one that a message is about; empty where that is not known."""

    namespace: str = ""
    name: str = ""
    uid: str = ""


class _Metadata(msgspec.Struct, frozen=True):
    name: str = ""


class Spec(msgspec.Struct, frozen=True, rename="camel"):
    """Of an execution: the step that it is of."""

    workflow_execution_ref: Workflow | None = None
    step_number: Natural | None = None
    attempt: Natural | None = None
    action: str = ""


class _Phase(msgspec.Struct, frozen=True):
    phase: str = ""


class _Object(msgspec.Struct, frozen=True):
    metadata: _Metadata = _Metadata()
    spec: Spec | None = None
    status: _Phase | None = None


class Told(msgspec.Struct, frozen=True):
    """What the bodies of all types hold, as far as it has a column; everything else is skipped, not decoded."""

    workflow: Workflow | None = None
    object: _Object | None = None
    state: _Phase | None = None
    version: Version | None = None
    sequence: Version | None = None
    phase: str = ""
    step: Natural | None = None
    attempt: Natural | None = None
    subject: str = ""
    """Of a dead letter: the subject of the message that it holds."""


_DECODER: Final = msgspec.json.Decoder(Told)
_NOTHING: Final = Told()
_NO_SPEC: Final = Spec()
_NO_WORKFLOW: Final = Workflow()


def told_in(raw: bytes) -> tuple[Told, bool]:
    """Return what a body tells, and whether it is JSON that jsonb should take."""
    told = _NOTHING
    try:
        told = _DECODER.decode(raw)
    except msgspec.ValidationError:
        # No body of ours; whether the rest of it is JSON is not known yet.
        if not _is_json(raw):
            return _NOTHING, False
    except (msgspec.DecodeError, RecursionError):
        return _NOTHING, False
    # The plain search is far faster than the pattern, and nearly always enough.
    return told, not (b"\\u0000" in raw and _NUL.search(raw))


def _is_json(raw: bytes) -> bool:
    try:
        msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


def workflow_in(subject: str) -> tuple[str, str]:
    """Return the workflow's uid and its namespace as the subject names them; each empty where it does not."""
    if subject == _QUEUE:
        return "", ""
    for prefix, namespace, uid in _TOKENS:
        if subject.startswith(prefix):
            tokens = subject[len(prefix) :].split(".")
            if uid < len(tokens):
                return tokens[uid], tokens[namespace] if namespace is not None else ""
    return "", ""


def workflow_of(told: Told, event_type: str | None) -> Workflow:
    """Return the workflow as the body names it."""
    if told.workflow is not None:
        return told.workflow
    if told.object is None:
        return _NO_WORKFLOW
    if event_type == _WORKFLOW:
        return Workflow(name=told.object.metadata.name)
    return spec_of(told).workflow_execution_ref or _NO_WORKFLOW


def spec_of(told: Told) -> Spec:
    """Return the spec of the object in the body; an empty one where there is none."""
    return (told.object and told.object.spec) or _NO_SPEC


def version_of(told: Told, event_type: str | None) -> int | None:
    """Return the version of the decision that the body is, or that the status in it shows."""
    if event_type in _VERSIONED:
        return told.version
    return told.sequence if event_type == _STATUS else None


def phase_of(told: Told) -> str:
    """Return the phase of the run or execution; empty where the body tells none."""
    if told.state is not None:
        return told.state.phase
    if told.object is not None and told.object.status is not None:
        return told.object.status.phase
    return told.phase
