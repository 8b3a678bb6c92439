"""A text checked in three layers at once: as YAML, by the schema of the object, by the rules of planning. Pure.

The rules look at the object without what is wrong in its shape, so that one slip hides no other. Never raises.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from kubernaut.cli.linting import documents
from kubernaut.cli.linting.advice import advice
from kubernaut.cli.linting.located import Finding, Located, node_at, resolve
from kubernaut.cli.linting.object_schema import object_schema
from kubernaut.cli.linting.objects import workflows
from kubernaut.cli.linting.shape import Mended, mend
from scheduler import plan as planning
from scheduler.definition import read
from schemas.messages import WorkflowChanged
from schemas.names import WORKFLOW_API
from schemas.parameter_check import shown

UID: Final = "00000000-0000-4000-8000-000000000000"
"""Stands for the uid that the server will give."""

_DEPENDENCIES: Final = ("spec", "workflowDefinition", "dependencies")
_VARIABLES: Final = "spec.workflowDefinition.variables"
_RECOMMENDATIONS: Final = "spec.workflowDefinition.aiRecommendations"
_EDGES: Final = re.compile(r"^spec\.workflowDefinition\.(dependencies|steps\[[0-9]+\]\.dependsOn)\b")
_MSGSPEC_PATH: Final = re.compile(r"^(.*) - at `\$\.(.+)`$", re.DOTALL)
_ORDER: Final = {"error": 0, "warning": 1, "note": 2}


class Workflow(msgspec.Struct, frozen=True, kw_only=True):
    """One workflow of a text."""

    name: str
    root: Located
    plan: planning.Plan | None
    """As the scheduler makes it; None when there is an error."""


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """What is to tell about a text."""

    findings: list[Finding]
    """In the order of the text."""
    workflows: list[Workflow]


def check(text: str) -> Checked:
    """Check all workflows of a text."""
    found, findings = documents.read(text)
    checked = []
    for document in found:
        for each in workflows(document):
            if isinstance(each, Finding):
                findings.append(each)
            else:
                workflow, told = _workflow(each, broken=findings)
                checked.append(workflow)
                findings += told
    return Checked(findings=_in_order(findings), workflows=checked)


def failed(findings: list[Finding], *, strict: bool = False) -> bool:
    """Whether there is an error; with `strict` a warning is one, too."""
    return any(each.severity == "error" or (strict and each.severity == "warning") for each in findings)


def _in_order(findings: list[Finding]) -> list[Finding]:
    unique = {(each.at, each.path, each.message): each for each in findings}
    return sorted(unique.values(), key=lambda each: (each.at, _ORDER[each.severity]))


def _workflow(root: Located, *, broken: list[Finding]) -> tuple[Workflow, list[Finding]]:
    mended = mend(root, object_schema())
    findings = [*mended.findings, *_names(root), *_keys(root)]
    plan = _plan(mended.value)
    if plan is not None:
        findings += _of_planning(root, plan, mended)
    in_text = [each for each in broken if each.path and each.severity == "error"]
    whole = plan is not None and not plan.errors and not failed(findings) and not failed(in_text)
    if plan is not None and whole:
        findings += advice(root, plan)
    name = mended.value.get("metadata", {}).get("name") or mended.value.get("metadata", {}).get("generateName") or ""
    return Workflow(name=name, root=root, plan=plan if whole else None), findings


def _plan(body: dict[str, Any]) -> planning.Plan | None:
    """Plan an object as the scheduler does; None when it cannot even be written as JSON."""
    try:
        raw = msgspec.Raw(msgspec.json.encode(body))
    except (msgspec.MsgspecError, OverflowError, RecursionError, ValueError):
        return None
    changed = WorkflowChanged(resource_version="1", object=raw)
    namespace = body.get("metadata", {}).get("namespace", "default")
    return planning.make(read(changed, uid=UID, namespace=namespace, sequence=1))


def _of_planning(root: Located, plan: planning.Plan, mended: Mended) -> Iterator[Finding]:
    for error in _errors(plan):
        spelt = _MSGSPEC_PATH.match(error)
        finding = resolve(root, f"{spelt[2]}: {spelt[1]}" if spelt else error)
        if not _follows(finding, mended.changed):
            yield finding


def _errors(plan: planning.Plan) -> Iterator[str]:
    """All errors of a plan; when recommendations cannot become steps, those of the steps that are written out, too."""
    yield from plan.errors
    spec = plan.definition.spec
    if spec is None or not any(error.startswith(_RECOMMENDATIONS) for error in plan.errors):
        return
    alone = msgspec.structs.replace(spec.workflow_definition, ai_recommendations=None)
    without = msgspec.structs.replace(spec, workflow_definition=alone)
    for error in planning.make(msgspec.structs.replace(plan.definition, spec=without)).errors:
        if alone.steps and not _about_numbers(error, error):
            yield error


def _follows(finding: Finding, changed: frozenset[str]) -> bool:
    """Whether planning found something only because of what was left out or stands in."""
    path = finding.path
    if any(path.startswith(each) for each in changed if each):
        return True
    unknown_actions = {each.removesuffix(".action") for each in changed if each.endswith(".action")}
    if any(path.startswith(f"{step}.parameters") for step in unknown_actions):
        return True
    if any(each.startswith(_VARIABLES) for each in changed) and "there is no variable" in finding.message:
        return True
    numbers = any(each.endswith((".stepNumber", ".steps")) for each in changed)
    return numbers and _about_numbers(path, finding.message)


def _about_numbers(path: str, message: str) -> bool:
    return _EDGES.match(path) is not None or "there is no step " in message


def _names(root: Located) -> Iterator[Finding]:
    """An object needs a name, or a beginning of one; a status is not written by people."""
    metadata = root.inner.get("metadata")
    named = {"name", "generateName"} & set(metadata.keys) if metadata is not None else set()
    if metadata is not None and isinstance(metadata.value, dict) and not named:
        message = "missing; write a name, or generateName for a new one each time"
        yield Finding(at=metadata.at, path="metadata.name", message=message)
    version = root.inner.get("apiVersion")
    if version is not None and isinstance(version.value, str) and version.value != WORKFLOW_API:
        message = f"is {shown('', version.value)}; write {WORKFLOW_API}"
        yield Finding(at=version.at, path="apiVersion", message=message)
    if root.value.get("status"):
        message = "kubernaut-workflow writes it, what stands here is dropped; take it out"
        yield Finding(severity="warning", at=root.inner["status"].at, path="status", message=message)


def _keys(root: Located) -> Iterator[Finding]:
    """The server compares the keys of `dependencies` as text: 03 is not the step 3."""
    node = node_at(root, *_DEPENDENCIES)
    for key, at in node.keys.items() if node is not None else ():
        if key.isascii() and key.isdecimal() and key != str(int(key[:9])):
            path = f"{'.'.join(_DEPENDENCIES)}[{key[:32]!r}]"
            yield Finding(at=at, path=path, message=f'write the number of a step as it is: "{int(key[:9])}"')
