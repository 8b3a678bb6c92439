"""An API server on which the policies are in force, in namespaces of the tests' own and nowhere else."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

from schemas.actions import ACTIONS
from schemas.names import (
    ANNOTATION_ALLOWED_ACTIONS,
    ANNOTATION_APPROVAL_REQUIRED,
    ANNOTATION_CREATED_BY,
    ANNOTATION_FOUR_EYES,
)
from schemas.rbac import APPROVER, EXECUTOR_BRIDGE, roles_of
from tests.admission.manifests import Manifest, marked, only_where, path_of, shipped
from tests.admission.people import APPLY, DIGEST, MERGE, Person, kubeconfig_for, word
from tests.schemas.api import EXECUTIONS, WORKFLOWS, Answer, Api, serving
from tests.schemas.builders import a_step, a_workflow, an_execution

LABEL: Final = "admission-tests.kubernaut.io/mark"
LIMIT_SECONDS: Final = 60
NAMESPACES: Final[dict[str, dict[str, str]]] = {
    "open": {},
    "strict": {ANNOTATION_FOUR_EYES: "true", ANNOTATION_ALLOWED_ACTIONS: "notify_only, scale_deployment"},
    "closed": {ANNOTATION_FOUR_EYES: "false", ANNOTATION_APPROVAL_REQUIRED: "false", ANNOTATION_ALLOWED_ACTIONS: ""},
    "long": {ANNOTATION_ALLOWED_ACTIONS: ",".join(name for name in ACTIONS if name != "cordon_node")},
    "named": {ANNOTATION_FOUR_EYES: "yes", ANNOTATION_APPROVAL_REQUIRED: "true"},
}
"""Annotations of each; only in the last one the server writes down who creates a workflow."""
_GROUPS: Final = {"workflows": "workflowexecution.kubernaut.io", "executions": "kubernetesexecution.kubernaut.io"}
_WRITE: Final = ["get", "list", "create", "update", "patch"]
RIGHTS: Final[dict[str, list[tuple[str, list[str], list[str]]]]] = {
    "alice": [("workflows", ["workflowexecutions"], _WRITE)],
    "bob": [("workflows", ["workflowexecutions"], _WRITE)],
    "carol": [("workflows", ["workflowexecutions"], _WRITE)],
    "mallory": [("workflows", ["*"], _WRITE), ("executions", ["*"], _WRITE)],
    "bridge": [],
}
"""What each may do; alice and bob are approvers besides, and the bridge has its own role and nothing more."""
_ROLES: Final = {"alice": APPROVER, "bob": APPROVER, "bridge": EXECUTOR_BRIDGE}


Seen = tuple[bool, Answer]
"""Whether it is as it should be, and what was seen."""


class Gate:
    """Namespaces by their short names, and the people in them."""

    def __init__(self, admin: Api, bare: Api, kubeconfig: str, folder: Path) -> None:
        self.mark = uuid.uuid4().hex[:8]
        self._bare = bare
        self._kubeconfig = kubeconfig
        self._folder = folder
        self._made: list[str] = []
        self.admin = Person(admin, "", {})
        self.people: dict[str, Person] = {}
        self.kubeconfigs: dict[str, str] = {}

    def __getattr__(self, name: str) -> Person:
        """Return one of the people, such as `gate.alice`."""
        try:
            return self.people[name]
        except KeyError as error:
            raise AttributeError(name) from error

    def namespace(self, short: str) -> str:
        """Return the whole name of a namespace."""
        return f"{short}-{self.mark}"

    def workflow(self, name: str, short: str = "open") -> str:
        """Return where a workflow is."""
        return f"{WORKFLOWS.format(self.namespace(short))}/{name}"

    def execution(self, name: str, short: str = "open") -> str:
        """Return where an execution is."""
        return f"{EXECUTIONS.format(self.namespace(short))}/{name}"

    def annotations(self, where: str) -> dict[str, str]:
        """Return the annotations of an object."""
        found: dict[str, str] = self.admin.call("GET", where).object["metadata"].get("annotations", {})
        return found

    def a_waiting_run(self, short: str = "open", *, by: str = "carol") -> str:
        """Let somebody create a workflow and the bridge show that it waits for an approval; return where it is."""
        body = a_run()
        if short == "strict":
            body["metadata"]["annotations"] = {ANNOTATION_CREATED_BY: self.people[by].name}
        made = succeeded(self.people[by].create(self.namespace(short), body))
        where = self.workflow(made["metadata"]["name"], short)
        self.show_a_plan(where)
        return where

    def an_approved_run(self) -> str:
        """Return where a run is that alice has approved."""
        where = self.a_waiting_run()
        succeeded(self.alice.annotate(where, word(self.alice.name)))
        return where

    def show_a_plan(self, where: str, phase: str = "validating") -> None:
        """Write the status of a run that waits, or has come to another phase, as the bridge does."""
        body = self.admin.call("GET", where).object | {"status": A_WAITING_STATUS | {"phase": phase}}
        succeeded(self.people["bridge"].call("PUT", f"{where}/status", body))

    def settle(self) -> None:
        """Make namespaces and people."""
        for short, asked in NAMESPACES.items():
            meta = {"name": self.namespace(short), "annotations": asked}
            self._make("/api/v1/namespaces", {"metadata": meta})
        for role in (APPROVER, EXECUTOR_BRIDGE):
            self.put(only_where(roles_of(role)[0], LABEL, self.mark))
        me = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        seen = succeeded(self.admin.call("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", me))
        self.admin = Person(self.admin.api, seen["status"]["userInfo"]["username"], {})
        for name in RIGHTS:
            self._let_in(name)

    def bind(self) -> None:
        """Put the policies in force and wait until they are."""
        everywhere = [found for name in _EVERYWHERE for found in shipped(name)]
        for manifest in everywhere:
            self.put(only_where(manifest, LABEL, self.mark))
        for manifest in shipped("creator.yaml"):
            self.put(only_where(manifest, f"{LABEL}-creator", self.mark))
        for short in NAMESPACES:
            labels = {LABEL: self.mark} | ({f"{LABEL}-creator": self.mark} if short == "named" else {})
            path = f"/api/v1/namespaces/{self.namespace(short)}"
            succeeded(self.admin.call("PATCH", path, {"metadata": {"labels": labels}}, kind=MERGE))
        for name, probe in PROBES.items():
            until(partial(probe, self), name)

    def put(self, manifest: Manifest) -> None:
        """Apply a manifest that belongs to no namespace; it is gone with the gate."""
        self.put_at(path_of(manifest), manifest)

    def put_at(self, path: str, manifest: Manifest) -> None:
        """Apply a manifest at a path; it is gone with the gate."""
        succeeded(self.admin.call("PATCH", f"{path}?fieldManager=tests&force=true", manifest, kind=APPLY))
        self._made.append(path)

    def leave(self) -> None:
        """Take away all that was made, what was made last first."""
        answers = [self.admin.call("DELETE", path) for path in reversed(self._made)]
        assert [] == [answer.message for answer in answers if answer.code not in {200, 202}]

    def _make(self, path: str, body: Any) -> None:
        made = succeeded(self.admin.call("POST", path, body))
        self._made.append(f"{path}/{made['metadata']['name']}")

    def _let_in(self, name: str) -> None:
        home = f"/api/v1/namespaces/{self.namespace('open')}/serviceaccounts"
        succeeded(self.admin.call("POST", home, {"metadata": {"name": name}}))
        token = succeeded(self.admin.call("POST", f"{home}/{name}/token", {"spec": {}}))["status"]["token"]
        user = f"system:serviceaccount:{self.namespace('open')}:{name}"
        self.people[name] = Person(self._bare, user, {"Authorization": f"Bearer {token}"})
        self.kubeconfigs[name] = kubeconfig_for(self._kubeconfig, self._folder, name, token)
        for short in NAMESPACES:
            self._allow(name, self.namespace(short))

    def _allow(self, name: str, namespace: str) -> None:
        rbac = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}"
        rules = [{"apiGroups": [_GROUPS[of]], "resources": what, "verbs": verbs} for of, what, verbs in RIGHTS[name]]
        succeeded(self.admin.call("POST", f"{rbac}/roles", {"metadata": {"name": name}, "rules": rules}))
        roles = [("Role", name)]
        if name in _ROLES:
            roles.append(("ClusterRole", marked(_ROLES[name].full_name, self.mark)))
        subject = {"kind": "ServiceAccount", "name": name, "namespace": self.namespace("open")}
        for kind, role in roles:
            ref = {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": role}
            body = {"metadata": {"name": f"{name}-{kind.lower()}"}, "subjects": [subject], "roleRef": ref}
            succeeded(self.admin.call("POST", f"{rbac}/rolebindings", body))


_EVERYWHERE: Final = ("approval.yaml", "immutability.yaml", "actions.yaml", "records.yaml")
A_WAITING_STATUS: Final = {
    "phase": "validating",
    "sequence": 1,
    "observedGeneration": 1,
    "executionPlan": {
        "strategy": "sequential",
        "waves": [[1]],
        "criticalPath": [1],
        "estimatedDuration": "1s",
        "rollbackStrategy": "manual",
        "digest": DIGEST,
    },
}


def a_run(action: str = "notify_only", **annotations: str) -> dict[str, Any]:
    """Return a workflow that asks for an approval."""
    body = a_workflow("", [a_step(1, action=action)])
    body["spec"]["executionStrategy"] = {"approvalRequired": True}
    body["metadata"] = {"generateName": "run-", "annotations": annotations}
    return body


def succeeded(answer: Answer) -> Any:
    """Return the object of an answer that is no refusal."""
    assert answer.code < 300, answer.message
    return answer.object


def until(holds: Callable[[], Seen], what: str) -> None:
    """Look until something holds."""
    end = time.monotonic() + LIMIT_SECONDS
    while not (seen := holds())[0]:
        assert time.monotonic() < end, f"not in force: {what}; last seen: {seen[1].raw!r}"
        time.sleep(0.05)


def _tried(gate: Gate, short: str, body: dict[str, Any], path: str = WORKFLOWS) -> Answer:
    return gate.admin.call("POST", f"{path.format(gate.namespace(short))}?dryRun=All", body)


def _changed(gate: Gate, where: str, meta: dict[str, Any]) -> Answer:
    return gate.admin.call("PATCH", f"{where}?dryRun=All", {"metadata": meta}, kind=MERGE)


def _denies(policy: str, answer: Answer) -> Seen:
    return f"'{policy}" in answer.message, answer


def _granted(gate: Gate, verb: str) -> Seen:
    what = {"group": _GROUPS["workflows"], "resource": "workflowexecutions", "verb": verb}
    asked = {"spec": {"resourceAttributes": what | {"namespace": gate.namespace(list(NAMESPACES)[-1])}}}
    answer = gate.bridge.call("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", asked)
    return answer.code == 201 and answer.object["status"]["allowed"], answer


def _names(answer: Answer) -> Seen:
    return ANNOTATION_CREATED_BY in answer.object["metadata"].get("annotations", {}), answer


PROBES: Final[dict[str, Callable[[Gate], Seen]]] = {
    "approval": lambda gate: _denies("approval.workflow", _tried(gate, "open", a_run(**word("x")))),
    "actions of workflows": lambda gate: _denies("actions.workflow", _tried(gate, "closed", a_run())),
    "actions of executions": lambda gate: _denies(
        "actions.kubernetes", _tried(gate, "closed", an_execution("probe"), EXECUTIONS)
    ),
    "immutability of workflows": lambda gate: _denies(
        "immutability.workflow",
        _changed(gate, gate.workflow("older", "strict"), {"annotations": {f"{_GROUPS['workflows']}/rerun-of": "x"}}),
    ),
    "immutability of executions": lambda gate: _denies(
        "immutability.kubernetes",
        _changed(gate, gate.execution("older", "strict"), {"labels": {f"{_GROUPS['workflows']}/step": "7"}}),
    ),
    "records": lambda gate: _denies(
        "records.workflow",
        gate.mallory.call("POST", EXECUTIONS.format(gate.namespace("open")) + "?dryRun=All", an_execution("probe")),
    ),
    "creator": lambda gate: _names(_tried(gate, "named", a_run())),
}
"""What each policy does once it is in force, which is a moment after it was made."""


@contextmanager
def a_gate(kubeconfig: str, folder: Path) -> Iterator[Gate]:
    """Give a gate on the server of an administrator's kubeconfig."""
    with ExitStack() as stack:
        admin = stack.enter_context(serving(kubeconfig))
        bare = stack.enter_context(serving(kubeconfig_for(kubeconfig, folder, "nobody", "nobody's")))
        admin.install()
        gate = Gate(admin, bare, kubeconfig, folder)
        stack.callback(gate.leave)
        gate.settle()
        strict = gate.namespace("strict")
        older = a_run() | {"metadata": {"name": "older"}}
        succeeded(gate.admin.create(strict, older))
        succeeded(gate.admin.call("POST", EXECUTIONS.format(strict), an_execution("older")))
        until(partial(_granted, gate, "record"), "the right to record")  # of who was let in last
        gate.bind()
        yield gate
