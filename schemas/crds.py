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
    KubernetesExecutionSpec,
    KubernetesExecutionStatus,
)
from schemas.structural import ANYTHING, Extras, Schema, schema_of
from schemas.workflow import Control, WorkflowDefinition, WorkflowExecution, WorkflowSpec
from schemas.workflow_status import WorkflowStatus

_EDGE_BUDGET: Final = 600_000
"""Steps x dependencies up to which the server looks whether each dependency exists; planning does in any case.

The server ends a rule at a cost of 1,000,000, and looking a number up costs 1 for each step."""


def _rule(rule: str, message: str, **more: str) -> Schema:
    return {"rule": rule, "message": message} | more


def _kept(field: str, *, required: bool) -> Schema:
    """A field that must stay as it was at creation."""
    same = f"self.{field} == oldSelf.{field}"
    both = f"has(self.{field}) == has(oldSelf.{field})"
    rule = same if required else f"{both} && (!has(self.{field}) || {same})"
    message = f"{field} is immutable after creation; only control may be changed. Make a new workflow instead"
    return _rule(rule, message, fieldPath=f".{field}", reason="FieldValueForbidden")


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
_DEPENDS_ON_EXISTS: Final = _rule(
    "self.steps.map(s, has(s.dependsOn) ? size(s.dependsOn) : 0).sum() * size(self.steps) > "
    f"{_EDGE_BUDGET} || {_NUMBERS}.all(ns, self.steps.all(s, !has(s.dependsOn) || s.dependsOn.all(d, d in ns)))",
    "a step's dependsOn names a stepNumber that no step has",
    fieldPath=".steps",
)
_DEPENDENCIES_EXIST: Final = _rule(
    "!has(self.dependencies) || [self.steps.map(s, string(s.stepNumber))].all(ns, self.dependencies.all(n, n in ns))",
    'dependencies has a key that is not the stepNumber of a step; write it as text, such as "3": [1, 2]',
    fieldPath=".dependencies",
)
_DEPENDENCIES_NAME_STEPS: Final = _rule(
    "!has(self.dependencies) || self.dependencies.map(n, size(self.dependencies[n])).sum() * size(self.steps) > "
    f"{_EDGE_BUDGET} || {_NUMBERS}.all(ns, self.dependencies.all(n, self.dependencies[n].all(d, d in ns)))",
    "dependencies lists a stepNumber that no step has",
    fieldPath=".dependencies",
)


def _spec_rules() -> list[Schema]:
    info = {field.encode_name: field.required for field in msgspec.structs.fields(WorkflowSpec)}
    kept = [_kept(field, required=required) for field, required in info.items() if field != "control"]
    return [*kept, _once("cancel"), _once("rollback"), _APPEND_ONLY]


_BY_STEP: Final[Schema] = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["stepNumber"]}
_WORKFLOW_EXTRAS: Final[Extras] = {
    WorkflowSpec: {"x-kubernetes-validations": _spec_rules()},
    WorkflowDefinition: {
        "properties": {"steps": _BY_STEP},
        "x-kubernetes-validations": [_DEPENDS_ON_EXISTS, _DEPENDENCIES_EXIST, _DEPENDENCIES_NAME_STEPS],
    },
    Control: {"properties": {"overrides": {"x-kubernetes-list-type": "atomic"}}},
    WorkflowStatus: {
        "properties": {
            "stepStatuses": _BY_STEP,
            "conditions": {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
        }
    },
}
_EXECUTION_EXTRAS: Final[Extras] = {
    KubernetesExecutionSpec: {
        "x-kubernetes-validations": [
            _rule("self == oldSelf", "the spec of an execution is immutable", reason="FieldValueForbidden")
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
