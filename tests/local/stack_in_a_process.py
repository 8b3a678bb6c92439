"""Run a stack of NATS and PostgreSQL until killed, as `kubernaut up` would; the first argument is its home.

Prints one line when it is ready.
"""

import asyncio
import sys
from pathlib import Path

from kubernaut.local.stack import LocalStack, StackOptions


async def main() -> None:
    """Start the stack and wait to be killed."""
    async with LocalStack(StackOptions.only("nats", "postgres", home=Path(sys.argv[1]))):
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
