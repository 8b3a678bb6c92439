"""Which rights an action needs, asked of the API server for the account that carries it out. Pure data and shapes.

spec.md names the account `<action>-sa`; names of ServiceAccounts cannot hold `_`, so each `_` is a `-`:
`scale_deployment` is carried out as `scale-deployment-sa`, in the workflow's namespace. Where the executor chooses the
means (a command in a pod, a Job), the table names the right without which none of them works.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec


class Right(msgspec.Struct, frozen=True):
    """One verb on one kind of thing."""

    verb: str
    group: str
    resource: str
    subresource: str = ""
    wide: bool = False
    """In all namespaces, or of a kind that is in none; else in the namespace of the target."""
    named: bool = True
    """Of the target alone, so that a Role which names it is enough."""

    def __str__(self) -> str:
        """Return it as `kubectl auth can-i` takes it, such as `patch deployments.apps/scale`."""
        of = f"{self.resource}.{self.group}" if self.group else self.resource
        return f"{self.verb} {of}/{self.subresource}" if self.subresource else f"{self.verb} {of}"


_DEPLOYMENT: Final = Right("patch", "apps", "deployments")
_NODE: Final = Right("patch", "", "nodes", wide=True)
_EXEC: Final = Right("create", "", "pods", "exec", named=False)
_LOGS: Final = Right("get", "", "pods", "log", named=False)
_NAMESPACED_DEPLOYMENTS: Final = Right("patch", "apps", "deployments", named=False)

NEEDED: Final[dict[str, tuple[Right, ...]]] = {
    "scale_deployment": (Right("patch", "apps", "deployments", "scale"),),
    "restart_pod": (Right("delete", "", "pods"),),
    "increase_resources": (_DEPLOYMENT,),
    "rollback_deployment": (_DEPLOYMENT, Right("list", "apps", "replicasets", named=False)),
    "expand_pvc": (Right("patch", "", "persistentvolumeclaims"),),
    "drain_node": (
        _NODE,
        Right("list", "", "pods", wide=True, named=False),
        Right("create", "", "pods", "eviction", wide=True, named=False),
    ),
    "cordon_node": (_NODE,),
    "uncordon_node": (_NODE,),
    "taint_node": (_NODE,),
    "untaint_node": (_NODE,),
    "quarantine_pod": (Right("patch", "", "pods"),),
    "cleanup_storage": (_EXEC,),
    "backup_data": (Right("create", "batch", "jobs", named=False),),
    "compact_storage": (_EXEC,),
    "update_hpa": (Right("patch", "autoscaling", "horizontalpodautoscalers"),),
    "restart_daemonset": (Right("patch", "apps", "daemonsets"),),
    "scale_statefulset": (Right("patch", "apps", "statefulsets", "scale"),),
    "rotate_secrets": (Right("patch", "", "secrets"),),
    "audit_logs": (_LOGS,),
    "update_network_policy": (Right("patch", "networking.k8s.io", "networkpolicies"),),
    "restart_network": (Right("delete", "", "pods", named=False),),
    "reset_service_mesh": (_NAMESPACED_DEPLOYMENTS,),
    "failover_database": (_EXEC,),
    "repair_database": (_EXEC,),
    "enable_debug_mode": (_DEPLOYMENT,),
    "create_heap_dump": (Right("create", "", "pods", "exec"),),
    "collect_diagnostics": (_LOGS,),
    "optimize_resources": (_NAMESPACED_DEPLOYMENTS,),
    "migrate_workload": (_NAMESPACED_DEPLOYMENTS,),
    "notify_only": (),
    "custom": (),
}
"""By action. `custom` is the executor's own, and what it does is not known here."""


class Question(msgspec.Struct, frozen=True):
    """Whether an account holds one right on one target."""

    namespace: str
    """Of the account."""
    account: str
    right: Right
    target_namespace: str
    name: str
    """Of the target; empty for all of them."""

    def __str__(self) -> str:
        """Return the right and where it is needed, for people."""
        name = f" {self.name}" if self.name else ""
        where = f" in namespace {self.target_namespace}" if self.target_namespace else ""
        return f"{self.right}{name}{where}"


def account_of(action: str) -> str:
    """Return the name of the ServiceAccount that carries out an action."""
    return f"{action.replace('_', '-')}-sa"


def questions_of(action: str, namespace: str, target_namespace: str, target: str) -> tuple[Question, ...]:
    """Return what must be asked for one step. `namespace` is the workflow's, where the account is."""
    return tuple(
        Question(
            namespace=namespace,
            account=account_of(action),
            right=right,
            target_namespace="" if right.wide else target_namespace,
            name=target if right.named else "",
        )
        for right in NEEDED.get(action, ())
    )


def review_of(question: Question) -> dict[str, Any]:
    """Return the SubjectAccessReview, with the groups that the API server gives every service account."""
    namespace, right = question.namespace, question.right
    attributes = {
        "verb": right.verb,
        "group": right.group,
        "resource": right.resource,
        "subresource": right.subresource,
        "namespace": question.target_namespace,
        "name": question.name,
    }
    groups = ["system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated"]
    return {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {
            "user": f"system:serviceaccount:{namespace}:{question.account}",
            "groups": groups,
            "resourceAttributes": {name: value for name, value in attributes.items() if value},
        },
    }


def missing_sentence(missing: list[Question]) -> str:
    """Return what an account lacks and what to do about it."""
    account, namespace = missing[0].account, missing[0].namespace
    rights = "; ".join(dict.fromkeys(str(question) for question in missing))
    return f"ServiceAccount {account} in namespace {namespace} may not {rights}: grant it by a Role and a RoleBinding"
