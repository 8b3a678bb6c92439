"""JSON Schemas (draft 2020-12) of the resources, the messages on the log and the public events. Pure."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import inspect

from schemas import messages
from schemas.docs import field_docs
from schemas.execution import KubernetesExecution
from schemas.workflow import WorkflowExecution

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_REFERENCE: Final = "#/$defs/{name}"


def json_schemas() -> dict[str, dict[str, Any]]:
    """Return every schema by the name of its file, without the folder."""
    structs: dict[str, type[msgspec.Struct]] = {
        "workflowexecution": WorkflowExecution,
        "kubernetesexecution": KubernetesExecution,
        "public-event": messages.PublicEvent,
        **messages.TYPES,
    }
    return {f"{name}.schema.json": _schema(name, struct) for name, struct in structs.items()}


def _schema(name: str, struct: type[msgspec.Struct]) -> dict[str, Any]:
    top = {"$ref": _REFERENCE.format(name=struct.__name__)}
    components = components_of(struct, _REFERENCE)
    return {"$schema": DIALECT, "title": name, **top, "$defs": components}


def components_of(struct: type[msgspec.Struct], reference: str) -> dict[str, dict[str, Any]]:
    """Return the schemas of a struct and of all that it is made of by name; `reference`: how they name one another."""
    _, components = msgspec.json.schema_components([struct], ref_template=reference)
    classes: dict[str, type[msgspec.Struct]] = {}
    _collect(inspect.type_info(struct), classes)
    for title, component in components.items():
        if title in classes:
            _document(component, classes[title])
    return dict(sorted(components.items()))


def _collect(kind: inspect.Type, classes: dict[str, type[msgspec.Struct]]) -> None:
    """Find every struct that a type is made of, by its name."""
    if isinstance(kind, inspect.StructType):
        if kind.cls.__name__ in classes:
            return
        classes[kind.cls.__name__] = kind.cls
        for field in kind.fields:
            _collect(field.type, classes)
    elif isinstance(kind, inspect.UnionType):
        for member in kind.types:
            _collect(member, classes)
    else:
        for part in ("type", "item_type", "key_type", "value_type"):
            if isinstance(inner := getattr(kind, part, None), inspect.Type):
                _collect(inner, classes)
        for inner in getattr(kind, "item_types", ()):
            _collect(inner, classes)


def _document(component: dict[str, Any], struct: type[msgspec.Struct]) -> None:
    docs = field_docs(struct)
    fields = msgspec.structs.fields(struct)
    if "description" in component:
        component["description"] = " ".join(component["description"].split())
    properties = component.get("properties", {})
    items = component.get("prefixItems", [])
    for position, field in enumerate(fields):
        schema = properties.get(field.encode_name, items[position] if position < len(items) else None)
        if schema is not None:
            # An array-like struct names its fields in words only.
            words = docs.get(field.name, "" if properties else field.name)
            schema |= {"description": words} if words else {}
