"""The tiny service as a real process."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

LIMIT_SECONDS = 120.0
_PROGRAM = Path(__file__).with_name("tiny_service.py")


class Running:
    """A process and the lines that it wrote so far."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[dict[str, Any]] = []

    async def line(self, event: str) -> dict[str, Any]:
        """Read on to the line with that event name. Raises AssertionError when the process ends before it."""
        assert self.process.stdout is not None
        async with asyncio.timeout(LIMIT_SECONDS):
            while text := await self.process.stdout.readline():
                self.lines.append(json.loads(text))
                if self.lines[-1]["event"] == event:
                    return self.lines[-1]
        raise AssertionError(f"the process ended without {event}: {self.lines}")

    async def end(self) -> int:
        """Wait for the end and return the exit code; the lines are then all there."""
        assert self.process.stdout is not None
        async with asyncio.timeout(LIMIT_SECONDS):
            rest, _ = await self.process.communicate()
        self.lines += [json.loads(text) for text in rest.splitlines()]
        assert self.process.returncode is not None
        return self.process.returncode


@asynccontextmanager
async def tiny_service(behaviour: str, **environment: str) -> AsyncIterator[Running]:
    """Start it with free ports; it is killed at the end of the block if it still runs."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(_PROGRAM),
        behaviour,
        env={
            **os.environ,
            "NATS_URL": "nats://127.0.0.1:1",
            "KUBERNAUT_BIND": "127.0.0.1",
            "KUBERNAUT_HEALTH_PORT": "0",
            "KUBERNAUT_METRICS_PORT": "0",
            **environment,
        },
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield Running(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
