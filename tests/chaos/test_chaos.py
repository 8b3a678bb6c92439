"""The short form of `python -m tests.chaos`: every kind of fault on real processes, then everything must agree.

In it, by its seed: services and parts killed (F14, F27, F45), frozen (F29) and stopped in order (F53), workflows
deleted and applied again under their names (F17), executions deleted by hand (F18).
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.chaos.faults import API_SERVER, SERVICES, TWICE, draw
from tests.chaos.run import Asked, chaos

pytestmark = [pytest.mark.real, pytest.mark.timeout(1500)]

SEED = 1095
"""Its thirty seconds have every kind of fault."""
ENOUGH = 10
"""Executions, on a machine that is slow: with fewer nothing was tried."""
SHORT = Asked(
    seed=int(os.environ.get("KUBERNAUT_CHAOS_SEED", SEED)),
    seconds=30.0,
    workflows=25,
    quiet_seconds=6.0,
    end_seconds=300.0,
)


def test_the_short_form_has_every_kind_of_fault() -> None:
    """Else what is green proves less than it says."""
    faults = draw(SEED, SHORT.seconds, TWICE)
    who = {name.partition("-")[0] if name != API_SERVER else name for fault in faults for name in fault.who}

    assert {"kill", "freeze", "stop"} == {fault.kind for fault in faults}
    assert {*SERVICES, "nats", "postgres", API_SERVER, "etcd"} <= who


async def test_half_a_minute_of_faults_lose_nothing_and_repeat_nothing(tmp_path: Path) -> None:
    """All ends once the faults end, nobody writes after that, and objects, log, events, audit and metrics agree."""
    told: list[str] = []

    report = await chaos(SHORT, tmp_path, told.append)

    assert [] == report.problems, "\n".join([*told, *report.lines()])
    assert report.ends.total() >= SHORT.workflows
    assert report.executions >= ENOUGH
    assert report.rows == report.messages
