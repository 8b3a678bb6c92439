"""Builders of what expressions see."""

from __future__ import annotations

from typing import Any

from scheduler.expressions import Scope

STARTED = 1_700_000_000_000
"""2023-11-14T22:13:20Z."""


def a_step_seen(status: str = "completed", **fields: Any) -> dict[str, Any]:
    """A step as expressions see it."""
    return {"status": status, "result": {}, "error": "", "attempts": 1, "name": ""} | fields


def a_scope(*steps: dict[str, Any], now: int = STARTED + 60_000, **variables: str) -> Scope:
    """A scope with these steps, numbered from 1, a minute after the run began."""
    return Scope(
        variables=variables,
        steps=dict(enumerate(steps, start=1)),
        workflow={"name": "leak", "namespace": "shop", "uid": "u-1", "phase": "executing", "startedAt": STARTED},
        now=now,
    )
