"""The AsyncAPI 3.0 document of the public events: channels, messages, and what a subscriber may rely on. Pure.

Reference: https://www.asyncapi.com/docs/reference/specification/v3.0.0. Extensions (`x-...`) hold what AsyncAPI has no
words for: the stream, and the durable consumer that keeps the order.
"""

from __future__ import annotations

from typing import Any, Final

from schemas.cloudevents import JSON
from schemas.messages import public_type
from schemas.public_events import EVENTS_OF, MEANINGS, Entity, component_name, event_components, header_schema
from schemas.subjects import EVENT_STREAM, SUBSCRIBER_ACK_WAIT_SECONDS, event

VERSION: Final = "1.0.0"
"""Of the contract: the minor part rises when a type or field is added, the major part with the `.v1` of a type."""
Node = dict[str, Any]
_REFERENCE: Final = "#/components/schemas/{name}"

_ABOUT: Final = f"""\
Every transition of every workflow and step that kubernaut-workflow runs, as CloudEvents 1.0 in the binary mode of the
NATS protocol binding: attributes in `ce-` headers, JSON as payload.

**Where.** The JetStream stream `{EVENT_STREAM.name}`. Read it by a durable pull consumer of your own
(`x-jetstream.consumer`); a plain subscription to the subjects works too, but misses what happens while it is away.

**Delivery.** At least once. The stream itself holds no loss and no duplicate; a redelivery comes when an
acknowledgement was late or lost. Two messages with one `ce-id` are one event.

**Order.** The events of one workflow are in the order in which they happened; `ce-ordinal` counts them from 0 without a
gap. Nothing is said about the order between workflows. A consumer with `max_ack_pending` 1 keeps the order through
redeliveries and restarts; with more in hand an event can come again after later ones.

**Gaps.** History is kept for {EVENT_STREAM.max_age_days} days unless the operator settled on another time. A subscriber
that reads all events of a workflow and finds an ordinal left out has lost what retention dropped; one that filters by
subject sees ordinals left out as a matter of course.

**Versions.** Within `.v1` only additions: types, fields, attributes. Ignore fields and attributes that you do not know;
take a type that you do not know as an event of an unknown kind, acknowledge it, and go on. A change that breaks readers
is a new type, `.v2`, published beside the old one for a time.

**Broken messages.** A message that is no CloudEvent, or whose data does not fit its type, must not stop a subscriber:
tell of it, acknowledge it, go on.

**Secrets.** Passwords, tokens, keys and the like are redacted before anything is published.
"""


def asyncapi() -> Node:
    """Return the whole document."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "kubernaut-workflow public events",
            "version": VERSION,
            "description": _ABOUT,
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": JSON,
        "servers": {
            "nats": {
                "host": "{host}:{port}",
                "protocol": "nats",
                "description": f"The NATS server that holds the stream {EVENT_STREAM.name}, with JetStream.",
                "variables": {"host": {"default": "localhost"}, "port": {"default": "4222"}},
            }
        },
        "channels": {f"{entity}Events": _channel(entity) for entity in EVENTS_OF},
        "operations": {f"tell{entity.capitalize()}Events": _operation(entity) for entity in EVENTS_OF},
        "components": {
            "messages": {
                _name(entity, what): _message(entity, what) for entity, words in EVENTS_OF.items() for what in words
            },
            "schemas": event_components(_REFERENCE),
        },
        "x-jetstream": {
            "stream": EVENT_STREAM.name,
            "subjects": list(EVENT_STREAM.subjects),
            "maxAgeDays": EVENT_STREAM.max_age_days,
            "consumer": _consumer(),
        },
    }


def _consumer() -> Node:
    return {
        "durable_name": "<a name of your own>",
        "ack_policy": "explicit",
        "deliver_policy": "all",
        "max_ack_pending": 1,
        "ack_wait": SUBSCRIBER_ACK_WAIT_SECONDS * 1_000_000_000,
        "max_deliver": -1,
        "filter_subjects": [event("*", "*", "workflow", "failed")],
    }


def _channel(entity: Entity) -> Node:
    words = EVENTS_OF[entity]
    return {
        "address": event("{namespace}", "{workflowUid}", entity, "{what}"),
        "title": f"Events of {entity}s",
        "description": f"One subject for each namespace, workflow and kind of event; wildcards choose among them, such"
        f" as `{event('*', '*', entity, words[-1])}`.",
        "servers": [{"$ref": "#/servers/nats"}],
        "parameters": {
            "namespace": {"description": "Namespace of the workflow.", "examples": ["shop"]},
            "workflowUid": {"description": "Uid of the WorkflowExecution; names are in no subject."},
            "what": {"description": "What happened; others may be added.", "enum": list(words)},
        },
        "messages": {_name(entity, what): {"$ref": f"#/components/messages/{_name(entity, what)}"} for what in words},
    }


def _operation(entity: Entity) -> Node:
    channel = f"#/channels/{entity}Events"
    return {
        "action": "send",
        "channel": {"$ref": channel},
        "summary": f"kubernaut-workflow tells every transition of a {entity}, each once and in order.",
        "messages": [{"$ref": f"{channel}/messages/{_name(entity, what)}"} for what in EVENTS_OF[entity]],
    }


def _message(entity: Entity, what: str) -> Node:
    kind = public_type(entity, what)
    correlation = {
        "description": "One remediation, over all its workflows.",
        "location": "$message.header#/ce-correlationid",
    }
    return {
        "name": kind,
        "title": f"{entity.capitalize()} {what.replace('_', ' ')}",
        "summary": MEANINGS[entity][what],
        "contentType": JSON,
        "headers": header_schema(kind),
        "payload": {"$ref": _REFERENCE.format(name=component_name(entity))},
        "correlationId": correlation,
    }


def _name(entity: Entity, what: str) -> str:
    return entity + "".join(word.capitalize() for word in what.split("_"))
