"""Both CustomResourceDefinitions, made from the structs: what the API server itself refuses, and in which words. Pure.

No default is set by the server: what a user left out stays left out, so that the scheduler can tell it from what was
asked for. Rules are CEL (x-kubernetes-validations); the limits beside them keep their cost within the server's budget.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from schemas import names
from schemas.docs import field_docs
from schemas.execution import (
    ExecutionResults,
    Failure,
    KubernetesExecution,
    KubernetesExecutionStatus,
)
from schemas.structural import ANYTHING, Extras, Schema, schema_of
from schemas.workflow import Control, WorkflowDefinition, WorkflowExecution, WorkflowSpec
from schemas.workflow_status import WorkflowStatus

_EDGE_BUDGET: Final = 600_000
"""Steps x dependencies up to which the server looks whether each dependency exists; planning does in any case.

The server ends a rule at a cost of 1,000,000, and looking a number up costs 1 for each step."""


def _rule(rule: str, message: str, **more: Any) -> Schema:
    return {"rule": rule, "message": message} | more


def _on_create(rule: str, message: str, *, path: str) -> Schema:
    """A rule about what can never change: it is looked at when the object is made, and never again."""
    return _rule(f"oldSelf.hasValue() || ({rule})", message, optionalOldSelf=True, fieldPath=path)


def _status_write(field: str) -> str:
    """Whether this is a write of the status, told by a field of it that every such write changes.

    The server keeps the spec as it was in a write of the status, and the status in any other write. So what the spec
    must keep need not be compared again: comparing 256 steps took 40 ms of the server's CPU (measured on 1.36).
    """
    known = f"has(self.status) && has(self.status.{field})"
    new = f"!has(oldSelf.status) || !has(oldSelf.status.{field}) || self.status.{field} != oldSelf.status.{field}"
    return f"({known} && ({new}))"


def _kept(field: str, *, required: bool) -> Schema:
    """A field of the spec that must stay as it was at creation."""
    same = f"self.spec.{field} == oldSelf.spec.{field}"
    both = f"has(self.spec.{field}) == has(oldSelf.spec.{field})"
    rule = same if required else f"{both} && (!has(self.spec.{field}) || {same})"
    message = f"{field} is immutable after creation; only control may be changed. Make a new workflow instead"
    return _rule(
        f"{_status_write('sequence')} || ({rule})", message, fieldPath=f".spec.{field}", reason="FieldValueForbidden"
    )


def _once(field: str) -> Schema:
    """A part of control that is given once: not changed and not taken back."""
    before = f"!has(oldSelf.control) || !has(oldSelf.control.{field})"
    now = f"has(self.control) && has(self.control.{field}) && self.control.{field} == oldSelf.control.{field}"
    message = f"control.{field} is given once: it cannot be changed or taken back"
    return _rule(f"{before} || ({now})", message, fieldPath=".control", reason="FieldValueForbidden")


# CEL of Kubernetes 1.30 cannot count up to a size: the index of each override is made of two digits to base 16.
_DIGITS: Final = ", ".join(str(digit) for digit in range(16))
_HIGH: Final = ", ".join(str(digit * 16) for digit in range(16))
_SAME_BEGINNING: Final = (
    f"[{_HIGH}].all(i, [{_DIGITS}].all(j, i + j >= size(oldSelf.control.overrides) || "
    "self.control.overrides[i + j] == oldSelf.control.overrides[i + j]))"
)
_APPEND_ONLY: Final = _rule(
    "!has(oldSelf.control) || !has(oldSelf.control.overrides) || size(oldSelf.control.overrides) == 0 || "
    "(has(self.control) && has(self.control.overrides) && "
    f"size(self.control.overrides) >= size(oldSelf.control.overrides) && {_SAME_BEGINNING})",
    "control.overrides is append only: keep what is there and add at the end",
    fieldPath=".control",
    reason="FieldValueForbidden",
)
_NUMBERS: Final = "[self.steps.map(t, t.stepNumber)]"
"""In a list of one, so that a comprehension over it binds the numbers once: 1.30 knows no other way."""
_SOMETHING_TO_DO: Final = _on_create(
    "(has(self.steps) && size(self.steps) > 0) || (has(self.aiRecommendations) && "
    "has(self.aiRecommendations.recommendations) && size(self.aiRecommendations.recommendations) > 0)",
    "there is nothing to do: write at least one step, or give aiRecommendations.recommendations, which become steps",
    path=".steps",
)
_NUMBERS_UNIQUE: Final = _on_create(
    f"!has(self.steps) || {_NUMBERS}.all(ns, ns.all(n, ns.indexOf(n) == ns.lastIndexOf(n)))",
    "two steps have the same stepNumber; each must be unique in the workflow",
    path=".steps",
)
_DEPENDS_ON_EXISTS: Final = _on_create(
    "!has(self.steps) || self.steps.map(s, has(s.dependsOn) ? size(s.dependsOn) : 0).sum() * size(self.steps) > "
    f"{_EDGE_BUDGET} || {_NUMBERS}.all(ns, self.steps.all(s, !has(s.dependsOn) || s.dependsOn.all(d, d in ns)))",
    "a step's dependsOn names a stepNumber that no step has",
    path=".steps",
)
_DEPENDENCIES_EXIST: Final = _on_create(
    "!has(self.dependencies) || (has(self.steps) && "
    "[self.steps.map(s, string(s.stepNumber))].all(ns, self.dependencies.all(n, n in ns)))",
    'dependencies has a key that is not the stepNumber of a step; write it as text, such as "3": [1, 2]',
    path=".dependencies",
)
_DEPENDENCIES_NAME_STEPS: Final = _on_create(
    "!has(self.dependencies) || !has(self.steps) || "
    "self.dependencies.map(n, size(self.dependencies[n])).sum() * size(self.steps) > "
    f"{_EDGE_BUDGET} || {_NUMBERS}.all(ns, self.dependencies.all(n, self.dependencies[n].all(d, d in ns)))",
    "dependencies lists a stepNumber that no step has",
    path=".dependencies",
)


def _kept_fields() -> list[Schema]:
    info = {field.encode_name: field.required for field in msgspec.structs.fields(WorkflowSpec)}
    return [_kept(field, required=required) for field, required in info.items() if field != "control"]


# Lists of up to 256 steps are atomic: as lists by key, each status write of such a run cost the API server 45 ms of CPU
# more (measured on 1.36), for bookkeeping of who wrote which step that nobody needs.
_ATOMIC: Final[Schema] = {"x-kubernetes-list-type": "atomic"}
_WORKFLOW_EXTRAS: Final[Extras] = {
    WorkflowExecution: {"x-kubernetes-validations": _kept_fields()},
    WorkflowSpec: {"x-kubernetes-validations": [_once("cancel"), _once("rollback"), _APPEND_ONLY]},
    WorkflowDefinition: {
        "properties": {"steps": _ATOMIC},
        "x-kubernetes-validations": [
            _SOMETHING_TO_DO,
            _NUMBERS_UNIQUE,
            _DEPENDS_ON_EXISTS,
            _DEPENDENCIES_EXIST,
            _DEPENDENCIES_NAME_STEPS,
        ],
    },
    Control: {"properties": {"overrides": _ATOMIC}},
    WorkflowStatus: {
        "properties": {
            "stepStatuses": _ATOMIC,
            "conditions": {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
        }
    },
}
_EXECUTION_EXTRAS: Final[Extras] = {
    KubernetesExecution: {
        "x-kubernetes-validations": [
            _rule(
                f"{_status_write('phase')} || self.spec == oldSelf.spec",
                "the spec of an execution is immutable",
                fieldPath=".spec",
                reason="FieldValueForbidden",
            )
        ]
    },
    # The executor's own: fields that are not known here are kept.
    KubernetesExecutionStatus: ANYTHING,
    ExecutionResults: ANYTHING,
    Failure: ANYTHING,
}


def _column(name: str, path: str, description: str, *, kind: str = "string", wide: bool = False) -> Schema:
    column = {"name": name, "type": kind, "jsonPath": path, "description": description}
    return column | ({"priority": 1} if wide else {})


_AGE: Final = _column("Age", ".metadata.creationTimestamp", "Time since creation.", kind="date")
_WORKFLOW_COLUMNS: Final = (
    _column("Phase", ".status.phase", "How far the run is."),
    _column("Progress", ".status.progress", "Steps that have ended by all steps."),
    _column("Outcome", ".status.workflowResult.outcome", "How the run ended."),
    _column("Current", ".status.currentStep", "Lowest step in flight.", kind="integer", wide=True),
    _column("Waiting", ".status.waitingFor", "What the run waits for.", wide=True),
    _column("Remediation", ".spec.remediationRequestRef.name", "RemediationRequest of the run.", wide=True),
    _column("Duration", ".status.executionMetrics.totalDuration", "How long the run took.", wide=True),
    _AGE,
)
_EXECUTION_COLUMNS: Final = (
    _column("Phase", ".status.phase", "How far the executor is."),
    _column("Action", ".spec.action", "What is done."),
    _column("Step", ".spec.stepNumber", "Step of the workflow.", kind="integer"),
    _column("Workflow", ".spec.workflowExecutionRef.name", "Workflow of the step."),
    _column("Attempt", ".spec.attempt", "Which attempt of the step.", kind="integer", wide=True),
    _column("Purpose", ".spec.purpose", "execute, dry_run or rollback.", wide=True),
    _column("Reason", ".status.failure.reason", "Why it failed.", wide=True),
    _AGE,
)
# Paths of fields that the server may select by (Kubernetes 1.31 and newer; older ones leave them out).
_WORKFLOW_SELECTABLE: Final = (".status.phase", ".spec.workflowDefinition.name", ".spec.remediationRequestRef.name")
_EXECUTION_SELECTABLE: Final = (".status.phase", ".spec.action", ".spec.workflowExecutionRef.name")


def workflow_crd() -> dict[str, Any]:
    """Return the definition of WorkflowExecution; a new value at each call."""
    return _crd(
        WorkflowExecution,
        _WORKFLOW_EXTRAS,
        group=names.WORKFLOW_GROUP,
        plural=names.WORKFLOW_PLURAL,
        short="wfe",
        columns=_WORKFLOW_COLUMNS,
        selectable=_WORKFLOW_SELECTABLE,
    )


def execution_crd() -> dict[str, Any]:
    """Return the definition of KubernetesExecution; a new value at each call."""
    return _crd(
        KubernetesExecution,
        _EXECUTION_EXTRAS,
        group=names.EXECUTION_GROUP,
        plural=names.EXECUTION_PLURAL,
        short="kexec",
        columns=_EXECUTION_COLUMNS,
        selectable=_EXECUTION_SELECTABLE,
    )


def _crd(
    struct: type[msgspec.Struct],
    extras: Extras,
    *,
    group: str,
    plural: str,
    short: str,
    columns: tuple[Schema, ...],
    selectable: tuple[str, ...],
) -> dict[str, Any]:
    kind = struct.__name__
    version = {
        "name": names.VERSION,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": _root(struct, extras)},
        "subresources": {"status": {}},
        "additionalPrinterColumns": [dict(column) for column in columns],
        "selectableFields": [{"jsonPath": path} for path in selectable],
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}", "labels": {"app.kubernetes.io/part-of": "kubernaut-workflow"}},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {
                "kind": kind,
                "listKind": f"{kind}List",
                "plural": plural,
                "singular": kind.lower(),
                "shortNames": [short],
                "categories": ["kubernaut"],
            },
            "versions": [version],
        },
    }


def _root(struct: type[msgspec.Struct], extras: Extras) -> Schema:
    """Schema of a whole object; the server itself knows what apiVersion, kind and metadata are."""
    schema = schema_of(struct, extras)
    docs = field_docs(struct)
    properties = {
        "apiVersion": {"description": "Version of the schema of the object.", "type": "string"},
        "kind": {"description": "Kind of the object.", "type": "string"},
        "metadata": {"type": "object"},
    }
    properties |= {name: schema["properties"][name] for name in ("spec", "status")}
    for name in ("spec", "status"):
        properties[name]["description"] = docs[name]
    return schema | {"properties": properties}
