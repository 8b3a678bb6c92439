from __future__ import annotations

import asyncio
import os
import subprocess
import sys

import msgspec
import pytest

from kubernaut.install import install
from runtime.errors import NotFoundError
from schemas.subjects import LOG, SHADOW
from tests.nats_server import NatsServer, administrator

CONSUMER = f"CONSUMER.INFO.{LOG.name}.{SHADOW.name}"
SECONDS = 120.0


@pytest.mark.real
async def test_the_consumer_of_a_shadow_is_made_only_where_it_is_asked_for(fresh_nats: NatsServer) -> None:
    """By its own part, twice the same; the usual parts do without."""
    environment = {"NATS_URL": fresh_nats.url}
    async with administrator(fresh_nats.url) as connection:
        with pytest.raises(NotFoundError):
            await connection.api(CONSUMER)

        done = await install(environment, ("shadow",), replicas=None, seconds=SECONDS)

        config = msgspec.json.decode(await connection.api(CONSUMER))["config"]
    assert [f"made consumer shadow of {LOG.name}"] == done
    assert SHADOW.filters in {(config.get("filter_subject"),), tuple(config.get("filter_subjects") or ())}
    assert [] == await install(environment, ("shadow",), replicas=None, seconds=SECONDS)


@pytest.mark.real
async def test_a_shadow_is_a_process_that_ends_on_sigterm(fresh_nats: NatsServer) -> None:
    """`python -m scheduler --shadow`, once it reads."""
    await install({"NATS_URL": fresh_nats.url}, ("shadow",), replicas=None, seconds=SECONDS)
    environment = os.environ | {
        "NATS_URL": fresh_nats.url,
        "KUBERNAUT_HEALTH_PORT": "0",
        "KUBERNAUT_METRICS_PORT": "0",
        "KUBERNAUT_BIND": "127.0.0.1",
    }
    command = [sys.executable, "-m", "scheduler", "--shadow"]
    process = await asyncio.create_subprocess_exec(
        *command, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(SECONDS):
            serving = msgspec.json.decode(await process.stdout.readline())
            async with administrator(fresh_nats.url) as connection:
                while not msgspec.json.decode(await connection.api(CONSUMER))["num_waiting"]:  # noqa: ASYNC110 - polled
                    await asyncio.sleep(0.05)
            process.terminate()
            await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()

    assert "serving" == serving["event"]
    assert 0 == process.returncode


def test_the_scheduler_takes_no_other_argument() -> None:
    """A misspelt switch must not start one that acts."""
    done = subprocess.run(
        [sys.executable, "-m", "scheduler", "--shadwo"], capture_output=True, text=True, timeout=SECONDS, check=False
    )

    assert 1 == done.returncode
    assert "takes no argument but --shadow" in done.stderr
