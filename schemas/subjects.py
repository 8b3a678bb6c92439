"""Every subject, stream and consumer of the product, as data. Nobody spells a subject anywhere else.

Tokens are namespaces and uids, never object names, because names may hold dots.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

WORKFLOW_CHANGES: Final = "kubernaut.change.workflow.>"
STATUS_CHANGES: Final = "kubernaut.change.status.>"
EXECUTION_CHANGES: Final = "kubernaut.change.execution.>"
WATCH_STORY: Final = "kubernaut.watch.>"
DECISIONS: Final = "kubernaut.decision.>"
OUTCOMES: Final = "kubernaut.outcome.>"
SIGNALS: Final = "kubernaut.signal.>"
SHADOW_STORY: Final = "kubernaut.shadow.>"
DEAD_LETTERS: Final = "kubernaut.deadletter.>"
REDRIVES: Final = "kubernaut.redrive.>"
"""What people ask a consumer to handle once more."""
CHECKPOINTS: Final = "kubernaut.audit.checkpoint"
"""Seals of the audit: what the log itself says of the audit, in a second place."""
OPERATIONS: Final = "kubernaut.operation.>"
FREEZES: Final = "kubernaut.operation.freeze"
RECOVERIES: Final = "kubernaut.operation.recover"
"""Freezes and thaws of all effects, by the person who asked for them. Nobody acts on it."""
EVENTS: Final = "kubernaut.event.>"
TIMERS: Final = "kubernaut.timer.>"
TIMERS_DUE: Final = "kubernaut.timer.due.>"
QUEUE: Final = "queue"
"""Token of the queue of runs where a workflow's uid stands for the others."""
LEARNED: Final = "$KV.KUBERNAUT_LEARNED.actions"
"""Key of what the audit shows of each action."""


def workflow_change(namespace: str, uid: str) -> str:
    """Subject of a WorkflowExecution of which anything but the status changed."""
    return f"kubernaut.change.workflow.{namespace}.{uid}"


def status_change(namespace: str, uid: str) -> str:
    """Subject of a WorkflowExecution of which only the status changed."""
    return f"kubernaut.change.status.{namespace}.{uid}"


def any_workflow_change(namespace: str, uid: str) -> str:
    """Filter over both subjects of one WorkflowExecution, so that one expected sequence orders the two."""
    return f"kubernaut.change.*.{namespace}.{uid}"


def execution_change(namespace: str, workflow_uid: str, execution_uid: str) -> str:
    """Subject of a version of a KubernetesExecution."""
    return f"kubernaut.change.execution.{namespace}.{workflow_uid}.{execution_uid}"


def watch_story(resource: str) -> str:
    """Subject of the watcher's own story about one resource (its plural)."""
    return f"kubernaut.watch.{resource}"


def decision(workflow_uid: str) -> str:
    """Subject of the chain of decisions of one workflow."""
    return f"kubernaut.decision.{workflow_uid}"


def timer_schedule(workflow_uid: str, due_at: int) -> str:
    """Subject of a wake-up of one workflow that is not due yet. `due_at`: ms since 1970."""
    return f"kubernaut.timer.schedule.{workflow_uid}.{due_at}"


def timer_due(workflow_uid: str, due_at: int) -> str:
    """Subject of the same wake-up when it is due."""
    return f"kubernaut.timer.due.{workflow_uid}.{due_at}"


def outcome(workflow_uid: str) -> str:
    """Subject of what came of a command that the cluster does not show by itself."""
    return f"kubernaut.outcome.{workflow_uid}"


def events_of(namespace: str, workflow_uid: str) -> str:
    """Filter over all public events of one workflow, so that one expected sequence orders them."""
    return f"kubernaut.event.{namespace}.{workflow_uid}.>"


def divergence(workflow_uid: str) -> str:
    """Subject of what a shadow scheduler would have decided otherwise about one workflow. Nobody acts on it."""
    return f"kubernaut.shadow.divergence.{workflow_uid}"


def dead_letter(consumer: str) -> str:
    """Subject of the messages that one consumer could not handle."""
    return f"kubernaut.deadletter.{consumer}"


def redrive(consumer: str, letter: str) -> str:
    """Subject of the one message that asks a consumer to handle a dead letter again. `letter`: a digest of its id."""
    return f"kubernaut.redrive.{consumer}.{letter}"


