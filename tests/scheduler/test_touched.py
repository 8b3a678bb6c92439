"""What a completed step has changed, so that monitoring watches it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.scheduler.builders import Run, a_step, a_workflow

SAID = {"phase": "completed", "executionResults": {"success": True, "resourcesAffected": []}}
WATCHED = {"executionStrategy": {"monitoring": {"window": "10s"}}}
LOOK = {"namespace": "shop", "resource": "deployment/checkout"}


@pytest.mark.parametrize(
    ("step", "touched"),
    [
        pytest.param({}, ("Deployment/shop/checkout",), id="what its action is about"),
        pytest.param({"action": "collect_diagnostics", "parameters": LOOK}, (), id="nothing by a look"),
        pytest.param(
            {"action": "audit_logs", "parameters": {"namespace": "shop", "timeRange": "1h"}}, (), id="nothing by logs"
        ),
        pytest.param(
            {"action": "backup_data", "parameters": LOOK | {"destination": "s3://b"}}, (), id="nothing by a backup"
        ),
    ],
)
@pytest.mark.parametrize("status", [{"phase": "completed"}, SAID], ids=["silent executor", "executor says nothing"])
def test_what_is_watched_where_the_executor_names_nothing(
    step: dict[str, Any], touched: tuple[str, ...], status: dict[str, Any]
) -> None:
    """Of an action that changes something its target, of one that only reads nothing: its health proves nothing."""
    run = Run(a_workflow(a_step(1, **step), **WATCHED))

    run.end(1, status=status)

    assert touched == run.state.steps[0].touched
