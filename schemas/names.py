"""Names that outlive a process: API groups, labels, and the deterministic names and keys of what is created.

Must never read a clock or draw a random number: the same cause has the same name in any process, on any day.
"""

from __future__ import annotations

import hashlib
from typing import Final

WORKFLOW_GROUP: Final = "workflowexecution.kubernaut.io"
WORKFLOW_KIND: Final = "WorkflowExecution"
WORKFLOW_PLURAL: Final = "workflowexecutions"
EXECUTION_GROUP: Final = "kubernetesexecution.kubernaut.io"
EXECUTION_KIND: Final = "KubernetesExecution"
EXECUTION_PLURAL: Final = "kubernetesexecutions"
VERSION: Final = "v1"
WORKFLOW_API: Final = f"{WORKFLOW_GROUP}/{VERSION}"
EXECUTION_API: Final = f"{EXECUTION_GROUP}/{VERSION}"
"""apiVersion of each kind of object."""

FINALIZER: Final = f"{WORKFLOW_GROUP}/recorded"
"""On a workflow, and on executions whose action is not idempotent, until the log holds how they ended."""

LABEL_WORKFLOW: Final = f"{WORKFLOW_GROUP}/workflow-uid"
LABEL_STEP: Final = f"{WORKFLOW_GROUP}/step"
ANNOTATION_APPROVAL: Final = f"{WORKFLOW_GROUP}/approval"
ANNOTATION_APPROVER: Final = f"{WORKFLOW_GROUP}/approver"
ANNOTATION_APPROVAL_REASON: Final = f"{WORKFLOW_GROUP}/approval-reason"
ANNOTATION_APPROVED_PLAN: Final = f"{WORKFLOW_GROUP}/approved-plan"
"""Digest of the plan that is approved, as status.executionPlan.digest shows it."""
ANNOTATION_RERUN_OF: Final = f"{WORKFLOW_GROUP}/rerun-of"
"""Uid of the run that this one runs again."""
ANNOTATION_RERUN_FROM: Final = f"{WORKFLOW_GROUP}/rerun-from"
"""Number of the step from which it is run again."""
ANNOTATION_CREATED_BY: Final = f"{WORKFLOW_GROUP}/created-by"
"""Who created it, as the API server knows them: checked by the admission policies (docs/admission.md)."""
ANNOTATION_FOUR_EYES: Final = f"{WORKFLOW_GROUP}/four-eyes"
"""On a namespace, of anything but false: nobody decides on a plan of a workflow of their own."""
ANNOTATION_APPROVAL_REQUIRED: Final = f"{WORKFLOW_GROUP}/approval-required"
"""On a namespace, of anything but false: it takes only workflows that ask for an approval."""
ANNOTATION_ALLOWED_ACTIONS: Final = f"{WORKFLOW_GROUP}/allowed-actions"
"""On a namespace: the actions that it takes, separated by commas; without it all."""
REQUEST_GROUP: Final = "remediation.kubernaut.io"
REQUEST_KIND: Final = "RemediationRequest"
ANNOTATION_TRACEPARENT: Final = f"{WORKFLOW_GROUP}/traceparent"

NAME_LIMIT: Final = 253
"""Longest name of a Kubernetes object, in characters (RFC 1123 subdomain)."""

_SUFFIXES: Final = {"execute": "", "dry_run": "-dryrun", "rollback": "-rollback"}


def digest(*parts: str, characters: int = 32) -> str:
    """Return a short, stable hexadecimal digest of the parts (at most 64 characters).

    The parts are joined by NUL, which no Kubernetes name can hold, so that two lists never share a digest by chance
    of concatenation.
    """
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:characters]


def execution_name(workflow: str, step: int, attempt: int, purpose: str = "execute") -> str:
    """Name the KubernetesExecution of one attempt: `<workflow>-step-<n>`, `-retry-<k>`, `-dryrun` or `-rollback`.

    `attempt` counts from 1; attempt k + 1 is the k-th retry. A name past `NAME_LIMIT` is cut and closed with a hash
    of the whole, so that it stays unique and a valid name.
    """
    retry = f"-retry-{attempt - 1}" if attempt > 1 else ""
    name = f"{workflow}-step-{step}{_SUFFIXES[purpose]}{retry}"
    if len(name) <= NAME_LIMIT:
        return name
    return f"{name[: NAME_LIMIT - 11].rstrip('.-')}-{digest(name, characters=10)}"


def idempotency_key(workflow_uid: str, step: int, attempt: int, purpose: str = "execute") -> str:
    """Key of one attempt of one step: the same for every repeat of the same command, different for any other."""
    return digest("execution", workflow_uid, str(step), str(attempt), purpose)
