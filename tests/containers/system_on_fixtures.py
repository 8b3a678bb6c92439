"""The services on whatever NATS, PostgreSQL and Kubernetes the fixtures give: run by `test_fixtures.py`, in a child."""

from __future__ import annotations

from pathlib import Path

import pytest

from kubernaut.local.stack import StackOptions
from tests.e2e.system import a_world
from tests.e2e.world import a_workflow, ten_steps

pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]


async def test_runs_come_to_their_end(nats_url: str, database_url: str, kubeconfig: str, tmp_path: Path) -> None:
    """Installed and run against the three: five graphs complete, and the audit has a row for each message."""
    parts = StackOptions(
        name="fixtures", home=tmp_path, nats_url=nats_url, database_url=database_url, kubeconfig=Path(kubeconfig)
    )
    async with a_world(parts) as world:
        names = await world.apply(*(a_workflow(f"contained-{n}", ten_steps()) for n in range(5)))
        ended = await world.all_end(names, 300.0)

        assert {"completed"} == {status["phase"] for status in ended.values()}
        assert await world.audit_is_complete(120.0) > 0
