"""The broker loses messages under a working system: it is said, nobody acts, and docs/recovery.md leads back.

Every creation of an execution is counted at the API server: none takes place twice, whatever was lost.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
import time

import msgspec
import pytest

from kubernaut.operation_facts import me
from runtime.nats_stored import milliseconds
from schemas.subjects import LOG, RECOVERIES
from tests.e2e.world import World, a_workflow, ten_steps, until
from tests.nats_server import administrator
from tests.relay import AtText, a_relay
from tests.storage import damage
from tests.storage.conftest import run
from tests.storage.pages import page
from tests.storage.waiting import RUNS, the_audit_holds_the_log, under_way

pytestmark = [pytest.mark.real, pytest.mark.timeout(600), pytest.mark.asyncio(loop_scope="session")]

SERVICES = ("watcher", "scheduler", "executor_bridge", "auditor")
_COUNTED = re.compile(r"^kubernaut_storage_regressed_total\{[^}]*\} ([0-9.e+]+)", re.MULTILINE)


async def is_said(world: World, what: str) -> None:
    """Every service is unready with this reason, and counts it, within a minute."""

    async def said() -> bool:
        for name in SERVICES:
            ports = world.stack.supervisor[name].process.spec.ports
            status, text = await page(ports["health"], "/readyz?verbose")
            if status == 200 or what not in text:
                return False
            _, metrics = await page(ports["metrics"], "/metrics")
            if not any(float(count) >= 1 for count in _COUNTED.findall(metrics)):
                return False
        return True

    await until(said, f"every service says {what!r}", 60)


async def finds_no_stream(world: World, service: str) -> None:
    """A service has connected to the server that is there now, and says so."""
    port = world.stack.supervisor[service].process.spec.ports["health"]

    async def said() -> bool:
        return "does not exist" in (await page(port, "/readyz?verbose"))[1]

    await until(said, f"the {service} finds no stream", 60)


async def stored_last(world: World) -> int:
    """When the newest message that the log has was stored, in ms by the server's clock, which is this machine's."""
    async with administrator(world.stack.nats_url or "") as connection:
        state = msgspec.json.decode(await connection.api(f"STREAM.INFO.{LOG.name}"))["state"]
    return milliseconds(state["last_ts"])


async def comes_back_cut_off(world: World) -> int:
    """Kill the server and start it on half of its newest messages; return when it was dead, in ms."""
    await world.stack.supervisor.kill("nats", stay_down=True)
    dead = time.time_ns() // 1_000_000
    damage.cut_off(damage.store_below(world.stack.home.data / "nats"))
    await world.stack.supervisor.start("nats")
    return dead


async def the_audit_says_what_is_gone(world: World) -> None:
    """Everything that it was told is there, what it was never told is a note: how much, why, and who accepted that."""
    await the_audit_holds_the_log(world)
    code, said = await run(world, "kubernaut", "audit", "verify")
    assert code == 0, said
    assert re.search(
        rf"note: the log lost messages \d+ to \d+: .+; {re.escape(me())} accepted that on \d{{4}}-", said
    ), said


async def recovered(world: World) -> str:
    """Walk docs/recovery.md: look, accept, wait; return what the command said."""
    code, said = await run(world, "kubernaut", "recover")
    assert (3, True) == (code, "nothing was changed" in said), said
    code, said = await run(world, "kubernaut", "recover", "--accept-loss")
    assert code == 0, said
    await world.all_ready(180)
    return said


async def killed_in_place_of(world: World, command: bytes, *arguments: str) -> int:
    """Run a program of ours, `python -m …`, killed when it would have sent this to NATS; return how it ended."""
    processes: list[asyncio.subprocess.Process] = []

    def kill() -> None:
        processes[0].kill()

    environment = {**os.environ, **world.stack.environment}
    async with a_relay(environment["NATS_URL"], AtText(command), kill) as relay:
        environment["NATS_URL"] = relay
        processes.append(await asyncio.create_subprocess_exec(sys.executable, "-m", *arguments, env=environment))
        return await asyncio.wait_for(processes[0].wait(), 120)


async def ends_well(world: World, names: list[str]) -> set[str]:
    """Every run ends, completed or with its log lost, each execution created once; new runs go as ever."""
    statuses = await world.all_end(names, 240)
    assert {"completed", "failed"} >= {each["phase"] for each in statuses.values()}
    assert {1} == set(world.creations(names).values())
    new = await world.apply(a_workflow(f"{names[0]}-after", ten_steps()))
    assert "completed" == (await world.all_end(new, 120))[new[0]]["phase"]
    assert {1} == set(world.creations(new).values())
    return {each["phase"] for each in statuses.values()}


async def test_a_log_that_was_cut_off_stops_everybody_and_is_recovered(system: World) -> None:
    """Killed, cut off and started again: nothing is created until a person has accepted; then all runs end (F34).

    Not one message is stored behind what is left of the log, either.
    """
    names = await under_way(system, "cut-off")
    dead = await comes_back_cut_off(system)
    await is_said(system, "lost")
    before = system.creations(names)  # what was on its way when NATS went has come by now
    # A service that starts now knows it as well, although it remembers nothing.
    await system.stack.supervisor.kill("scheduler")
    await is_said(system, "lost")
    assert before == system.creations(names)
    assert await stored_last(system) < dead

    said = await recovered(system)

    assert "made stream KUBERNAUT anew" in said
    await ends_well(system, names)
    await the_audit_says_what_is_gone(system)


async def test_a_store_that_was_wiped_is_not_made_anew_by_the_installer(system: World) -> None:
    """Not even what is remembered is left, and the auditor had been away: each run shows that it had begun (F35)."""
    await system.stack.supervisor.stop("auditor")
    names = await under_way(system, "wiped")
    await system.stack.supervisor.kill("nats", stay_down=True)
    store = damage.store_below(system.stack.home.data / "nats")
    damage.wipe(store)
    await system.stack.supervisor.start("auditor")
    await system.stack.supervisor.start("nats")
    await finds_no_stream(system, "executor_bridge")
    before = system.creations(names)  # what was on its way when NATS went has come by now
    code, said = await run(system, "kubernaut.install")
    assert (1, True) == (code, "kubernaut recover" in said), said
    assert before == system.creations(names)

    said = await recovered(system)

    assert f"{RUNS} runs end as failed with reason log_lost" in said
    assert {"failed"} == await ends_well(system, names)
    await the_audit_says_what_is_gone(system)


async def test_a_stream_that_an_administrator_made_anew_is_acted_on_by_nobody(system: World) -> None:
    """Same name, same configuration, same consumers, and none of the memory: what is remembered of it says so (F35)."""
    names = await under_way(system, "anew")
    async with administrator(system.stack.nats_url or "") as connection:
        info = msgspec.json.decode(await connection.api(f"STREAM.INFO.{LOG.name}"))
        before = system.creations(names)
        await connection.api(f"STREAM.DELETE.{LOG.name}")
        await connection.api(f"STREAM.CREATE.{LOG.name}", info["config"])
    await is_said(system, "made anew")
    code, said = await run(system, "kubernaut.install", "--only", "streams")
    assert (1, True) == (code, "kubernaut recover" in said), said
    stopped = system.creations(names)

    await recovered(system)

    assert set(before.values()) | set(stopped.values()) == {1}
    await ends_well(system, names)
    await the_audit_says_what_is_gone(system)


async def test_recover_is_killed_between_the_new_log_and_the_word_that_it_is_accepted(system: World) -> None:
    """Nobody acts on half of it: no service, none that starts now, not the installer; run again it ends well (F34)."""
    names = await under_way(system, "killed")
    await comes_back_cut_off(system)
    await is_said(system, "lost")
    before = system.creations(names)  # what was on its way when NATS went has come by now

    ended = await killed_in_place_of(system, f"PUB {RECOVERIES} ".encode(), "kubernaut", "recover", "--accept-loss")
    await system.stack.supervisor.kill("scheduler")
    await is_said(system, "made anew")
    installed, why = await run(system, "kubernaut.install", "--only", "streams")
    stopped = system.creations(names)
    said = await recovered(system)

    assert -signal.SIGKILL == ended
    assert (1, True) == (installed, "kubernaut recover" in why), why
    assert before == stopped
    assert "made stream KUBERNAUT anew" in said
    await ends_well(system, names)
    await the_audit_says_what_is_gone(system)
