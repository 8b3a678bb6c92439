"""Who may do what at the Kubernetes API: one row a right, each with its reason. Pure data, and the roles made of it.

Must never hold a wildcard, nor a right on secrets, on a shell in a pod, or to become somebody else. Every role of the
product is made from here: the files in deploy/rbac, the page docs/rights.md, and what the local stack runs under.
"""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec

from schemas.names import EXECUTION_GROUP, EXECUTION_PLURAL, WORKFLOW_GROUP, WORKFLOW_PLURAL

Reach = Literal["namespaced", "wide"]
"""namespaced: a RoleBinding in a namespace is enough for what is in it. wide: only a ClusterRoleBinding grants it."""

PREFIX: Final = "kubernaut-"
WIDE_SUFFIX: Final = "-cluster"
NAMESPACE: Final = "kubernaut-system"
"""Where the ServiceAccounts are, unless an installation says otherwise."""
APPROVE: Final = "approve"
"""Verb on workflows that the admission policy `approval` asks for."""
RECORD: Final = "record"
"""Verb on workflows that the admission policy `records` asks for."""
_PART_OF: Final = {"app.kubernetes.io/part-of": "kubernaut-workflow"}
_AGGREGATE: Final = "rbac.authorization.k8s.io/aggregate-to-"


class Right(msgspec.Struct, frozen=True, kw_only=True):
    """Verbs on one kind of thing, or on paths that are no objects."""

    verbs: tuple[str, ...]
    why: str
    """One line, for whoever asks what would stop working without it."""
    group: str = ""
    resource: str = ""
    """Plural, with its subresource behind a slash; empty where `paths` says what it is about."""
    names: tuple[str, ...] = ()
    """Of the objects; empty: all of them."""
    paths: tuple[str, ...] = ()
    reach: Reach = "namespaced"


class Role(msgspec.Struct, frozen=True, kw_only=True):
    """What one of us, or one of the people, may do."""

    name: str
    """Behind `kubernaut-`; a service's ServiceAccount has the same name."""
    what: str
    rights: tuple[Right, ...]
    part_of: str = ""
    """Which of the cluster's own roles for people (view, edit, admin) it becomes a part of; empty: none."""

    @property
    def full_name(self) -> str:
        """Name of the ClusterRole, and of the ServiceAccount where it is a service's."""
        return PREFIX + self.name


def _workflows(*verbs: str, of: str = "", why: str) -> Right:
    return Right(group=WORKFLOW_GROUP, resource=WORKFLOW_PLURAL + of, verbs=verbs, why=why)


def _executions(*verbs: str, of: str = "", why: str) -> Right:
    return Right(group=EXECUTION_GROUP, resource=EXECUTION_PLURAL + of, verbs=verbs, why=why)


def _read_by_checks(group: str, resource: str, *verbs: str, reach: Reach = "namespaced", why: str = "") -> Right:
    why = why or "the checks `health` and `monitor` look at what a step is about"
    return Right(group=group, resource=resource, verbs=verbs or ("get",), reach=reach, why=why)


_TOKENS: Final = Right(
    group="authentication.k8s.io",
    resource="tokenreviews",
    verbs=("create",),
    reach="wide",
    why="the metrics port asks whose token a scrape comes with",
)
_METRICS_ACCESS: Final = Right(
    group="authorization.k8s.io",
    resource="subjectaccessreviews",
    verbs=("create",),
    reach="wide",
    why="the metrics port asks whether that account may read metrics",
)

