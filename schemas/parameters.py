"""The parameters of each action, as types. The string under a field documents it; `description` says what it must be.

Any field may instead hold text with `{{ expression }}`, which is checked once it is rendered: see schemas.actions.
Must hold no rule that spans fields: those are in schemas.actions.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from schemas import durations, fields, quantities

MOST_REPLICAS = 2_147_483_647
"""Kubernetes counts replicas in 32 bits."""

_NAME = "a Kubernetes name: lower case letters, digits, - and ., at most 253 characters"
_NAMESPACE = "a namespace: lower case letters, digits and -, at most 63 characters"
_QUANTITY = "a quantity above 0, such as 512Mi, 2Gi, 250m or 2"

Name = Annotated[fields.Name, Meta(description=_NAME)]
Namespace = Annotated[fields.Namespace, Meta(description=_NAMESPACE)]
Replicas = Annotated[int, Meta(ge=0, le=MOST_REPLICAS)]
# Kubernetes takes a bare number for a quantity, and people write `cpu: 2`.
Quantity = Annotated[
    Annotated[str, Meta(pattern=quantities.PATTERN, max_length=quantities.LONGEST_CHARACTERS)]
    | Annotated[int, Meta(ge=1)]
    | Annotated[float, Meta(gt=0)],
    Meta(description=_QUANTITY),
]
GracePeriod = Annotated[
    Annotated[str, Meta(pattern=durations.PATTERN, max_length=durations.LONGEST_CHARACTERS)]
    | Annotated[int, Meta(ge=0, le=86_400)],
    Meta(description="a duration such as 90s or 5m, or whole seconds"),
]
Effect = Literal["NoSchedule", "PreferNoSchedule", "NoExecute"]
TaintKey = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=317,
        pattern=r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$",
        description="a label key, such as dedicated or example.com/dedicated",
    ),
]
TaintValue = Annotated[
    str,
    Meta(
        max_length=63,
        pattern=r"^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$",
        description="a label value: letters, digits, -, _ and ., at most 63 characters",
    ),
]
Text = Annotated[str, Meta(min_length=1, max_length=1024, description="text of 1 to 1024 characters")]
Message = Annotated[str, Meta(min_length=1, max_length=4096, description="text of 1 to 4096 characters")]
Target = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=253,
        pattern=r"^[A-Za-z0-9]([-A-Za-z0-9_./:]*[A-Za-z0-9])?$",
        description="what is meant, such as checkout or deployment/checkout: letters, digits, -, _, ., / and :",
    ),
]
# That `..` leads nowhere is a rule of schemas.actions: as a pattern it could not be read.
Path = Annotated[
    str,
    Meta(min_length=1, max_length=1024, pattern=r"^/", description="an absolute path, such as /var/log/app"),
]
Rules = Annotated[
    list[dict[str, Any]] | dict[str, Any], Meta(description="an object, or a list of objects, as in a NetworkPolicy")
]


class Parameters(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """Base of the parameters of all actions. Names that are not in the type are errors of the user's."""


class InNamespace(Parameters, frozen=True, kw_only=True):
    """Actions on something in a namespace."""

    namespace: Namespace
    """Namespace of the target."""


class OnDeployment(InNamespace, frozen=True, kw_only=True):
    """A deployment and its namespace."""

    deployment: Name
    """Name of the deployment."""


class OnPod(InNamespace, frozen=True, kw_only=True):
    """A pod and its namespace."""

    pod: Name
    """Name of the pod."""


class OnNode(Parameters, frozen=True, kw_only=True):
    """A node."""

    node: Name
    """Name of the node."""


class ScaleDeployment(OnDeployment, frozen=True, kw_only=True):
    """scale_deployment."""

    replicas: Replicas
    """Replicas that the deployment shall have."""


class IncreaseResources(OnDeployment, frozen=True, kw_only=True):
    """increase_resources. At least one of memory and cpu."""

    memory: Quantity | UnsetType = UNSET
    """Memory that each container shall have."""
    cpu: Quantity | UnsetType = UNSET
    """CPU that each container shall have."""


