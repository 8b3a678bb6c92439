"""Services are moved to another API server of the same store: one that is behind, forgot, or has other credentials."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from base64 import b64decode
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
import pytest
import yaml

from kubernaut.local.kubernetes import API_SERVER, ETCD
from kubernaut.local.services import EXECUTOR_BRIDGE, WATCHER
from tests.e2e.world import until
from tests.stale.objects import all_end_well, an_object, change, delete, runs
from tests.stale.pipe import a_pipe
from tests.stale.second_server import NAME, etcd_port
from tests.stale.staleness import PATIENCE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.stale.gate import Gate
    from tests.stale.second_server import SecondServer
    from tests.stale.staleness import Staleness

pytestmark = [pytest.mark.real, pytest.mark.timeout(600), pytest.mark.asyncio(loop_scope="session")]
STOPPED_SECONDS = 12
"""Longer than a call of ours may take."""
HANGING_SECONDS = 3
"""Longer than the answer to a call takes."""


async def hangs(gate: Gate, since: float) -> None:
    """Wait until a request went through a gate and was not answered for a while."""

    async def unanswered() -> bool:
        return any(each.status == 0 and time.monotonic() - each.at > HANGING_SECONDS for each in gate.since(since))

    await until(unanswered, "a request waits for its answer", PATIENCE)


async def test_services_that_are_moved_to_a_server_that_stopped_in_the_past(
    stale: Staleness, second: SecondServer
) -> None:
    """(F4) Its cache ends before what both have seen, and it cannot ask the store: nothing is done from that."""
    names = await runs(stale, "moved", 3)
    stale.to_store.freeze()
    moved = time.monotonic()
    stale.writing.server = second.server
    await stale.restart(EXECUTOR_BRIDGE.name)
    await hangs(stale.writing, moved)
    stale.watching.server = second.server
    stale.watching.cut_watches()
    await stale.restart(WATCHER.name)
    await hangs(stale.watching, moved)
    await stale.is_unready("watcher", "[-]kubernetes/")
    seen = await stale.in_the_log()
    assert [] == [each for each in stale.writing.since(moved) if each.wrote and ".kubernaut.io/" in each.path]

    stale.to_store.thaw()
    await all_end_well(stale, names)

    after = await stale.in_the_log()
    assert all(after[uid][: len(versions)] == versions for uid, versions in seen.items())
    for service in stale.gates:
        await stale.is_ready(service)


async def test_a_server_that_has_forgotten_what_we_saw_last(stale: Staleness, second: SecondServer) -> None:
    """(F11) Its history begins after ours ends, etcd was compacted: 410, a list, and a tombstone for what is gone."""
    known, changed = await an_object(stale, "gone-meanwhile"), await an_object(stale, "changed-meanwhile")
    before = len(await stale.stories())
    await stale.world.stack.supervisor.stop(WATCHER.name)
    await delete(stale, "gone-meanwhile", known)
    version = await change(stale, "changed-meanwhile", "2")
    url = f"http://127.0.0.1:{etcd_port(stale.world.stack)}/v3/kv/compaction"
    async with aiohttp.ClientSession() as session, session.post(url, json={"revision": version}) as answer:
        assert answer.ok
    await stale.world.stack.supervisor.restart(NAME)
    stale.watching.server = second.server
    await stale.world.stack.supervisor.start(WATCHER.name)

    seen = await stale.log_is_true()

    assert ((version, False), True) == (seen[changed][-1], seen[known][-1][1])

    async def told() -> bool:
        whats = [story.what for story in (await stale.stories())[before:]]
        return "gap" in whats and "relisted" in whats

    await until(told, "the watcher told of the gap", PATIENCE)


async def test_a_store_that_stands_still_in_mid_run(stale: Staleness) -> None:
    """(F15) etcd is stopped for longer than a call may take: what was in flight may yet be done, and is done once."""
    names = await runs(stale, "still", 3)
    stale.world.stack.supervisor.pause(ETCD)
    await asyncio.sleep(STOPPED_SECONDS)  # the outage itself
    stale.world.stack.supervisor.resume(ETCD)

    await all_end_well(stale, names)
    await stale.world.all_ready(PATIENCE)


@asynccontextmanager
async def a_bridge(stale: Staleness, kubeconfig: Path) -> AsyncIterator[None]:
    """Another bridge instead of the one behind the gate."""
    supervisor = stale.world.stack.supervisor
    await supervisor.stop(EXECUTOR_BRIDGE.name)
    environment = {
        **os.environ,
        **stale.world.stack.service_environment(EXECUTOR_BRIDGE),
        "KUBECONFIG": str(kubeconfig),
        "KUBERNAUT_HEALTH_PORT": "0",
        "KUBERNAUT_METRICS_PORT": "0",
    }
    null = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", EXECUTOR_BRIDGE.module, env=environment, stdout=null
    )
    try:
        yield
        assert process.returncode is None
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        await supervisor.start(EXECUTOR_BRIDGE.name)
        await supervisor.wait_ready(EXECUTOR_BRIDGE.name)


class Files:
    """A kubeconfig of the bridge that names files for its token and the server's certificate, as a pod has them."""

    def __init__(self, folder: Path, own: Path, port: int) -> None:
        """`own`: the bridge's kubeconfig for the first server; `port`: where the new one leads to."""
        content = yaml.safe_load(own.read_text())
        (cluster,), (user,) = content["clusters"], content["users"]
        self._first_authority = b64decode(cluster["cluster"]["certificate-authority-data"])
        self._first_token = Path(user["user"]["tokenFile"])
        self._authority, self._token = folder / "ca.crt", folder / "token"
        cluster["cluster"] = {"server": f"https://127.0.0.1:{port}", "certificate-authority": str(self._authority)}
        user["user"] = {"tokenFile": str(self._token)}
        self.kubeconfig = folder / "kubeconfig"
        self.kubeconfig.write_text(yaml.safe_dump(content))

    def for_second(self, second: SecondServer) -> None:
        """Put in what the second server takes, and the first does not."""
        self._authority.write_bytes(second.certificate.read_bytes())
        self._token.write_text(second.token)

    def for_first(self) -> None:
        """Put in what the first server takes."""
        self._authority.write_bytes(self._first_authority)
        self._token.write_text(self._first_token.read_text())


async def test_token_and_ca_are_replaced_in_their_files_in_mid_run(
    stale: Staleness, second: SecondServer, tmp_path: Path
) -> None:
    """(F21) Of one moment to the next the server has another certificate and takes another token: no step fails."""
    stack = stale.world.stack
    async with a_pipe(second.port) as pipe:
        files = Files(tmp_path, Path(stack.service_environment(EXECUTOR_BRIDGE)["KUBECONFIG"]), pipe.port)
        files.for_second(second)
        async with a_bridge(stale, files.kubeconfig):
            names = await runs(stale, "rotated", 2, take="2s")
            files.for_first()
            pipe.target = int(stack.supervisor[API_SERVER].spec.ports["api"])
            pipe.cut()

            await all_end_well(stale, names)
