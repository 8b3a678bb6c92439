"""The benchmark itself works: two runs through the whole system and through the floor. No figure is judged."""

from __future__ import annotations

import msgspec
import pytest

from benchmarks import machine, report, throughput
from benchmarks.options import Options
from benchmarks.system import running
from kubernaut.local.progress import Progress
from tests.identities import not_themselves
from tests.refusals import nats_refusals

pytestmark = [pytest.mark.real, pytest.mark.timeout(900)]


async def test_throughput_is_measured_beside_a_floor_that_writes_the_same() -> None:
    """The floor made exactly the writes of the system, and the report says what was measured."""
    options = Options(runs=2, rounds=1)

    measure = await throughput.measure(options, Progress())

    found = report.Report(began="2026-01-01T00:00:00Z", machine=machine.look(), options=options, measures=(measure,))
    body = msgspec.json.decode(report.as_json(found))
    shown = body["measures"][0]
    figures = {figure["name"]: figure for figure in shown["figures"]}
    assert shown["details"]["writes_a_step"] == shown["details"]["floor_writes_a_step"]
    assert [] == shown["details"]["not_in_the_floor"]
    assert figures["steps a second"]["value"] > 0
    assert figures["steps a second"]["floor"] > 0
    assert ("≥ 0.8", bool) == (figures["share of the floor"]["goal"], type(figures["share of the floor"]["met"]))
    assert {"scheduler", "watcher", "executor_bridge", "auditor", "nats"} <= {
        name.removeprefix("CPU a step: ") for name in figures
    }


async def test_what_is_measured_are_services_with_their_own_rights() -> None:
    """As a chart has them: what an administrator is spared would be missing from the figures."""
    async with running(Progress()) as system:
        strangers = await not_themselves(system.stack)
        refused = nats_refusals(system.stack.logs)

    assert ([], []) == (strangers, refused)