WATCHER: Final = Role(
    name="watcher",
    what="The watcher reads both kinds and writes nothing.",
    rights=(
        _workflows(
            "get",
            "list",
            "watch",
            why="every change of a workflow goes onto the log; its end before that of executions which it took along",
        ),
        _executions("get", "list", "watch", why="every change of an execution goes onto the log"),
        _TOKENS,
        _METRICS_ACCESS,
    ),
)
SCHEDULER: Final = Role(
    name="scheduler",
    what="The scheduler decides from the log alone.",
    rights=(_TOKENS, _METRICS_ACCESS),
)
EXECUTOR_BRIDGE: Final = Role(
    name="executor-bridge",
    what="The executor bridge alone writes: executions, the status of workflows, Events.",
    rights=(
        _workflows(
            "get",
            "patch",
            "delete",
            why="reads what redaction took out of the log; keeps the finalizer until a run is recorded; "
            "deletes a finished run after its ttl",
        ),
        _workflows("update", of="/status", why="shows the latest decision"),
        _workflows(
            "update",
            of="/finalizers",
            why="an execution blocks the deletion of its workflow: clusters with OwnerReferencesPermissionEnforcement "
            "(OpenShift) ask for it",
        ),
        _workflows(RECORD, why="the admission policy `records` lets only who holds this verb write all of the above"),
        _executions(
            "create", "get", "patch", "delete", why="one for each attempt of a step; the finalizer; cancelled ones go"
        ),
        Right(resource="events", verbs=("create",), why="phase changes, failures and refusals, for eyes only"),
        _read_by_checks("apps", "deployments", why="the checks `health`, `monitor` and `capacity`"),
        _read_by_checks("apps", "statefulsets", why="the checks `health`, `monitor` and `capacity`"),
        _read_by_checks("apps", "daemonsets"),
        _read_by_checks("autoscaling", "horizontalpodautoscalers"),
        _read_by_checks("networking.k8s.io", "networkpolicies"),
        _read_by_checks("", "persistentvolumeclaims", why="the checks `health`, `monitor` and `capacity`"),
        _read_by_checks("", "namespaces"),
        _read_by_checks("", "resourcequotas", "list", why="the check `capacity` asks what the quotas leave"),
        _read_by_checks(
            "", "pods", "get", "list", why="`health` and `monitor` get one; `capacity` sums up what the nodes hold"
        ),
        _read_by_checks(
            "",
            "nodes",
            "get",
            "list",
            reach="wide",
            why="`health` and `monitor` get one; `capacity` sums up what they have",
        ),
        msgspec.structs.replace(
            _METRICS_ACCESS,
            why="the check `rbac` asks what the account of an action may do; the metrics port as with the others",
        ),
        _TOKENS,
    ),
)
AUDITOR: Final = Role(
    name="auditor",
    what="The auditor reads the log and writes to PostgreSQL.",
    rights=(_TOKENS, _METRICS_ACCESS),
)
_CRDS: Final = "customresourcedefinitions"
SETUP: Final = Role(
    name="setup",
    what="The setup job (`python -m kubernaut.install`) makes the two resource definitions and brings them up to date.",
    rights=(
        Right(
            group="apiextensions.k8s.io",
            resource=_CRDS,
            verbs=("create",),
            reach="wide",
            why="the first time; a right to create cannot be limited to names",
        ),
        Right(
            group="apiextensions.k8s.io",
            resource=_CRDS,
            verbs=("get", "patch"),
            names=(f"{EXECUTION_PLURAL}.{EXECUTION_GROUP}", f"{WORKFLOW_PLURAL}.{WORKFLOW_GROUP}"),
            reach="wide",
            why="ours alone, at each upgrade, and whether the server has taken them in",
        ),
    ),
)
SIMULATOR: Final = Role(
    name="simulator",
    what="The simulated executor, for trying only: it plays the executor's part and touches nothing else.",
    rights=(
        _executions("get", "list", "watch", why="what is to be simulated"),
        _executions("patch", "delete", why="keeps a finalizer while it ends one; some simulations delete theirs"),
        _executions("update", of="/status", why="how far it is"),
        _workflows("get", why="annotations of a workflow say how its steps shall behave"),
        _TOKENS,
        _METRICS_ACCESS,
    ),
)
SERVICES: Final = (WATCHER, SCHEDULER, EXECUTOR_BRIDGE, AUDITOR, SETUP, SIMULATOR)
"""Roles of ServiceAccounts of the same names."""

_SEE: Final = ("get", "list", "watch")
VIEWER: Final = Role(
    name="viewer",
    what="Looks at runs: `kubernaut list`, `get`, `watch`.",
    part_of="view",
    rights=(
        _workflows(*_SEE, why="runs and their status"),
        _executions(*_SEE, why="what was asked of the executor, and how far it is"),
        Right(resource="events", verbs=("list",), why="`kubernaut bundle` takes the Events of a run along"),
    ),
)
OPERATOR: Final = Role(
    name="operator",
    what="Starts and steers runs: `run`, `rerun`, `pause`, `resume`, `cancel`, `skip`, `retry`, `rollback`.",
    part_of="edit",
    rights=(
        _workflows(*_SEE, why="looks before and after"),
        _workflows("create", "patch", why="a new run; `spec.control` of one"),
        _executions(*_SEE, why="what was asked of the executor, and how far it is"),
    ),
)
APPROVER: Final = Role(
    name="approver",
    what="Approves and rejects plans; with the admission policies, in their own name only.",
    rights=(
        _workflows(*_SEE, why="looks at the plan"),
        _workflows("patch", why="writes the annotations of an approval"),
        _workflows(APPROVE, why="the admission policy `approval` asks for this verb"),
    ),
)
RECOVERER: Final = Role(
    name="recoverer",
    what="Comes back after NATS lost messages: `kubernaut recover`. Bind it cluster-wide, for as long as that takes.",
    rights=(
        _workflows("get", "list", why="what each run shows"),
        _executions("list", why="what each run has begun"),
        _workflows("update", of="/status", why="marks runs of which decisions were lost, so that nothing starts twice"),
        _workflows(RECORD, why="the admission policy `records` asks for this verb"),
    ),
)
METRICS_READER: Final = Role(
    name="metrics-reader",
    what="Reads the metrics of the services: Prometheus.",
    rights=(Right(paths=("/metrics",), verbs=("get",), reach="wide", why="what the metrics port asks about"),),
)
PEOPLE: Final = (VIEWER, OPERATOR, APPROVER, RECOVERER, METRICS_READER)
"""Roles to bind to people and to what looks at us; nothing of ours binds them."""


def roles_of(role: Role) -> tuple[dict[str, Any], ...]:
    """Return the ClusterRoles of a role: all of it, and what of it must be bound cluster-wide where that is a part.

    A service that serves some namespaces only has the first bound in each of them, and the second in the cluster.
    """
    wide = tuple(right for right in role.rights if right.reach == "wide")
    if not wide or len(wide) == len(role.rights):
        return (_cluster_role(role, role.full_name, role.rights),)
    return (
        _cluster_role(role, role.full_name, role.rights),
        _cluster_role(role, role.full_name + WIDE_SUFFIX, wide),
    )


def _cluster_role(role: Role, name: str, rights: tuple[Right, ...]) -> dict[str, Any]:
    labels = _PART_OF | ({f"{_AGGREGATE}{role.part_of}": "true"} if role.part_of else {})
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": name, "labels": labels},
        "rules": [_rule(right) for right in rights],
    }


def _rule(right: Right) -> dict[str, list[str]]:
    if right.paths:
        return {"nonResourceURLs": list(right.paths), "verbs": list(right.verbs)}
    rule = {"apiGroups": [right.group], "resources": [right.resource], "verbs": list(right.verbs)}
    return rule | ({"resourceNames": list(right.names)} if right.names else {})
