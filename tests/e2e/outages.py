"""`python -m tests.e2e.outages`: a part is away or stands still for long, in the middle of fifty runs (F14, F29, F45).

Shows for each how long after it all had ended and the audit was whole; 1 when anything was lost or done twice.
"""
# ruff: noqa: T201 - a program that prints

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from typing import Final

import msgspec

from kubernaut.local.claims import scratch
from kubernaut.local.kubernetes import API_SERVER
from kubernaut.local.stack import StackOptions
from schemas.workflow_status import TERMINAL_PHASES
from tests.e2e.fifty import fifty_runs
from tests.e2e.system import a_world
from tests.e2e.world import SERVICES, World, assert_each_step_once

PATIENT: Final = "15m"
"""Time that each step has: none is over because of an outage. A run has 20 minutes, which is more than the longest."""
END_SECONDS: Final = 300.0


class Outage(msgspec.Struct, frozen=True):
    """What happens to which part, and for how many seconds at least."""

    part: str
    frozen: bool
    seconds: float

    def __str__(self) -> str:
        """As it is shown, and as `--only` picks it."""
        return f"{self.part}-{'frozen' if self.frozen else 'killed'}-{self.seconds:g}"


OUTAGES: Final = (
    *(Outage(API_SERVER, frozen=False, seconds=seconds) for seconds in (5, 60, 600)),
    *(Outage("nats", frozen=True, seconds=seconds) for seconds in (5, 30, 90)),
    Outage("postgres", frozen=True, seconds=60),
    Outage("postgres", frozen=False, seconds=300),
)


async def one(world: World, outage: Outage) -> str:
    """Bring one about; what was seen. Raises AssertionError when a guarantee did not hold."""
    supervisor = world.stack.supervisor
    before = {name: supervisor[name].restarts for name in SERVICES}
    names = await fifty_runs(world, str(outage), "2s", timeout=PATIENT)
    stored = await world.messages_in_log()
    if outage.frozen:
        supervisor.pause(outage.part)
    else:
        await supervisor.kill(outage.part, stay_down=True)
    began = time.monotonic()
    if outage.part == "postgres":
        names += await _work_goes_on(world, outage)
    await asyncio.sleep(max(0, began + outage.seconds - time.monotonic()))
    if outage.frozen:
        supervisor.resume(outage.part)
    else:
        await supervisor.start(outage.part)
    back = time.monotonic()
    waiting = await world.messages_in_log() - stored
    if outage.part == "postgres":
        await world.reconnect_database()
    statuses = await world.all_end(names, END_SECONDS)
    ended = time.monotonic() - back
    await world.audit_is_complete(END_SECONDS)
    caught_up = time.monotonic() - back
    assert_each_step_once(world, names, statuses)
    await world.all_ready()
    restarts = {name: times for name in SERVICES if (times := supervisor[name].restarts - before[name])}
    return (
        f"{outage}: {len(names)} runs, {waiting} messages meanwhile; after it all ended in {ended:.1f} s, the audit was"
        f" whole in {caught_up:.1f} s; restarts of services: {restarts or 0}"
    )


async def _work_goes_on(world: World, outage: Outage) -> list[str]:
    """Run wave after wave while the auditor alone can do nothing; their names."""
    names = list[str]()
    until = time.monotonic() + outage.seconds
    while time.monotonic() < until:
        wave = await fifty_runs(world, f"{outage}-{len(names)}", "1s", timeout=PATIENT)
        await world.all_end(wave, END_SECONDS)
        names += wave
    return names


async def _waiting(world: World) -> list[str]:
    """What runs wait for that have not ended."""
    statuses = (await world.statuses()).items()
    return [f"{name}: {each.get('waitingFor')}" for name, each in statuses if each["phase"] not in TERMINAL_PHASES]


async def run(outages: list[Outage]) -> bool:
    """Bring all about, one after the other; whether everything held."""
    held = True
    with scratch("outages") as home:
        await asyncio.to_thread(home.chmod, 0o755)  # PostgreSQL may have to run as another user
        async with a_world(StackOptions(name="outages", home=home, audit_log=True)) as world:
            for outage in outages:
                try:
                    print(await one(world, outage), flush=True)
                except AssertionError as error:
                    print(f"{outage}: {error}", *await _waiting(world), sep="\n  ", flush=True)
                    held = False
    return held


def main() -> int:
    """Run what the command line asks for; 1 when a guarantee did not hold."""
    parser = argparse.ArgumentParser(prog="python -m tests.e2e.outages", description=__doc__)
    names = [str(each) for each in OUTAGES]
    parser.add_argument("--only", action="append", choices=names, help="leave out the others; may be repeated")
    only = parser.parse_args().only or names
    return 0 if asyncio.run(run([each for each in OUTAGES if str(each) in only])) else 1


if __name__ == "__main__":
    sys.exit(main())
