"""The AsyncAPI document: valid by the official schema, whole, and true to the JSON Schemas beside it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from schemas.asyncapi import asyncapi
from schemas.messages import STEP_EVENTS, WORKFLOW_EVENTS
from schemas.public_events import MEANINGS, data_schema, public_types
from schemas.subjects import EVENTS
from tests.subscribers.programs import ROOT, npm_packages

GENERATED = ROOT / "schemas" / "generated"
DOCUMENT: dict[str, Any] = yaml.safe_load((GENERATED / "asyncapi.yaml").read_text())
OFFICIAL = [pytest.param(None, id="3.0.0")] if shutil.which("npm") else []
"""The schema comes from npm; a machine without it leaves this out."""


@pytest.mark.parametrize("_", OFFICIAL)
def test_it_is_valid_by_the_official_schema(tmp_path: Path, _: None) -> None:
    """That of the package that the AsyncAPI project's own tools use; and the check can fail."""
    npm_packages(Path(__file__).with_name("asyncapi"), tmp_path)
    schema = json.loads((tmp_path / "node_modules/@asyncapi/specs/schemas/3.0.0.json").read_text())
    validator = jsonschema.Draft7Validator(schema)
    broken = DOCUMENT | {"channels": {"workflowEvents": {"adress": "kubernaut"}}}

    assert [] == [error.message for error in validator.iter_errors(DOCUMENT)]
    assert [] != list(validator.iter_errors(broken))


def test_every_reference_in_it_leads_somewhere() -> None:
    """A schema cannot tell that."""
    assert [] == [where for where in references(DOCUMENT) if lookup(where) is None]


def references(node: Any) -> list[str]:
    """All `$ref` below a node."""
    if isinstance(node, dict):
        here = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
        return here + [found for value in node.values() for found in references(value)]
    return [found for value in node for found in references(value)] if isinstance(node, list) else []


def lookup(where: str) -> Any:
    """What a reference leads to; None when there is nothing."""
    node: Any = DOCUMENT
    for part in where.removeprefix("#/").split("/"):
        node = node.get(part) if isinstance(node, dict) else None
    return node


def test_it_has_every_public_type_once_with_its_meaning() -> None:
    """As messages of the channel of its entity."""
    messages = DOCUMENT["components"]["messages"].values()

    assert sorted(public_types()) == sorted(message["name"] for message in messages)
    assert {"workflow": set(WORKFLOW_EVENTS), "step": set(STEP_EVENTS)} == {
        entity: set(meanings) for entity, meanings in MEANINGS.items()
    }
    assert {"workflowEvents": 12, "stepEvents": 8} == {
        name: len(channel["messages"]) for name, channel in DOCUMENT["channels"].items()
    }


def test_its_addresses_are_subjects_of_the_stream() -> None:
    """With a parameter for each token that differs."""
    for channel in DOCUMENT["channels"].values():
        tokens = channel["address"].split(".")
        assert EVENTS.removesuffix(".>").split(".") == tokens[:2]
        assert [f"{{{name}}}" for name in channel["parameters"]] == [one for one in tokens if one.startswith("{")]


@pytest.mark.parametrize("kind", public_types())
def test_each_type_has_a_json_schema_of_its_own(kind: str) -> None:
    """Valid by its dialect, and saying of the data what the document says."""
    found = json.loads((GENERATED / f"{kind}.schema.json").read_text())
    entity, _ = public_types()[kind]
    component = DOCUMENT["components"]["schemas"][f"{entity.capitalize()}Event"]

    jsonschema.Draft202012Validator.check_schema(found)
    assert found == data_schema(kind)
    assert (component["required"], set(component["properties"])) == (found["required"], set(found["properties"]))


def test_what_it_says_of_the_consumer_is_what_the_client_makes() -> None:
    """One message in hand, explicit acknowledgement, no limit of deliveries."""
    consumer = asyncapi()["x-jetstream"]["consumer"]

    assert {"ack_policy": "explicit", "max_ack_pending": 1, "max_deliver": -1, "ack_wait": 10_000_000_000} == {
        key: consumer[key] for key in ("ack_policy", "max_ack_pending", "max_deliver", "ack_wait")
    }
