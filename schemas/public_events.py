"""The public events: what each type means, and the JSON Schemas of its headers and of its data. Pure.

What outside programs rely on. Within a major version (`.v1`) fields and types are only ever added.
"""

from __future__ import annotations

from typing import Any, Final, Literal

from schemas.cloudevents import JSON, SPEC_VERSION
from schemas.json_schemas import DIALECT, components_of
from schemas.messages import STEP_EVENTS, WORKFLOW_EVENTS, PublicEvent, public_type

Entity = Literal["workflow", "step"]
Schema = dict[str, Any]

EVENTS_OF: Final[dict[Entity, tuple[str, ...]]] = {"workflow": WORKFLOW_EVENTS, "step": STEP_EVENTS}
MEANINGS: Final[dict[Entity, dict[str, str]]] = {
    "workflow": {
        "planned": "The definition was accepted and the plan is made.",
        "validated": "All required checks passed, and the dry run if there was one.",
        "approved": "A person approved the plan; the message names who.",
        "rejected": "A person rejected the plan; the run then fails.",
        "started": "The first steps may run.",
        "paused": "A person paused the run: no new step starts.",
        "resumed": "A person let the paused run go on.",
        "completed": "The run ended well, wholly or in part; the reason tells which.",
        "failed": "The run ended badly; the reason names the rule, the message is for people.",
        "cancelled": "The run was ended by a person, or by the deletion of its object.",
        "rolled_back": "Everything that could be undone was tried; the message tells what was not.",
        "deleted": "The object of the workflow is gone from the cluster; the last event of a run.",
    },
    "step": {
        "ready": "Its turn has come: the creation of its KubernetesExecution is commanded.",
        "started": "Its KubernetesExecution was seen in the cluster.",
        "completed": "It ended well.",
        "failed": "It ended badly and is not tried again.",
        "retrying": "An attempt failed; another follows after a pause.",
        "skipped": "It does not run: by its condition, by a person, or because of a dependency.",
        "cancelled": "It was ended, or never begun, because the run ended.",
        "rolled_back": "What it did was undone.",
    },
}
_REFERENCE: Final = "#/$defs/{name}"
_CONSTANTS: Final = {
    "ce-specversion": SPEC_VERSION,
    "ce-source": "/kubernaut/scheduler",
    "ce-datacontenttype": JSON,
    "content-type": JSON,
}
_TEXTS: Final = {
    "ce-id": (r"^[^/]+/[1-9][0-9]*/[0-9]+$", "`<workflow uid>/<decision>/<transition>`: the same fact, the same id."),
    "Nats-Msg-Id": ("", "Equals `ce-id`."),
    "ce-time": (r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)$", "When it was decided, RFC 3339."),
    "ce-subject": ("^[^/]+/[^/]+$", "`<namespace>/<name>` of the workflow."),
    "ce-ordinal": ("^(0|[1-9][0-9]*)$", "Place of the event among all of its workflow, from 0, without a gap."),
    "ce-correlationid": ("", "Name of the RemediationRequest, else uid of the workflow."),
    "ce-causationid": ("", "Id of the decision on the log that the event was made of."),
    "ce-traceparent": ("^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$", "W3C trace context."),
}


def public_types() -> dict[str, tuple[Entity, str]]:
    """Return entity and word of each public event by its CloudEvents type."""
    return {public_type(entity, what): (entity, what) for entity, words in EVENTS_OF.items() for what in words}


def data_schema(kind: str) -> Schema:
    """Return the JSON Schema of the data of one public type. Raises KeyError for another."""
    entity, what = public_types()[kind]
    parts = event_components(_REFERENCE)
    top = parts.pop(component_name(entity))
    if entity == "workflow":
        parts.pop("StepRef")
    about = {"title": kind, "description": MEANINGS[entity][what]}
    return {"$schema": DIALECT, **top, **about, "$defs": parts}


def header_schema(kind: str) -> Schema:
    """Return the JSON Schema of the NATS headers of one public type, values as they stand on the wire."""
    properties: Schema = {name: {"type": "string", "const": value} for name, value in _CONSTANTS.items()}
    properties["ce-type"] = {"type": "string", "const": kind}
    for name, (pattern, words) in _TEXTS.items():
        form = {"pattern": pattern} if pattern else {"minLength": 1}
        properties[name] = {"type": "string", **form, "description": words}
    return {"type": "object", "properties": dict(sorted(properties.items())), "required": sorted(properties)}


def event_components(reference: str) -> dict[str, Schema]:
    """Return the schemas of the data of both entities and of their parts by name; `reference`: how they name others."""
    parts = components_of(PublicEvent, reference)
    both = parts.pop("PublicEvent")
    properties = {name: schema for name, schema in both["properties"].items() if name != "step"}
    step = {"step": {"$ref": reference.format(name="StepRef")}}
    for entity in EVENTS_OF:
        of_step = entity == "step"
        parts[component_name(entity)] = {
            "title": component_name(entity),
            "description": f"One transition of a {entity}.",
            "type": "object",
            "properties": {**properties, **(step if of_step else {})},
            "required": [*both["required"], *(step if of_step else ())],
        }
    return dict(sorted(parts.items()))


def component_name(entity: Entity) -> str:
    """Return the name of the schema that the data of an entity's events has."""
    return f"{entity.capitalize()}Event"
