"""Holds public events to what `schemas/generated` promises of them. Every event that a test publishes goes through."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import yaml
from jsonschema import Draft202012Validator

from runtime.subject_match import covers
from schemas.subjects import EVENTS, event

_GENERATED = Path(__file__).resolve().parents[1] / "schemas" / "generated"


def check_public(subject: str, headers: Mapping[str, str], data: bytes) -> None:
    """Raise AssertionError for a message on a subject of public events that is not as published; pass by all others."""
    if not covers(EVENTS, subject):
        return
    problems = public_problems(subject, headers, data)
    assert not problems, f"public event on {subject}: {'; '.join(problems)}"


def public_problems(subject: str, headers: Mapping[str, str], data: bytes) -> list[str]:
    """Return what of a message is not as the AsyncAPI document and the JSON Schemas say; empty when all is."""
    kind = headers.get("ce-type", "")
    validators = _validators().get(kind)
    if validators is None:
        return [f"{kind!r} is no public type"]
    of_headers, of_data = validators
    body = json.loads(data)
    problems = [f"{'/'.join(map(str, error.path))}: {error.message}" for error in of_headers.iter_errors(dict(headers))]
    problems += [f"{'/'.join(map(str, error.path))}: {error.message}" for error in of_data.iter_errors(body)]
    if headers.get("Nats-Msg-Id") != headers.get("ce-id"):
        problems.append("the deduplication id is not the event's")
    if not problems:
        _, _, entity, what, _ = kind.split(".")
        about = body["workflow"]
        expected = event(about["namespace"], about["uid"], "step" if entity == "step" else "workflow", what)
        if subject != expected:
            problems.append(f"it belongs on {expected}")
    return problems


@cache
def _validators() -> dict[str, tuple[Draft202012Validator, Draft202012Validator]]:
    """Validators of headers and data by type, made of the files that outside programs get."""
    document = yaml.safe_load((_GENERATED / "asyncapi.yaml").read_text(encoding="utf-8"))
    messages = document["components"]["messages"].values()
    return {
        message["name"]: (
            Draft202012Validator(message["headers"]),
            Draft202012Validator(json.loads((_GENERATED / f"{message['name']}.schema.json").read_text("utf-8"))),
        )
        for message in messages
    }
