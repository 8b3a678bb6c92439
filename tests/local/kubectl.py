"""Run the real kubectl: the client that people use."""

import asyncio
import sys
from pathlib import Path

LIMIT_SECONDS = 60.0


async def kubectl(kubeconfig: Path | None, *arguments: str, expected_code: int = 0) -> str:
    """Return what it prints; fail when it ends with another code than expected."""
    program = Path(sys.executable).with_name("kubectl")
    process = await asyncio.create_subprocess_exec(
        *(str(program), "--kubeconfig", str(kubeconfig), *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(LIMIT_SECONDS):
        output, _ = await process.communicate()
    text = output.decode().strip()
    assert process.returncode == expected_code, text
    return text