def event(namespace: str, workflow_uid: str, entity: Literal["workflow", "step"], what: str) -> str:
    """Subject of a public event, such as `kubernaut.event.shop.<uid>.step.completed`."""
    return f"kubernaut.event.{namespace}.{workflow_uid}.{entity}.{what}"


class Stream(msgspec.Struct, frozen=True, kw_only=True):
    """What a stream must be. Retention is by limits; storage is on file."""

    name: str
    subjects: tuple[str, ...]
    max_age_days: int
    """How long a message is kept, in days; 0 for ever."""
    deny_delete: bool = True
    deny_purge: bool = True
    """False only where schedules are allowed: the server then turns it off without a word."""
    schedules: bool = False
    duplicate_window_seconds: int = 600
    latest_only: bool = False
    """Only the last message of each subject is kept: a key-value bucket."""


class Consumer(msgspec.Struct, frozen=True, kw_only=True):
    """What a durable pull consumer must be. Acknowledgement is explicit, delivery from the first message."""

    stream: str
    name: str
    filters: tuple[str, ...]
    """Subjects that it reads; empty for all."""
    ack_wait_seconds: int = 10
    max_ack_pending: int = 1000
    """Messages in hand over all replicas; 1 keeps the order through redeliveries."""
    max_deliver: int = -1
    """No limit: after it the server would drop the message from the consumer without a word. We count poison."""


LOG: Final = Stream(
    name="KUBERNAUT",
    subjects=(
        "kubernaut.change.>",
        WATCH_STORY,
        DECISIONS,
        OUTCOMES,
        SIGNALS,
        SHADOW_STORY,
        DEAD_LETTERS,
        REDRIVES,
        CHECKPOINTS,
        OPERATIONS,
    ),
    max_age_days=30,
)
TIMER_STREAM: Final = Stream(
    name="KUBERNAUT_TIMERS", subjects=(TIMERS,), max_age_days=30, deny_delete=False, deny_purge=False, schedules=True
)
EVENT_STREAM: Final = Stream(name="KUBERNAUT_EVENTS", subjects=(EVENTS,), max_age_days=30)
LEARNED_STREAM: Final = Stream(
    name="KV_KUBERNAUT_LEARNED",
    subjects=("$KV.KUBERNAUT_LEARNED.>",),
    max_age_days=0,
    deny_purge=False,
    latest_only=True,
)
STORAGE_STREAM: Final = Stream(
    name="KV_KUBERNAUT_STORAGE",
    subjects=("$KV.KUBERNAUT_STORAGE.>",),
    max_age_days=0,
    deny_purge=False,
    latest_only=True,
)
"""What is remembered of the other streams, to see that one lost something: a key-value bucket."""
STREAMS: Final = (LOG, TIMER_STREAM, EVENT_STREAM, LEARNED_STREAM, STORAGE_STREAM)

SCHEDULER: Final = Consumer(
    stream=LOG.name,
    name="scheduler",
    filters=(
        WORKFLOW_CHANGES,
        EXECUTION_CHANGES,
        OUTCOMES,
        SIGNALS,
        decision(QUEUE),
        redrive("scheduler", "*"),
    ),
)
TIMER_CONSUMER: Final = Consumer(stream=TIMER_STREAM.name, name="timers", filters=(TIMERS_DUE,))
ANNOUNCER: Final = Consumer(stream=LOG.name, name="announcer", filters=(DECISIONS, redrive("announcer", "*")))
BRIDGE: Final = Consumer(stream=LOG.name, name="bridge", filters=(DECISIONS, redrive("bridge", "*")))
AUDITOR: Final = Consumer(stream=LOG.name, name="auditor", filters=(), ack_wait_seconds=30, max_ack_pending=5000)
SUBSCRIBER_ACK_WAIT_SECONDS: Final = 10
"""How long an outside program may work on one public event, without a word, before it is delivered anew."""
SHADOW: Final = Consumer(stream=LOG.name, name="shadow", filters=(DECISIONS,))
"""Of a shadow scheduler; made only where one is wanted (`python -m kubernaut.install --only shadow`)."""
CONSUMERS: Final = (SCHEDULER, TIMER_CONSUMER, ANNOUNCER, BRIDGE, AUDITOR)
