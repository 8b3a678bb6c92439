"""The kinds of objects that the services read and write on the Kubernetes API, as data. Must never hold behaviour."""

from __future__ import annotations

from typing import Final

from runtime.ports import Resource
from schemas.names import EXECUTION_GROUP, EXECUTION_PLURAL, VERSION, WORKFLOW_GROUP, WORKFLOW_PLURAL

WORKFLOWS: Final = Resource(WORKFLOW_GROUP, VERSION, WORKFLOW_PLURAL)
EXECUTIONS: Final = Resource(EXECUTION_GROUP, VERSION, EXECUTION_PLURAL)
EVENTS: Final = Resource("", "v1", "events")
CRDS: Final = Resource("apiextensions.k8s.io", "v1", "customresourcedefinitions")
"""Cluster-wide."""
NODES: Final = Resource("", "v1", "nodes")
"""Cluster-wide."""
PODS: Final = Resource("", "v1", "pods")
QUOTAS: Final = Resource("", "v1", "resourcequotas")
ACCESS_REVIEWS: Final = Resource("authorization.k8s.io", "v1", "subjectaccessreviews")
"""Cluster-wide, never stored: what is created is a question, and the answer holds the verdict."""
TOKEN_REVIEWS: Final = Resource("authentication.k8s.io", "v1", "tokenreviews")
"""The same. Question and answer hold somebody's token: they must get into no log."""

BY_KIND: Final = {
    "Deployment": Resource("apps", "v1", "deployments"),
    "StatefulSet": Resource("apps", "v1", "statefulsets"),
    "DaemonSet": Resource("apps", "v1", "daemonsets"),
    "Pod": PODS,
    "Node": NODES,
    "PersistentVolumeClaim": Resource("", "v1", "persistentvolumeclaims"),
    "HorizontalPodAutoscaler": Resource("autoscaling", "v2", "horizontalpodautoscalers"),
    "NetworkPolicy": Resource("networking.k8s.io", "v1", "networkpolicies"),
    "Namespace": Resource("", "v1", "namespaces"),
}
"""Kinds that checks read. Secrets are not among them: no service of ours has the right to read one."""
