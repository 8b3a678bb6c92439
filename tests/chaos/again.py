"""Every decision of a log made again in another process and another environment, and compared byte for byte (G10)."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

ELSEWHERE: Final = {"PYTHONHASHSEED": "4711", "TZ": "Asia/Kolkata", "LC_ALL": "tr_TR.UTF-8", "LANG": "tr_TR.UTF-8"}
"""(F60) What may differ between two replicas and must not show in any decision."""
_SECONDS: Final = 600.0


async def decided_otherwise(environment: Mapping[str, str]) -> str:
    """Return what `kubernaut replay --all` says when a decision is not made again as it was; empty when all are.

    `environment`: of the stack, where its log is.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "kubernaut", "replay", "--all"),
        env=os.environ | dict(environment) | ELSEWHERE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(_SECONDS):
            output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    return output.decode()[-2000:] if process.returncode else ""
