"""The schema of a whole WorkflowExecution as somebody writes it: the CRD's own, and what the server knows by itself."""

from __future__ import annotations

from functools import cache
from typing import Any, Final

from kubernaut.cli.linting.shape_words import pattern_of
from schemas import fields
from schemas.crds import workflow_crd
from schemas.structural import ANYTHING

_TEXT: Final = {"type": "string"}
_LABEL: Final = {"type": "string", "maxLength": 63, "pattern": r"^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$"}
_NAME: Final = _TEXT | {"minLength": 1, "maxLength": 253, "pattern": pattern_of(fields.Name)}
_METADATA: Final[dict[str, Any]] = {
    "description": "Name, namespace, labels and annotations.",
    "type": "object",
    "properties": {
        "name": _NAME | {"description": "Name of the run."},
        "generateName": _TEXT | {"minLength": 1, "maxLength": 253},
        "namespace": _TEXT | {"minLength": 1, "maxLength": 63, "pattern": pattern_of(fields.Namespace)},
        "labels": {"type": "object", "additionalProperties": _LABEL},
        "annotations": {"type": "object", "additionalProperties": _TEXT},
        "finalizers": {"type": "array", "items": _TEXT},
        "ownerReferences": {"type": "array", "items": ANYTHING},
        "creationTimestamp": ANYTHING | {"nullable": True},
    }
    | dict.fromkeys(
        (
            "deletionGracePeriodSeconds",
            "deletionTimestamp",
            "generation",
            "managedFields",
            "resourceVersion",
            "selfLink",
            "uid",
        ),
        ANYTHING,
    ),
}


@cache
def object_schema() -> dict[str, Any]:
    """Return the schema that a workflow in a file must have; the status is not looked at."""
    crd: dict[str, Any] = workflow_crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    properties = crd["properties"] | {"metadata": _METADATA, "status": ANYTHING | {"nullable": True}}
    return {"type": "object", "properties": properties, "required": ["apiVersion", "kind", "metadata", "spec"]}
