"""What the real services show is what the rules and the dashboard ask for."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import aiohttp
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.e2e.world import World
from tests.observability.dashboards import expressions, filled
from tests.observability.evaluator import evaluator as built_evaluator
from tests.tools.build import BUILD_SECONDS

pytestmark = [pytest.mark.real, pytest.mark.timeout(BUILD_SECONDS + 300), pytest.mark.asyncio(loop_scope="session")]

FOLDER = Path(__file__).parents[2] / "deploy" / "observability"
_PARTS = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_count", "_sum")}


async def shown(world: World) -> set[str]:
    """Names on /metrics of any service, also of what has not happened yet."""
    ports = [each.spec.ports["metrics"] for each in world.stack.supervisor.members if "metrics" in each.spec.ports]
    async with aiohttp.ClientSession() as session:

        async def page(port: int) -> str:
            async with session.get(f"http://127.0.0.1:{port}/metrics") as answer:
                assert 200 == answer.status
                return await answer.text()

        pages = await asyncio.gather(*map(page, ports))
    families = [each for one in pages for each in text_string_to_metric_families(one)]
    return {f"{each.name}{part}" for each in families for part in _PARTS.get(each.type, ())}


async def asked() -> set[str]:
    """Names in the rules and the dashboard, but for those that the rules record."""
    groups = yaml.safe_load((FOLDER / "rules.yaml").read_text(encoding="utf-8"))["groups"]
    rules = [rule["expr"] for group in groups for rule in group["rules"]]
    queries = expressions(json.loads((FOLDER / "dashboard.json").read_bytes()))
    evaluator = await asyncio.to_thread(built_evaluator)
    found = evaluator.inspect([*rules, *map(filled, queries)])
    return {each.metric for one in found for each in one.selectors if ":" not in each.metric}


async def test_running_services_show_all_that_rules_and_dashboard_ask_for(world: World) -> None:
    """A metric that is defined in a module which no service imports would be on no page."""
    assert set() == await asked() - await shown(world)
