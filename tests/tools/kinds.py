"""JSON Schemas of every kind that an API server serves, made from its own OpenAPI, for `kubeconform`. Pure.

Strict: an object may have no property that the server does not know, unless the server keeps unknown ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

Schema = dict[str, Any]
_REF: Final = "#/components/schemas/"
_KINDS: Final = "x-kubernetes-group-version-kind"
_KEEPS_UNKNOWN: Final = "x-kubernetes-preserve-unknown-fields"
LOCATION: Final = "{{ .Group }}_{{ .ResourceAPIVersion }}_{{ .ResourceKind }}.json"
"""How kubeconform finds the file of a kind."""


def schema_files(document: Schema) -> Iterator[tuple[str, Schema]]:
    """Return the name and the schema of each kind in an OpenAPI 3 document of one group and version."""
    components = {name: _strict(schema) for name, schema in document["components"].get("schemas", {}).items()}
    for name, schema in components.items():
        for kind in schema.get(_KINDS, ()):
            group, version = kind["group"] or kind["version"], kind["version"]
            needed = _needed(name, components)
            yield (
                f"{group}_{version}_{kind['kind'].lower()}.json",
                {"$ref": _REF + name, "components": {"schemas": {each: components[each] for each in sorted(needed)}}},
            )


def _strict(schema: Schema) -> Schema:
    strict = dict(schema)
    if "properties" in schema:
        strict["properties"] = {name: _strict(each) for name, each in schema["properties"].items()}
        if not schema.get(_KEEPS_UNKNOWN):
            strict.setdefault("additionalProperties", False)
    for inner in ("items", "additionalProperties"):
        if isinstance(schema.get(inner), dict):
            strict[inner] = _strict(schema[inner])
    if strict.pop("nullable", False) and isinstance(strict.get("type"), str):
        strict["type"] = [strict["type"], "null"]
    return strict


def _needed(name: str, components: Schema) -> set[str]:
    """Return the names of all components that one stands on, itself among them."""
    found, waiting = {name}, [name]
    while waiting:
        for each in _references(components[waiting.pop()]):
            if each not in found:
                found.add(each)
                waiting.append(each)
    return found


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"].removeprefix(_REF)
        for each in value.values():
            yield from _references(each)
    elif isinstance(value, list):
        for each in value:
            yield from _references(each)
