import asyncio
import os
import signal
from pathlib import Path

import pytest

from kubernaut.local.build import build, cache_folder, find_sources
from kubernaut.local.ports import LOOPBACK, PortPool
from kubernaut.local.process import is_alive
from kubernaut.local.progress import Progress
from tests.local.waiting import until

pytestmark = pytest.mark.real

# Starts etcd, tells its process id, and waits to be killed.
PARENT = 'LOCALCLUSTER_PARENT_PID=$$ "$@" >/dev/null 2>&1 & echo $!; wait'


async def program() -> str:
    """Return the built program."""
    return str(await build(find_sources(), cache_folder(), Progress()))


async def run(*arguments: str, **environment: str) -> tuple[int | None, str]:
    """Return how it ended and what it wrote."""
    process = await asyncio.create_subprocess_exec(
        *(await program(), *arguments),
        env={**os.environ, **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    written, _ = await process.communicate()
    return process.returncode, written.decode()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        pytest.param((), "no program named", id="no program"),
        pytest.param(("kubelet",), 'unknown program "kubelet"', id="a program that is not in it"),
    ],
)
async def test_a_wrong_call_is_answered_with_what_there_is(arguments: tuple[str, ...], told: str) -> None:
    """The usage lists the programs."""
    code, written = await run(*arguments)

    assert (2, True, True) == (code, told in written, "etcd, kube-apiserver, kube-controller-manager" in written)


async def test_a_parent_that_is_no_process_is_refused() -> None:
    """Otherwise it would end at once, and nobody would know why."""
    code, written = await run("etcd", LOCALCLUSTER_PARENT_PID="mother")

    assert (2, True) == (code, 'LOCALCLUSTER_PARENT_PID="mother" is not a process id' in written)


async def test_it_ends_when_its_parent_is_gone(tmp_path: Path) -> None:
    """Also where the kernel sends no signal for that, as here, where nobody asked for one."""
    ports = PortPool()
    client, peer = (f"http://{LOOPBACK}:{ports.take()}" for _ in range(2))
    addresses = (
        *(f"--listen-client-urls={client}", f"--advertise-client-urls={client}", f"--listen-peer-urls={peer}"),
        *(f"--initial-advertise-peer-urls={peer}", f"--initial-cluster=default={peer}"),
    )
    parent = await asyncio.create_subprocess_exec(
        *("/bin/sh", "-c", PARENT, "sh", await program(), "etcd", f"--data-dir={tmp_path}", *addresses),
        stdout=asyncio.subprocess.PIPE,
    )
    assert parent.stdout is not None
    child = int(await parent.stdout.readline())
    await until((tmp_path / "member").exists, "etcd runs")

    parent.send_signal(signal.SIGKILL)
    await parent.wait()

    await until(lambda: not is_alive(child), "etcd has ended")
    ports.close()
