"""Objects as JSON, YAML or names, for programs. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

import yaml

FORMATS: Final = ("json", "yaml", "wide", "name")


def one(body: dict[str, Any], form: str) -> str:
    """Return an object in the form json, yaml or name."""
    if form == "name":
        return f"workflowexecution.workflowexecution.kubernaut.io/{body['metadata']['name']}"
    return _written(_shown(body), form)


def many(bodies: Sequence[dict[str, Any]], form: str) -> str:
    """Return objects in the form json, yaml (a List, as kubectl gives) or name (one a line)."""
    if form == "name":
        return "\n".join(one(body, form) for body in bodies)
    return _written({"apiVersion": "v1", "kind": "List", "items": [_shown(body) for body in bodies]}, form)


def _shown(body: dict[str, Any]) -> dict[str, Any]:
    """Leave out managedFields, as kubectl does: they are about who wrote which field, longer than all the rest."""
    metadata = {name: value for name, value in body.get("metadata", {}).items() if name != "managedFields"}
    return body | {"metadata": metadata}


def _written(body: dict[str, Any], form: str) -> str:
    if form == "json":
        return json.dumps(body, indent=2, ensure_ascii=False)
    text: str = yaml.safe_dump(body, sort_keys=False, allow_unicode=True, width=120)
    return text.rstrip("\n")
