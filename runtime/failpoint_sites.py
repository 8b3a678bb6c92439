"""Every effect of every service, as data: where a failpoint can be, and how one is named. Pure.

A site is `<service>.<effect>.<before|after>`. An effect that is not in the table must not exist:
`tests/failpoints` fails when a service does one that is not here, and when one is here that no service does.
"""

from __future__ import annotations

from typing import Final

from schemas.subjects import QUEUE

MOMENTS: Final = ("before", "after")

EFFECTS: Final[dict[str, dict[str, str]]] = {
    "watcher": {
        "publish.change.workflow": "a WorkflowExecution gets onto the log",
        "publish.change.status": "a status gets onto the log",
        "publish.change.execution": "a KubernetesExecution gets onto the log",
        "publish.watch": "the watcher's own story gets onto the log",
    },
    "scheduler": {
        "publish.decision": "a decision of a run gets onto the log",
        "publish.decision.queue": "a decision of the queue of runs gets onto the log",
        "publish.event": "a public event gets into its stream",
        "publish.timer.schedule": "a wake-up is armed",
        "publish.timer.due": "the sweep sends a wake-up that was lost",
        "publish.deadletter": "a message that cannot be read is copied to the dead letters",
        "ack.scheduler": "what led to a decision is acknowledged",
        "ack.timers": "a wake-up is acknowledged",
        "ack.announcer": "a decision that was announced is acknowledged",
        "term.scheduler": "a buried message is ended for the scheduler",
        "term.announcer": "a buried message is ended for the announcer",
    },
    "executor_bridge": {
        "create.kubernetesexecutions": "an execution is created",
        "create.events": "a Kubernetes Event is created",
        "replace_status.workflowexecutions": "the status of a workflow is written",
        "patch.workflowexecutions": "a workflow is held by the finalizer, or let go",
        "patch.kubernetesexecutions": "an execution is held by the finalizer, or let go",
        "delete.kubernetesexecutions": "an execution is deleted",
        "delete.workflowexecutions": "a workflow is deleted after its ttl",
        "publish.outcome": "the outcome of a check, or a refusal, gets onto the log",
        "publish.deadletter": "a message that cannot be read is copied to the dead letters",
        "ack.bridge": "a decision that was carried out is acknowledged",
        "term.bridge": "a buried message is ended for the bridge",
    },
    "auditor": {
        "commit.messages": "a batch of messages is committed to PostgreSQL",
        "commit.quarantine": "a message that PostgreSQL refuses is committed to the quarantine",
        "commit.seal": "a seal over a range of the audit is committed",
        "publish.audit": "the same seal gets onto the log",
        "put.learned": "what the finished steps show gets into its bucket",
        "ack.auditor": "a message of a committed batch is acknowledged",
    },
}
"""Service to effect to what it is, for people. Giving a message back is none: it changes nothing that outlives it."""

_REVIEWS: Final = ("selfsubjectaccessreviews", "subjectaccessreviews", "tokenreviews")
"""Questions that the API has as creations: nothing is made by them."""


def sites(service: str) -> list[str]:
    """Every site of a service."""
    return [f"{service}.{effect}.{moment}" for effect in EFFECTS.get(service, {}) for moment in MOMENTS]


def effect_of_publish(subject: str) -> str:
    """Name the effect of a publish by its subject, uids, namespaces and keys left out."""
    first, *tokens = subject.split(".")
    if first == "$KV":
        return f"put.{tokens[0].removeprefix('KUBERNAUT_').lower()}"
    if tokens[0] in ("change", "timer"):
        return f"publish.{tokens[0]}.{tokens[1]}"
    if tokens[:2] == ["decision", QUEUE]:
        return "publish.decision.queue"
    return f"publish.{tokens[0]}"


def effect_of_call(verb: str, path: str) -> str:
    """Name the effect of a call of the Kubernetes API; empty for a call that changes nothing."""
    if verb in ("get", "list", "watch", "version"):
        return ""
    parts = path.removesuffix("/status").split("/")
    plural = parts[-1] if verb == "create" else parts[-2]
    return "" if plural in _REVIEWS else f"{verb}.{plural}"
