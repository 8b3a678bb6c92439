"""The JSON Schema of what `kubernaut doctor -o json` prints. Pure; `make generate` writes it to docs."""

from __future__ import annotations

import sys
from typing import Any

import msgspec

from kubernaut.doctor.finding import SEVERITIES, Finding


def schema() -> dict[str, Any]:
    """Return the schema; new fields and checks may come, these stay."""
    finding = msgspec.json.schema(Finding)["$defs"]["Finding"]
    count = {"type": "integer", "minimum": 0}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Findings of kubernaut doctor",
        "type": "object",
        "required": ["counts", "findings"],
        "properties": {
            "counts": {"type": "object", "properties": dict.fromkeys(SEVERITIES, count), "required": list(SEVERITIES)},
            "findings": {"type": "array", "items": {**finding, "description": "One thing that was looked at."}},
        },
    }


if __name__ == "__main__":
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(schema()), indent=2).decode() + "\n")
