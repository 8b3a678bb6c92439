"""Every message on the log: what its body holds. Facts are in the past tense, commands in the imperative.

The type of a message is its CloudEvents type (`TYPES`); a type that is not known here is an error for the reader, never
skipped in silence. All times are broker or API times in milliseconds since 1970, never a service's own clock.

Long because it is a table: one place shows everything that the log may hold.
"""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec

from schemas.execution import Purpose
from schemas.queue_state import QueueState
from schemas.run_state import LearnedAction, RunState


class Body(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """Base of the bodies of messages. Unknown fields of a newer minor version are ignored."""


class WorkflowChanged(Body, frozen=True, kw_only=True):
    """A WorkflowExecution of which anything but the status changed, redacted, without managedFields."""

    resource_version: str
    deleted: bool = False
    """A tombstone: the object is gone; `object` is its last known version."""
    synthesized: bool = False
    """The deletion was found by a list, not seen in a watch."""
    oversized: int = 0
    """Size in bytes of an object too large for the log; `object` then holds its metadata only. 0: it is whole."""
    object: msgspec.Raw
    """The object as JSON."""


class StatusChanged(Body, frozen=True, kw_only=True):
    """Only the status of a WorkflowExecution changed; the decision of that sequence holds the rest."""

    resource_version: str
    phase: str = ""
    sequence: int = 0


class ExecutionChanged(Body, frozen=True, kw_only=True):
    """A version of a KubernetesExecution, whole, redacted, without managedFields."""

    resource_version: str
    deleted: bool = False
    synthesized: bool = False
    oversized: int = 0
    object: msgspec.Raw


class WatchTold(Body, frozen=True, kw_only=True):
    """The watcher's own story: what it saw, and from when to when it was blind."""

    resource: str
    what: Literal["started", "resumed", "relisted", "gap"]
    shard: str = "0/1"
    from_version: str = ""
    """resourceVersion from which it watches, or the last one before the gap."""
    to_version: str = ""
    """resourceVersion of the list that closed the gap."""
    blind_from: int = 0
    blind_to: int = 0
    published: int = 0
    """Changes that the list brought."""
    tombstones: int = 0
    """Deletions that nobody had seen."""
    reason: str = ""


class WorkflowRef(Body, frozen=True, kw_only=True):
    """The workflow that a message is about."""

    namespace: str
    name: str
    uid: str


class Cause(msgspec.Struct, frozen=True, array_like=True):
    """A message that a decision was made of, in the order in which it was taken in."""

    id: str
    sequence: int
    type: str


class Transition(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, rename="camel"):
    """One step from one state to the next; each with a `what` becomes one public event of that name."""

    entity: Literal["workflow", "step"]
    what: str
    """Empty for a change that no public event tells, such as the beginning of a rollback."""
    before: str
    after: str
    step: int = 0
    attempt: int = 0
    action: str = ""
    reason: str = ""
    """One word for programs; names the rule that fired."""
    message: str = ""


class CreateExecution(Body, frozen=True, kw_only=True, tag_field="kind", tag="create_execution"):
    """Create the KubernetesExecution of one attempt of a ready step."""

    name: str
    step: int
    attempt: int
    purpose: Purpose = "execute"
    action: str
    parameters: dict[str, Any] = {}
    """As in the log: what redaction took out, the bridge fills in again from the object itself."""
    target_cluster: str = ""
    timeout: str
    idempotency_key: str
    hold: bool = False
    """Keep the object by a finalizer until its end is in the log: the action must not be done twice."""
    approved: bool = False
    """Whether the run was approved by a person."""
    rendered: bool = False
    """A `{{ }}` in the step's parameters was replaced: where redaction took something out, the bridge refuses the
    command, because the object does not hold the value."""
    derived: bool = False
    """The parameters are no word of the user's but were derived from what the executor reported."""


class DeleteExecution(Body, frozen=True, kw_only=True, tag_field="kind", tag="delete_execution"):
    """Delete an execution whose creation was observed."""

    name: str
    uid: str
    step: int
    hold: bool = False
    """Whether it carries our finalizer, which must be taken off too."""
    purpose: Purpose = "execute"


class ReleaseExecution(Body, frozen=True, kw_only=True, tag_field="kind", tag="release_execution"):
    """Take our finalizer off an execution: its end is in the log."""

    name: str
    uid: str
    step: int


class HoldWorkflow(Body, frozen=True, kw_only=True, tag_field="kind", tag="hold_workflow"):
    """Put our finalizer on the workflow, so that its end is recorded before it goes."""


class ReleaseWorkflow(Body, frozen=True, kw_only=True, tag_field="kind", tag="release_workflow"):
    """Take our finalizer off the workflow: its end is in the log."""


CheckType = Literal["rbac", "capacity", "health", "network", "monitor", "audit"]


class CheckTarget(Body, frozen=True, kw_only=True):
    """What a check looks at: what a step is about to do, or a thing that a step has changed."""

    step: int = 0
    action: str = ""
    parameters: dict[str, Any] = {}
    """As in the log; what is redacted in them is no name of a thing."""
    target_cluster: str = ""
    resource: str = ""
    """Only for `monitor`: `Kind/namespace/name`, without a namespace `Kind//name`."""


class RunCheck(Body, frozen=True, kw_only=True, tag_field="kind", tag="run_check"):
    """Look at the cluster (or, for `audit`, whether the audit holds this message) and tell what was found."""

    check: str
    """Its id in the run: `check-<n>`, `monitor-<n>`, `audit-<n>`."""
    type: CheckType
    targets: tuple[CheckTarget, ...] = ()


class DeleteWorkflow(Body, frozen=True, kw_only=True, tag_field="kind", tag="delete_workflow"):
    """Delete the finished workflow, by its uid: its time to live is over and the audit holds everything."""


Command = (
    CreateExecution | DeleteExecution | ReleaseExecution | HoldWorkflow | ReleaseWorkflow | RunCheck | DeleteWorkflow
)


class Refusal(Body, frozen=True, kw_only=True):
    """A request of a person that is not carried out, and why."""

    operation: str
    message: str


class Decision(Body, frozen=True, kw_only=True):
    """Version `version` of a run: why, what changed, what is to be done, and the whole state after it.

    Commands are known by `<uid>/<version>/<index>`. The next decision expects this one's sequence.
    """

    workflow: WorkflowRef
    correlation_id: str
    version: int
    """1, 2, 3 ... without a gap."""
    now: int
    """Largest broker time of the causes so far: the time that the decision knows, in ms."""
    causes: tuple[Cause, ...]
    transitions: tuple[Transition, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    commands: tuple[Command, ...] = ()
    state: RunState


class CommandRefused(Body, frozen=True, kw_only=True):
    """A command that the cluster will never accept: what it was and what the cluster said."""

    workflow: WorkflowRef
    command_id: str
    """`<workflow uid>/<decision version>/<index>`."""
    command: str
    step: int = 0
    attempt: int = 0
    purpose: Purpose = "execute"
    uid: str = ""
    """Of a delete: the execution that it was about."""
    reason: str
    """In one word: name_conflict, forbidden, invalid, gone."""
    message: str = ""


class CheckFinding(Body, frozen=True, kw_only=True):
    """What one target of a check was found to be."""

    subject: str
    """What was looked at, such as `Deployment/shop/checkout`."""
    state: Literal["passed", "failed", "unknown"]
    """unknown: it cannot be judged (no such kind here, or no right to read it)."""
    message: str = ""


class CheckReported(Body, frozen=True, kw_only=True):
    """What a check found."""

    workflow: WorkflowRef
    command_id: str
    check: str
    type: CheckType
    passed: bool
    message: str = ""
    """One sentence: what is wrong and what to do about it; empty when it passed and there is nothing to say."""
    findings: tuple[CheckFinding, ...] = ()
    inputs: dict[str, str] = {}
    """What the verdict was made of, such as quota, use and request, as text."""


class TimerDue(Body, frozen=True, kw_only=True):
    """Something of a run may be due: the scheduler looks at its timers. Never a reason by itself."""

    workflow_uid: str
    due_at: int
    """When, in ms since 1970."""


class QueueDecided(Body, frozen=True, kw_only=True):
    """Version `version` of the queue: which runs may run, and the whole state after it."""

    version: int
    now: int
    causes: tuple[Cause, ...]
    """Messages of the runs that asked for a place or gave theirs back."""
    admitted: tuple[str, ...] = ()
    """Uids of the workflows that got a place by this decision."""
    left: tuple[str, ...] = ()
    """Uids of those that gave their place back, or do not wait any more."""
    state: QueueState


class Learned(Body, frozen=True, kw_only=True):
    """What the audit shows of each action: the value of the key `actions` in the bucket KUBERNAUT_LEARNED."""

    until: int
    """Broker time of the newest step that it is made of, in ms."""
    actions: dict[str, LearnedAction]


class AlertFired(Body, frozen=True, kw_only=True):
    """A signal from outside: an alert fired for a workflow that is being monitored."""

    workflow: WorkflowRef
    alert: str
    message: str = ""


class ShadowDiverged(Body, frozen=True, kw_only=True):
    """A shadow scheduler would have decided otherwise than the one that acts. For eyes only."""

    workflow: WorkflowRef
    version: int
    """Of the decision that it was tried on."""
    sequence: int
    """Where that is in the log."""
    kinds: tuple[str, ...]
    """What differs: decision, command, rule, refusal, state; error when deciding raised."""
    differences: tuple[str, ...]
    """In words, the gravest first: `+ …` would be new, `- …` would be missing, `~ …` would be otherwise."""


class DeadLettered(Body, frozen=True, kw_only=True):
    """A message that a consumer cannot handle, whole, with the reason."""

    consumer: str
    stream: str
    sequence: int
    subject: str
    headers: dict[str, str] = {}
    data: bytes
    error: str
    """What is wrong with it, for the person who mends it."""
    left_out: int = 0
    """Bytes of a body that does not fit beside the rest; it stays where the message is. 0: `data` is all of it."""


class RedriveAsked(Body, frozen=True, kw_only=True):
    """Somebody wants one consumer to handle the message of a dead letter once more; it reads it from where it is."""

    consumer: str
    letter: str
    """Id of the dead letter."""
    letter_sequence: int
    """Where that is in the log."""
    subject: str
    """Of the message that could not be handled."""
    by: str
    """The user as his machine knows him: NATS knows no persons."""
    reason: str


class AuditSealed(Body, frozen=True, kw_only=True):
    """A range of the log that the audit holds whole, under a digest that hangs on the one of the range before."""

    number: int
    """Counts from 1, without holes."""
    stream: str
    from_sequence: int
    """Follows the `to_sequence` of the range before."""
    to_sequence: int
    messages: int
    """Fewer than sequences where the log had lost some before the audit had them."""
    leaves: str
    """SHA-256, in hexadecimal, over one digest of 32 bytes for each sequence of the range."""
    previous: str
    """Digest of the range before; empty for the first."""
    digest: str
    """SHA-256, in hexadecimal, over all of the above."""


class EffectsFrozen(Body, frozen=True, kw_only=True):
    """Somebody stopped all new effects in the cluster."""

    by: str
    """The user as his machine knows him: NATS knows no persons."""
    reason: str = ""
    until: int = 0
    """0: until it is thawed."""


class EffectsThawed(Body, frozen=True, kw_only=True):
    """Somebody let effects in the cluster go on."""

    by: str
    frozen_by: str = ""
    waiting: int = 0
    """Decisions that had not been carried out by then."""


class LossAccepted(Body, frozen=True, kw_only=True):
    """Somebody let the system go on without what the log lost. Comes first in the log that was made anew."""

    by: str
    """The user as his machine knows him: NATS knows no persons."""
    reason: str
    """What showed that something was lost."""
    lost_after: int
    """Newest sequence that the audit held: what came after it is gone."""
    lost_before: int
    """Sequence at which the new log begins."""


class StepRef(Body, frozen=True, kw_only=True):
    """The step that a public event is about."""

    number: int
    """As in the workflow's definition."""
    attempt: int = 0
    """Counts from 1; the second is the first retry."""
    action: str = ""


class PublicEvent(Body, frozen=True, kw_only=True):
    """Data of a public event: one transition of a workflow or of a step."""

    workflow: WorkflowRef
    step: StepRef | None = None
    """Only in the events of steps."""
    before: str
    """Phase of the workflow, or state of the step, before; empty when there was none. It may equal `after`."""
    after: str
    """Phase or state after it."""
    reason: str = ""
    """One word for programs; names the rule that fired."""
    message: str = ""
    """One sentence for people."""
    sequence: int
    """Version of the decision that the event was made of."""
    time: int
    """When it was decided, in ms since 1970."""


TYPES: Final[dict[str, type[msgspec.Struct]]] = {
    "io.kubernaut.log.workflow-changed.v1": WorkflowChanged,
    "io.kubernaut.log.status-changed.v1": StatusChanged,
    "io.kubernaut.log.execution-changed.v1": ExecutionChanged,
    "io.kubernaut.log.watch-told.v1": WatchTold,
    "io.kubernaut.log.decision.v1": Decision,
    "io.kubernaut.log.command-refused.v1": CommandRefused,
    "io.kubernaut.log.check-reported.v1": CheckReported,
    "io.kubernaut.log.timer-due.v1": TimerDue,
    "io.kubernaut.log.queue-decision.v1": QueueDecided,
    "io.kubernaut.log.learned.v1": Learned,
    "io.kubernaut.log.alert-fired.v1": AlertFired,
    "io.kubernaut.log.shadow-diverged.v1": ShadowDiverged,
    "io.kubernaut.log.dead-lettered.v1": DeadLettered,
    "io.kubernaut.log.redrive-asked.v1": RedriveAsked,
    "io.kubernaut.log.audit-sealed.v1": AuditSealed,
    "io.kubernaut.log.effects-frozen.v1": EffectsFrozen,
    "io.kubernaut.log.loss-accepted.v1": LossAccepted,
    "io.kubernaut.log.effects-thawed.v1": EffectsThawed,
}
TYPE_OF: Final[dict[type[msgspec.Struct], str]] = {body: name for name, body in TYPES.items()}

WORKFLOW_EVENTS: Final = (
    "planned",
    "validated",
    "approved",
    "rejected",
    "started",
    "paused",
    "resumed",
    "completed",
    "failed",
    "cancelled",
    "rolled_back",
    "deleted",
)
STEP_EVENTS: Final = ("ready", "started", "completed", "failed", "retrying", "skipped", "cancelled", "rolled_back")


def public_type(entity: str, what: str) -> str:
    """CloudEvents type of a public event, such as `io.kubernaut.step.completed.v1`."""
    return f"io.kubernaut.{entity}.{what}.v1"


_DECODERS: Final = {name: msgspec.json.Decoder(body) for name, body in TYPES.items()}
_ENCODER: Final = msgspec.json.Encoder(order="deterministic")


class UnknownTypeError(ValueError):
    """The message is of a type that this version does not know."""


def decode(kind: str, data: bytes) -> msgspec.Struct:
    """Return the body of a message of the CloudEvents type `kind`.

    Raises UnknownTypeError for a type that is not in `TYPES`, msgspec.DecodeError or msgspec.ValidationError (which
    names the field) for a body that is none.
    """
    decoder = _DECODERS.get(kind)
    if decoder is None:
        message = f"no message type {kind!r} is known; a newer version of kubernaut-workflow may have written it"
        raise UnknownTypeError(message)
    try:
        body: msgspec.Struct = decoder.decode(data)
    except RecursionError as error:
        raise msgspec.DecodeError("nested deeper than any message is") from error
    return body


def encode(body: msgspec.Struct) -> bytes:
    """Return the canonical JSON of a body: the same value gives the same bytes in any process."""
    return _ENCODER.encode(body)