class RollbackDeployment(OnDeployment, frozen=True, kw_only=True):
    """rollback_deployment."""

    revision: Annotated[int, Meta(ge=0)] | UnsetType = UNSET
    """Revision to go back to. Left out or 0: the one before."""


class ExpandPvc(InNamespace, frozen=True, kw_only=True):
    """expand_pvc."""

    pvc: Name
    """Name of the PersistentVolumeClaim."""
    size: Quantity
    """Size that it shall have."""


class DrainNode(OnNode, frozen=True, kw_only=True):
    """drain_node."""

    grace_period: GracePeriod | UnsetType = UNSET
    """Time that pods have to end. Left out: each pod's own."""


class TaintNode(OnNode, frozen=True, kw_only=True):
    """taint_node."""

    key: TaintKey
    """Key of the taint."""
    effect: Effect
    """What the taint does to pods."""
    value: TaintValue | UnsetType = UNSET
    """Value of the taint."""


class UntaintNode(OnNode, frozen=True, kw_only=True):
    """untaint_node."""

    key: TaintKey
    """Key of the taint."""
    effect: Effect | UnsetType = UNSET
    """Effect of the taint to take away. Left out: all with that key."""


class CleanupStorage(InNamespace, frozen=True, kw_only=True):
    """cleanup_storage."""

    path: Path
    """Directory that is cleaned up."""


class BackupData(InNamespace, frozen=True, kw_only=True):
    """backup_data."""

    resource: Target
    """What is backed up."""
    destination: Text
    """Where the backup goes."""


class CompactStorage(InNamespace, frozen=True, kw_only=True):
    """compact_storage."""

    volume: Target
    """Volume that is compacted."""


class UpdateHpa(InNamespace, frozen=True, kw_only=True):
    """update_hpa. minReplicas must not be more than maxReplicas."""

    hpa: Name
    """Name of the HorizontalPodAutoscaler."""
    min_replicas: Replicas
    """Fewest replicas."""
    max_replicas: Annotated[int, Meta(ge=1, le=MOST_REPLICAS)]
    """Most replicas."""


class RestartDaemonset(InNamespace, frozen=True, kw_only=True):
    """restart_daemonset."""

    daemonset: Name
    """Name of the DaemonSet."""


class ScaleStatefulset(InNamespace, frozen=True, kw_only=True):
    """scale_statefulset."""

    statefulset: Name
    """Name of the StatefulSet."""
    replicas: Replicas
    """Replicas that it shall have."""


class RotateSecrets(InNamespace, frozen=True, kw_only=True):
    """rotate_secrets."""

    secret: Name
    """Name of the Secret; never its content."""


class AuditLogs(InNamespace, frozen=True, kw_only=True):
    """audit_logs."""

    time_range: Text
    """What time the logs are from: a duration back from now such as 24h, or two RFC 3339 times with / between."""


class UpdateNetworkPolicy(InNamespace, frozen=True, kw_only=True):
    """update_network_policy."""

    networkpolicy: Name
    """Name of the NetworkPolicy."""
    rules: Rules
    """Rules that it shall have."""


class RestartNetwork(InNamespace, frozen=True, kw_only=True):
    """restart_network."""

    component: Target
    """Component that is restarted."""


class OnDatabase(InNamespace, frozen=True, kw_only=True):
    """failover_database, repair_database."""

    database: Target
    """The database."""


class CollectDiagnostics(InNamespace, frozen=True, kw_only=True):
    """collect_diagnostics."""

    resource: Target
    """What is looked at."""


class OptimizeResources(InNamespace, frozen=True, kw_only=True):
    """optimize_resources."""

    resource_type: Target
    """Kind of resource that is optimized, such as deployment."""


class MigrateWorkload(InNamespace, frozen=True, kw_only=True):
    """migrate_workload."""

    workload: Target
    """What is moved."""
    target_node: Name
    """Node that it moves to."""


class NotifyOnly(Parameters, frozen=True, kw_only=True):
    """notify_only."""

    message: Message
    """What people are told."""


class Custom(Parameters, frozen=True, kw_only=True):
    """custom."""

    action_type: Target
    """What the executor calls the action."""
    config: dict[str, str]
    """Settings of the action."""
